"""Hold what people know of their devices: which are one machine, and what counts as an anomaly there."""
