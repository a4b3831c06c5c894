"""The ``receive`` pipeline: what has come to an event hub lands as files that ``ingest`` reads."""

from batch_scoring.pipelines.receive.pipeline import create_pipeline

__all__ = ["create_pipeline"]
