"""The ``judge`` pipeline: a job's share of an evaluation."""

from batch_scoring.pipelines.judge.pipeline import create_pipeline

__all__ = ["create_pipeline"]
