"""The ``aggregate`` pipeline."""

from batch_scoring.pipelines.aggregate.pipeline import create_pipeline

__all__ = ["create_pipeline"]
