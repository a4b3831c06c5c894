"""The ``publish`` pipeline: a simulated fleet sends to an event hub."""

from batch_scoring.pipelines.publish.pipeline import create_pipeline

__all__ = ["create_pipeline"]
