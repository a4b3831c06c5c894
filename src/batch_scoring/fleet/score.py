"""Now ``batch_scoring.detection.score``."""

from typing import Any

from batch_scoring.detection.score import predict

__all__ = ["predict", "score_fleet"]


def score_fleet(windows: Any, model: Any, model_version: str) -> tuple[Any, None]:
    """Predict for the scripts of older versions, which unpack two tables and use the first."""
    return predict(windows, model, model_version), None
