"""The second half of ``evaluate``, for what the jobs have judged; ``judge`` is the first one."""

from kedro.pipeline import Node, Pipeline

from batch_scoring.pipelines.evaluate.nodes import sum_up_judgements
from batch_scoring.pipelines.evaluate.pipeline import KNOWN, writing_down


def create_pipeline(**_: object) -> Pipeline:
    """What was found of each sensor into figures, in tables, drawn, and in MLflow."""
    summing = Node(
        func=sum_up_judgements,
        inputs=["judged_sensors", *KNOWN],
        outputs="evaluation",
        name="sum_up_judgements",
    )
    return Pipeline([summing]) + writing_down()
