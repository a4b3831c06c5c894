"""The ``sum_up`` pipeline: the figures over the fleet when all jobs of an evaluation have ended."""

from batch_scoring.pipelines.sum_up.pipeline import create_pipeline

__all__ = ["create_pipeline"]
