"""The ``import_windows`` pipeline."""

from batch_scoring.pipelines.import_windows.pipeline import create_pipeline

__all__ = ["create_pipeline"]
