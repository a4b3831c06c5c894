"""The ``train`` pipeline."""

from batch_scoring.pipelines.train.pipeline import create_pipeline

__all__ = ["create_pipeline"]
