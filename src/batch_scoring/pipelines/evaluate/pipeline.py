"""Nodes of the ``evaluate`` pipeline and the catalog entries they read and write."""

from kedro.pipeline import Node, Pipeline

from batch_scoring.pipelines.evaluate.nodes import (
    aggregate_figures,
    draw_evaluation,
    match_events,
    tabulate_evaluation,
    track_evaluation,
    write_run_headline,
)

TABLES = ["evaluation_metrics", "evaluation_figures", "evaluation_events", "evaluation_summary"]
KNOWN = ["annotations", "params:evaluate", "params:train"]
SELECTED = ["params:device", "params:sensor"]


def create_pipeline(**_: object) -> Pipeline:
    """Compare predictions with labels; write the figures as tables, drawings and an MLflow run.

    Each job of an evaluation runs ``--to-outputs=judged_sensors``, the end of them all
    ``--from-inputs=judged_sensors``.
    """
    return Pipeline(
        [
            Node(
                func=match_events,
                inputs=["windows", "predictions", "fleet_models", *KNOWN, *SELECTED, "params:judged"],
                outputs="judged_sensors",
                name="match_events",
            ),
            Node(
                func=aggregate_figures,
                inputs=["judged_sensors", *KNOWN, *SELECTED],
                outputs="evaluation",
                name="aggregate_figures",
            ),
            Node(func=tabulate_evaluation, inputs="evaluation", outputs=TABLES, name="tabulate_evaluation"),
            Node(
                func=write_run_headline,
                inputs=["evaluation", "params:evaluate"],
                outputs="evaluation_headline",
                name="write_run_headline",
            ),
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
        ],
        tags="evaluate",
    )
