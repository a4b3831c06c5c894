"""Nodes of the ``publish`` pipeline and the catalog entries they read and write."""

from kedro.pipeline import Node, Pipeline

from batch_scoring.pipelines.publish.nodes import publish_readings


def create_pipeline(**_: object) -> Pipeline:
    """Send a simulated fleet's readings to an event hub."""
    return Pipeline(
        [
            Node(
                func=publish_readings,
                inputs=["params:simulate", "params:publish", "params:device", "params:sensor", "params:at"],
                outputs="published_events",
                name="publish_readings",
            ),
        ],
        tags="publish",
    )
