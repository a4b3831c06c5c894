"""The ``score`` pipeline."""

from batch_scoring.pipelines.score.pipeline import create_pipeline

__all__ = ["create_pipeline"]
