"""One anomaly model per device and sensor: trained, versioned and scored by the thousand."""

__version__ = "0.1.0"
