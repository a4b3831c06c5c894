"""Nodes of the ``ingest`` pipeline and the catalog entries they read and write."""

from kedro.pipeline import Node, Pipeline

from batch_scoring.pipelines.ingest.nodes import ingest_readings


def create_pipeline(**_: object) -> Pipeline:
    """Turn raw readings into readings, a quarantine and a table of the source files read."""
    return Pipeline(
        [
            Node(
                func=ingest_readings,
                inputs=[
                    "raw_readings",
                    "params:ingest",
                    "params:device",
                    "params:sensor",
                    "params:at",
                    "annotations",
                ],
                outputs=["readings", "quarantine", "sources", "ingest_counts"],
                name="ingest_readings",
            ),
        ],
        tags="ingest",
    )
