"""Nodes of the ``import_windows`` pipeline and the catalog entries they read and write."""

from kedro.pipeline import Node, Pipeline

from batch_scoring.pipelines.import_windows.nodes import import_windows


def create_pipeline(**_: object) -> Pipeline:
    """Import windows of a Stream Analytics job, in place of ``ingest`` and ``aggregate``."""
    return Pipeline(
        [
            Node(
                func=import_windows,
                inputs=[
                    "stream_windows",
                    "readings",
                    "params:aggregate",
                    "params:ingest",
                ],
                outputs=["windows", "imported_windows"],
                name="import_windows",
            ),
        ],
        tags="import_windows",
    )
