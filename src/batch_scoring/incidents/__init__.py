"""Join anomalous windows to incidents, and rank those of devices."""
