"""The ``report`` pipeline."""

from batch_scoring.pipelines.report.pipeline import create_pipeline

__all__ = ["create_pipeline"]
