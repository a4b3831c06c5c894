"""A Stream Analytics job that turns the readings of an event hub into the windows of ``aggregate``."""
