"""The first half of ``evaluate``, for the sensors of a job; ``sum_up`` is the second one."""

from kedro.pipeline import Node, Pipeline

from batch_scoring.pipelines.evaluate.nodes import judge_sensors
from batch_scoring.pipelines.evaluate.pipeline import KNOWN, PREDICTED


def create_pipeline(**_: object) -> Pipeline:
    """Predictions and labels into what was found of each sensor."""
    return Pipeline(
        [
            Node(
                func=judge_sensors,
                inputs=[*PREDICTED, *KNOWN, "params:sensor"],
                outputs="judged_sensors",
                name="judge_sensors",
            )
        ]
    )
