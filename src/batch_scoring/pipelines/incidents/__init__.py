"""The ``incidents`` pipeline."""

from batch_scoring.pipelines.incidents.pipeline import create_pipeline

__all__ = ["create_pipeline"]
