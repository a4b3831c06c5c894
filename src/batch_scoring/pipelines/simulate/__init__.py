"""The ``simulate`` pipeline."""

from batch_scoring.pipelines.simulate.pipeline import create_pipeline

__all__ = ["create_pipeline"]
