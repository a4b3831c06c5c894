"""Nodes of the ``maintain`` pipeline and the catalog entries they read."""

from kedro.pipeline import Node, Pipeline

from batch_scoring.pipelines.maintain.nodes import maintain_tables

TABLES = [
    "readings",
    "quarantine",
    "sources",
    "windows",
    "predictions",
    "daily_totals",
    "incidents",
    "notifications",
]


def create_pipeline(**_: object) -> Pipeline:
    """Join small files, and remove what is kept no longer."""
    return Pipeline(
        [
            Node(
                func=maintain_tables,
                inputs=[*TABLES, "params:maintain"],
                outputs="maintain_counts",
                name="maintain_tables",
            )
        ]
    )
