"""Ingest runs of a test, as those of the pipeline."""

from tests.pipelines.ingest.conftest import store  # noqa: F401
