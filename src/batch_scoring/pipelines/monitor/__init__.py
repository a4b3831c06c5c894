"""The ``monitor`` pipeline."""

from batch_scoring.pipelines.monitor.pipeline import create_pipeline

__all__ = ["create_pipeline"]
