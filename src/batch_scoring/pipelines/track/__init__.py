"""The ``track`` pipeline."""

from batch_scoring.pipelines.track.pipeline import create_pipeline

__all__ = ["create_pipeline"]
