"""Nodes of the ``aggregate`` pipeline and the catalog entries they read and write."""

from kedro.pipeline import Node, Pipeline

from batch_scoring.pipelines.aggregate.nodes import aggregate_windows


def create_pipeline(**_: object) -> Pipeline:
    """Turn readings into windows and their features."""
    return Pipeline(
        [
            Node(
                func=aggregate_windows,
                inputs=["readings", "params:aggregate", "params:device", "params:sensor"],
                outputs="windows",
                name="aggregate_windows",
            )
        ],
        tags="aggregate",
    )
