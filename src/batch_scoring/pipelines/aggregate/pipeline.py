"""Nodes of the ``aggregate`` pipeline and the catalog entries they read and write."""

from kedro.pipeline import Pipeline


def create_pipeline(**_: object) -> Pipeline:
    """The ``aggregate`` pipeline."""
    return Pipeline([])
