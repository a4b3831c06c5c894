"""The node of the ``report`` pipeline and the catalog entries it reads and writes."""

from kedro.pipeline import Node, Pipeline

from batch_scoring.pipelines.report.nodes import draw_report

READ = [
    "readings",
    "windows",
    "predictions",
    "daily_totals",
    "train_status",
    "quarantine",
    "sources",
    "incidents",
    "device_incidents",
    "stretches",
    "fleet_models",
    "annotations",
]


def create_pipeline(**_: object) -> Pipeline:
    """The ``report`` pipeline."""
    return Pipeline(
        [
            Node(
                func=draw_report,
                inputs={
                    "parameters": "params:report",
                    "device": "params:device",
                    "sensor": "params:sensor",
                    **{name: name for name in READ},
                },
                outputs="report",
                name="draw_report",
            )
        ],
        tags="report",
    )
