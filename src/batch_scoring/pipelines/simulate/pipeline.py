"""Nodes of the ``simulate`` pipeline and the catalog entries they read and write."""

from kedro.pipeline import Node, Pipeline

from batch_scoring.pipelines.simulate.nodes import label_faults, simulate_readings


def create_pipeline(**_: object) -> Pipeline:
    """The ``simulate`` pipeline."""
    return Pipeline(
        [
            Node(
                func=simulate_readings,
                inputs=[
                    "params:simulate",
                    "params:device",
                    "params:sensor",
                    "params:readings",
                    "previous_simulation",
                ],
                outputs="raw_readings",
                name="simulate_readings",
            ),
            Node(
                func=label_faults,
                inputs=["params:simulate", "params:device", "params:sensor", "params:readings"],
                outputs="fault_labels",
                name="label_faults",
            ),
        ],
        tags="simulate",
    )
