"""Nodes of the ``report`` pipeline and the catalog entries they read and write."""

from kedro.pipeline import Node, Pipeline

from batch_scoring.pipelines.report.nodes import (
    draw_page,
    gather_contents,
    summarise_run,
    tabulate_status,
)

TABLES = [
    "readings",
    "windows",
    "predictions",
    "daily_totals",
    "train_status",
    "quarantine",
    "sources",
    "fault_labels",
    "incidents",
    "device_incidents",
    "calibrations",
]


def create_pipeline(**_: object) -> Pipeline:
    """The ``report`` pipeline."""
    return Pipeline(
        [
            Node(
                func=gather_contents,
                inputs=[*TABLES, "params:report", "params:device", "params:sensor", "calendar", "devices"],
                outputs="report_contents",
                name="gather_contents",
            ),
            Node(
                func=summarise_run,
                inputs=["report_contents", "params:report"],
                outputs=["run_summary", "run_summary_text"],
                name="summarise_run",
            ),
            Node(
                func=draw_page,
                inputs=["report_contents", "run_summary_text", "params:report"],
                outputs="report_page",
                name="draw_page",
            ),
            Node(
                func=tabulate_status, inputs="report_contents", outputs="status_table", name="tabulate_status"
            ),
        ],
        tags="report",
    )
