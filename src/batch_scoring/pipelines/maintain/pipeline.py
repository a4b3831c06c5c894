"""The node of the ``maintain`` pipeline and the catalog entries that it waits for and changes."""

from kedro.pipeline import Node, Pipeline

from batch_scoring.pipelines.maintain.nodes import maintain


def create_pipeline(**_: object) -> Pipeline:
    """Join small files, and remove what is kept no longer; after all other steps."""
    return Pipeline(
        [
            Node(
                func=maintain,
                inputs=["params:maintain", "alerts", "drift", "report"],
                outputs="tables",
                name="maintain_tables",
            )
        ],
        tags="maintain",
    )
