"""The node of the ``simulate`` pipeline and the catalog entry it writes."""

from kedro.pipeline import Node, Pipeline

from batch_scoring.pipelines.simulate.nodes import simulate_readings


def create_pipeline(**_: object) -> Pipeline:
    """The ``simulate`` pipeline."""
    return Pipeline(
        [
            Node(
                func=simulate_readings,
                inputs=["params:simulate", "params:device", "params:sensor", "params:readings"],
                outputs="raw_readings",
                name="simulate_readings",
            ),
        ],
        tags="simulate",
    )
