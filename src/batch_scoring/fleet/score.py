"""Now ``batch_scoring.detection.score``."""

from batch_scoring.detection.score import predict, score_fleet

__all__ = ["predict", "score_fleet"]
