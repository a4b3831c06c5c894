"""Train and score fleets from DataFrames: what a notebook or another program imports; stable."""

from batch_scoring.api.detector import FleetDetector
from batch_scoring.core.errors import InputError

__all__ = ["FleetDetector", "InputError"]
