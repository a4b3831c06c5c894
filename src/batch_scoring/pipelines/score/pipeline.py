"""Nodes of the ``score`` pipeline and the catalog entries they read and write."""

from kedro.pipeline import Node, Pipeline

from batch_scoring.pipelines.score.nodes import score_windows


def create_pipeline(**_: object) -> Pipeline:
    """Score windows with the published champions."""
    return Pipeline(
        [
            Node(
                func=score_windows,
                inputs=[
                    "windows",
                    "fleet_models",
                    "params:score",
                    "params:at",
                    "params:device",
                    "params:sensor",
                    "params:shard",
                    "annotations",
                    "params:domain",
                ],
                outputs=["predictions", "daily_totals", "score_counts"],
                name="score_windows",
            )
        ],
        tags="score",
    )
