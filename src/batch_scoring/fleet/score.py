"""Now ``batch_scoring.detection.score``."""

from batch_scoring.detection.score import predict

__all__ = ["predict"]
