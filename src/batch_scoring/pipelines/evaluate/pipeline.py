"""Nodes of the ``evaluate`` pipeline and the catalog entries they read and write."""

from kedro.pipeline import Node, Pipeline

from batch_scoring.pipelines.evaluate.nodes import (
    draw_evaluation,
    judge_predictions,
    tabulate_evaluation,
    track_evaluation,
)

TABLES = ["evaluation_metrics", "evaluation_figures", "evaluation_events", "evaluation_summary"]


def create_pipeline(**_: object) -> Pipeline:
    """Predictions and labels into figures, in tables, drawn, and in MLflow."""
    return Pipeline(
        [
            Node(
                func=judge_predictions,
                inputs=[
                    "windows",
                    "predictions",
                    "fleet_models",
                    "labels",
                    "fault_labels",
                    "feedback",
                    "params:evaluate",
                    "params:train",
                    "params:device",
                    "params:sensor",
                ],
                outputs="evaluation",
                name="judge_predictions",
            ),
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
