"""The ``maintain`` pipeline."""

from batch_scoring.pipelines.maintain.pipeline import create_pipeline

__all__ = ["create_pipeline"]
