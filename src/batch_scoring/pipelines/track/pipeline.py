"""Nodes of the ``track`` pipeline and the catalog entries they read and write."""

from kedro.pipeline import Node, Pipeline

from batch_scoring.pipelines.track.nodes import track_service


def create_pipeline(**_: object) -> Pipeline:
    """Log how versions do in service; it imports MLflow, so it is no part of hourly scoring."""
    return Pipeline(
        [
            Node(
                func=track_service,
                inputs=["daily_totals", "params:at"],
                outputs="service_runs",
                name="track_service",
            )
        ],
        tags="track",
    )
