"""Ours in a process that has its imports behind it: to scores in memory, or from disk to disk.

    python -m competitors.ours memory FLEET OUT.npz
    python -m competitors.ours combined FLEET
    python -m competitors.ours disk FLEET

`memory` makes just what the loop over pickles makes, scores and labels; `combined` makes scores,
labels, severities and contributions by the combined detector. `disk` runs the `score`
pipeline between the datasets of the catalog, as `kedro run` does.
"""

from __future__ import annotations

import sys
from pathlib import Path

from workspace import AT, SENSOR, Fleet, open_fleet

from competitors.outcome import print_repeated_time, save_scores

PROJECT = Path(__file__).parents[2]


def to_memory(fleet: Fleet, out: Path) -> None:
    """From models and windows on disk to scores and labels in memory, a range of devices at a time."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from batch_scoring.detection.detectors.one_class_svm import rbf_models
    from batch_scoring.detection.kernel import decision_function
    from batch_scoring.detection.model import FleetModel
    from batch_scoring.registry.published import load_published
    from batch_scoring.tables.arrow_arrays import positions, to_numpy
    from batch_scoring.tables.device_ranges import device_ranges, read_batches
    from batch_scoring.tables.schemas import MODELS
    from batch_scoring.windows.features import feature_matrix

    def score() -> tuple[np.ndarray, np.ndarray]:
        models = load_published(fleet.published, SENSOR).models
        windows = pq.ParquetFile(fleet.windows_file, pre_buffer=False)
        features = models.info.features
        schema = pa.schema([windows.schema_arrow.field(name) for name in ("device", *features)])
        sources = [
            (schema, read_batches(windows, schema.names)),
            (MODELS, (part.table for part in models.parts())),
        ]
        scores, labels = [], []
        for rows, table in device_ranges(sources, {1}):
            model = FleetModel(table, models.info)
            of_row = positions(rows["device"], model.devices)
            offsets = np.concatenate([[0], np.cumsum(np.bincount(of_row, minlength=table.num_rows))])
            scores.append(decision_function(rbf_models(model.rows), feature_matrix(rows, features), offsets))
            labels.append(scores[-1] < to_numpy(table["threshold"])[of_row])
        return np.concatenate(scores), np.concatenate(labels)

    save_scores(out, *print_repeated_time(score))


def to_judgements(fleet: Fleet) -> None:
    """From models and windows on disk to the scores of the combined detector, in memory, on one core."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from batch_scoring.detection.model import FleetModel
    from batch_scoring.registry.published import load_published
    from batch_scoring.tables.arrow_arrays import positions, to_numpy
    from batch_scoring.tables.device_ranges import device_ranges, read_batches
    from batch_scoring.windows.features import feature_matrix

    def score() -> int:
        models = load_published(fleet.published, SENSOR).models
        windows = pq.ParquetFile(fleet.windows_file, pre_buffer=False)
        features = models.info.features
        schema = pa.schema(
            [windows.schema_arrow.field(name) for name in ("window_start", "device", *features)]
        )
        sources = [
            (schema, read_batches(windows, schema.names)),
            (models.info.schema, (part.table for part in models.parts())),
        ]
        n_anomalies = 0
        for rows, table in device_ranges(sources, {1}):
            model = FleetModel(table, models.info)
            of_row = positions(rows["device"], model.devices)
            start_us = to_numpy(rows["window_start"])
            scores = model.detector.score_windows(
                feature_matrix(rows, features), start_us, of_row, model.rows, 1
            )
            n_anomalies += int((scores.score < scores.threshold).sum())
        return n_anomalies

    print_repeated_time(score)


def to_disk(fleet: Fleet) -> None:
    """From the files of models and windows to those of predictions and status."""
    from kedro.framework.project import pipelines
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project
    from kedro.runner import SequentialRunner

    bootstrap_project(PROJECT)
    with KedroSession.create(PROJECT, runtime_params={"data": str(fleet.folder), "at": AT}) as session:
        catalog = session.load_context().catalog
        pipeline = pipelines["score"]

        def score() -> None:
            fleet.forget_scores()
            SequentialRunner().run(pipeline, catalog)

        print_repeated_time(score)


def main(where: str, fleet_folder: str, out: str = "") -> None:
    fleet = open_fleet(Path(fleet_folder))
    if where == "disk":
        to_disk(fleet)
    elif where == "combined":
        to_judgements(fleet)
    else:
        to_memory(fleet, Path(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
