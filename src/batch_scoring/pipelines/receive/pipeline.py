"""Nodes of the ``receive`` pipeline and the catalog entries they read and write."""

from kedro.pipeline import Node, Pipeline

from batch_scoring.pipelines.receive.nodes import receive_events


def create_pipeline(**_: object) -> Pipeline:
    """Store the events of a hub as raw readings."""
    return Pipeline(
        [
            Node(
                func=receive_events,
                inputs=["event_hub", "previous_events", "params:receive"],
                outputs="raw_readings",
                name="receive_events",
                # The checkpoint moves only when the files are durably stored.
                confirms="event_hub",
            ),
        ],
        tags="receive",
    )
