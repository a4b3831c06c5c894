"""The ``evaluate`` pipeline."""

from batch_scoring.pipelines.evaluate.pipeline import create_pipeline

__all__ = ["create_pipeline"]
