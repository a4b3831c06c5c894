"""Nodes of the ``evaluate`` pipeline and the catalog entries they read and write."""

from kedro.pipeline import Node, Pipeline

from batch_scoring.pipelines.evaluate.nodes import (
    draw_evaluation,
    judge_predictions,
    tabulate_evaluation,
    track_evaluation,
)

TABLES = ["evaluation_metrics", "evaluation_figures", "evaluation_events", "evaluation_summary"]


PREDICTED = ["windows", "predictions", "fleet_models"]
KNOWN = ["labels", "fault_labels", "feedback", "params:evaluate", "params:train", "params:device"]


def create_pipeline(**_: object) -> Pipeline:
    """Predictions and labels into figures, in tables, drawn, and in MLflow."""
    judging = Node(
        func=judge_predictions,
        inputs=[*PREDICTED, *KNOWN, "params:sensor"],
        outputs="evaluation",
        name="judge_predictions",
    )
    return Pipeline([judging]) + writing_down()


def writing_down() -> Pipeline:
    """What is done with the figures, whoever has come by them."""
    return Pipeline(
        [
            Node(func=tabulate_evaluation, inputs="evaluation", outputs=TABLES, name="tabulate_evaluation"),
            Node(
                func=draw_evaluation,
                inputs="evaluation",
                outputs="evaluation_drawings",
                name="draw_evaluation",
            ),
            Node(
                func=track_evaluation,
                inputs=["evaluation", "evaluation_drawings"],
                outputs="evaluation_run",
                name="track_evaluation",
            ),
        ]
    )
