"""Nodes of the ``maintain`` pipeline and the catalog entries they read."""

from kedro.pipeline import Node, Pipeline

from batch_scoring.pipelines.maintain.nodes import maintain_tables

TABLES = [
    "sources",
    "readings",
    "quarantine",
    "erased",
    "imported_windows",
    "windows",
    "calibrations",
    "predictions",
    "daily_totals",
    "train_status",
    "incidents",
    "gaps",
    "device_incidents",
    "notifications",
    "incident_actions",
    "silences",
    "drift",
]


def create_pipeline(**_: object) -> Pipeline:
    """Join small files, and remove what is kept no longer."""
    return Pipeline(
        [
            Node(
                func=maintain_tables,
                inputs={"parameters": "params:maintain", **{name: name for name in TABLES}},
                outputs="maintain_counts",
                name="maintain_tables",
            )
        ],
        tags="maintain",
    )
