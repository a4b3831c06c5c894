"""Nodes of the ``incidents`` pipeline and the catalog entries they read and write."""

from kedro.pipeline import Node, Pipeline

from batch_scoring.pipelines.incidents.nodes import find_incidents, find_stretches, notify, rank_devices


def create_pipeline(**_: object) -> Pipeline:
    """Join predictions to incidents, ranked by device and sent to the alert sinks."""
    return Pipeline(
        [
            Node(
                func=find_incidents,
                inputs=[
                    "predictions",
                    "params:incidents",
                    "params:device",
                    "params:sensor",
                    "annotations",
                ],
                outputs="incidents",
                name="find_incidents",
            ),
            Node(
                func=find_stretches,
                inputs=["windows", "predictions", "params:incidents"],
                outputs="stretches",
                name="find_stretches",
            ),
            Node(
                func=rank_devices,
                inputs=[
                    "incidents",
                    "stretches",
                    "params:incidents",
                    "annotations",
                    "predictions",
                    "windows",
                ],
                outputs="device_incidents",
                name="rank_devices",
            ),
            Node(
                func=notify,
                inputs=[
                    "device_incidents",
                    "params:alerts",
                    "params:at",
                    "annotations",
                ],
                outputs="alerts",
                name="notify",
            ),
        ],
        tags="incidents",
    )
