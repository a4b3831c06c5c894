"""Now ``batch_scoring.detection.model_file``."""

from batch_scoring.detection.model_file import FleetFile

__all__ = ["FleetFile"]
