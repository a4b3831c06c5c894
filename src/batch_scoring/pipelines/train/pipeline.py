"""Nodes of the ``train`` pipeline and the catalog entries they read and write."""

from kedro.pipeline import Node, Pipeline

from batch_scoring.pipelines.train.nodes import train_models


def create_pipeline(**_: object) -> Pipeline:
    """Fit models to windows, track them in MLflow and publish them for scoring."""
    return Pipeline(
        [
            Node(
                func=train_models,
                inputs=[
                    "windows",
                    "quarantine",
                    "annotations",
                    "params:train",
                    "params:at",
                    "params:device",
                    "params:sensor",
                    "params:ingest.timezone",
                    "params:domain",
                ],
                outputs=["train_status", "fleet_models"],
                name="train_models",
                confirms="fleet_models",
            ),
        ],
        tags="train",
    )
