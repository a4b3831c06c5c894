"""Nodes of the ``import_windows`` pipeline and the catalog entries they read and write."""

from kedro.pipeline import Node, Pipeline

from batch_scoring.pipelines.import_windows.nodes import import_windows
from batch_scoring.pipelines.ingest.nodes import count_refused_devices


def create_pipeline(**_: object) -> Pipeline:
    """Import windows of a Stream Analytics job, in place of ``ingest`` and ``aggregate``."""
    return Pipeline(
        [
            Node(
                func=import_windows,
                inputs=[
                    "stream_windows",
                    "previous_windows",
                    "previous_imported_windows",
                    "params:aggregate",
                    "params:ingest",
                ],
                outputs=["windows", "imported_windows"],
                name="import_windows",
            ),
            # As in `ingest`: `train` asks for the count, wherever the windows come from.
            Node(
                func=count_refused_devices,
                inputs="quarantine",
                outputs="refused",
                name="count_refused_devices",
            ),
        ]
    )
