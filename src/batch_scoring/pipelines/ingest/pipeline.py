"""Nodes of the ``ingest`` pipeline and the catalog entries they read and write."""

from kedro.pipeline import Node, Pipeline

from batch_scoring.pipelines.ingest.nodes import count_refused_devices, ingest_readings


def create_pipeline(**_: object) -> Pipeline:
    """Turn raw readings into readings, a quarantine and a ledger of the source files read."""
    return Pipeline(
        [
            Node(
                func=ingest_readings,
                inputs=[
                    "raw_readings",
                    "previous_readings",
                    "previous_quarantine",
                    "previous_ingested_sources",
                    "params:ingest",
                    "params:device",
                    "params:sensor",
                    "params:at",
                ],
                outputs=["readings", "quarantine", "ingested_sources", "ingest_counts"],
                name="ingest_readings",
            ),
            Node(
                func=count_refused_devices,
                inputs="quarantine",
                outputs="refused",
                name="count_refused_devices",
            ),
        ]
    )
