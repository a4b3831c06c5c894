"""Nodes of the ``monitor`` pipeline and the catalog entries they read and write."""

from kedro.pipeline import Node, Pipeline

from batch_scoring.pipelines.monitor.nodes import watch_drift


def create_pipeline(**_: object) -> Pipeline:
    """Compare recent predictions with the champions' calibration."""
    return Pipeline(
        [
            Node(
                func=watch_drift,
                inputs=[
                    "daily_totals",
                    "fleet_models",
                    "params:monitor",
                    "params:at",
                    "params:sensor",
                ],
                outputs="drift",
                name="watch_drift",
            )
        ],
        tags="monitor",
    )
