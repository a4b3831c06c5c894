"""Turn files and events into clean readings."""
