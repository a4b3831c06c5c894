"""A small fleet that has been scored, as the catalog hands it to ``evaluate``."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scoring.detection.detectors import FitParameters
from batch_scoring.evaluation.findings import Evaluation
from batch_scoring.operations.annotations import Annotations
from batch_scoring.pipelines.evaluate.nodes import aggregate_figures, match_events
from batch_scoring.registry.published import PublishedModel, load_published, publish
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.schemas import FEEDBACK, LABELS, PREDICTIONS
from tests.factories import START, fit_fleet, make_model, make_windows
from tests.tables_on_disk import TableOnDisk

HOUR = timedelta(hours=1)
TRAINED = 24  # windows of an hour that the models learned from
JUDGED = 24


TRAINED_TO = START + TRAINED * HOUR


def hour(n: float) -> datetime:
    """So many hours after the end of the training range."""
    return TRAINED_TO + n * HOUR


@dataclass
class SmallFleet:
    """Devices with the same windows, one day to learn from and one to judge; faults stand out by far.

    Attributes
    ----------
    folder : Path
        Where models are published.
    faults : dict of (device, sensor) to list of int
        Judged windows in which the value is far off, and flagged.
    trained_to : datetime or None
        What the models say of when their training ended.
    silent : dict of (device, sensor) to list of int
        Judged windows that are not there.
    unpredicted : set of str
        Sensors without predictions or models.
    without_model : set of str
        Devices without predictions or models.
    former_to, former_scored_to : datetime or None
        When the training of a version before the champion ended, and until when it scored.
    detector : str
    """

    folder: Path
    devices: tuple[str, ...] = ("a", "b")
    sensors: tuple[str, ...] = ("s",)
    faults: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    trained_to: datetime | None = TRAINED_TO
    silent: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    unpredicted: frozenset[str] = frozenset()
    without_model: frozenset[str] = frozenset()
    former_to: datetime | None = None
    former_scored_to: datetime = START
    detector: str = "one_class_svm"

    def windows(self, sensor: str) -> pa.Table:
        """The windows of a sensor."""
        n = TRAINED + JUDGED
        parts = []
        for place, device in enumerate(self.devices):
            X = np.random.default_rng([place, *sensor.encode()]).normal(size=(n, 2))
            X[[TRAINED + i for i in self.faults.get((device, sensor), [])]] += 20
            table = make_windows(X, [device] * n, sensor, ["mean", "std"], window_us=3_600_000_000)
            gone = {TRAINED + i for i in self.silent.get((device, sensor), [])}
            parts.append(table.filter(pa.array([i not in gone for i in range(n)])))
        return pa.concat_tables(parts).combine_chunks()

    def predictions(self, sensor: str) -> pa.Table:
        """What the models said: the score is the mean below which a fault lies."""
        windows = self.windows(sensor)
        mean = windows["mean"].to_numpy()
        is_former = pc.less(windows["window_start"], self.former_scored_to)
        version = pc.if_else(is_former, "0", "1")
        columns = {name: windows[name] for name in ("window_start", "window_end", "device", "sensor")}
        columns |= {"value": windows["mean"], "score": -mean, "threshold": np.full(mean.size, -10.0)}
        columns |= {"is_anomaly": mean > 10, "severity": np.zeros(mean.size)}
        columns |= {"top_feature": ["mean"] * mean.size, "model_version": version}
        columns |= {"window_fingerprint": np.arange(mean.size)}
        is_there = pc.invert(pc.is_in(windows["device"], pa.array(sorted(self.without_model), pa.string())))
        # What evaluate does not read is left out.
        rest = {
            field.name: pa.nulls(mean.size, field.type) for field in PREDICTIONS if field.name not in columns
        }
        return pa.table(columns | rest).select(PREDICTIONS.names).cast(PREDICTIONS).filter(is_there)

    def published(self, sensor: str) -> Callable[[], PublishedModel]:
        """Its models, that learned from the first day."""
        if self.former_to is not None:
            self._publish(sensor, "0", self.former_to)
        self._publish(sensor, "1", self.trained_to)
        return lambda: load_published(self.folder, sensor)

    def _publish(self, sensor: str, version: str, trained_to: datetime | None) -> None:
        devices = [d for d in self.devices if d not in self.without_model]
        if self.detector == "combined":
            fitted, _ = fit_fleet(self.windows(sensor), ("mean", "std"), FitParameters(false_alarm_rate=0.05))
            assert fitted is not None
            model = fitted
        else:
            model = make_model(devices, sensor, ("mean", "std"))
        rows = [row | {"trained_from": START, "trained_to": trained_to} for row in model.table.to_pylist()]
        table = pa.Table.from_pylist(rows, schema=model.table.schema)
        publish(self.folder, type(model).build(table, model.info), version, "run", "print")

    def inputs(self) -> dict[str, Any]:
        """The first inputs of the node."""
        scored = [sensor for sensor in self.sensors if sensor not in self.unpredicted]
        windows = [self.windows(sensor) for sensor in self.sensors]
        predictions = [self.predictions(sensor) for sensor in scored]
        return {
            "windows": stored(self.folder / "windows", *windows),
            "predictions": stored(self.folder / "predictions", *predictions),
            "fleet_models": {sensor: self.published(sensor) for sensor in scored},
        }


def stored(folder: Path, *tables: pa.Table) -> RowTable:
    """A table in a folder of these rows, in place of what is there."""
    table = TableOnDisk(folder, "window_start")
    if tables:
        table.replace(*tables)
    return table.load()


def parquet(table: pa.Table) -> pq.ParquetFile:
    """A table as a Parquet file."""
    data = io.BytesIO()
    pq.write_table(table, data)
    return pq.ParquetFile(io.BytesIO(data.getvalue()))


def labels(*rows: tuple[str, str, float, float] | tuple[str, str, float, float, str]) -> pa.Table:
    """Device, sensor, start and end in hours after the training, kind."""
    columns = ("device", "sensor", "start", "end", "kind")
    read = [dict(zip(columns, row, strict=False)) for row in rows]
    return pa.Table.from_pylist(
        [row | {"start": hour(row["start"]), "end": hour(row["end"])} for row in read], schema=LABELS
    )


def feedback(*rows: tuple[str, str, float, float, str]) -> pa.Table:
    """Device, sensor, start and end in hours after the training, verdict."""
    columns = ("device", "sensor", "start", "end", "verdict")
    read = [dict(zip(columns, row, strict=True)) for row in rows]
    return pa.Table.from_pylist(
        [row | {"start": hour(row["start"]), "end": hour(row["end"])} for row in read], schema=FEEDBACK
    )


def evaluate(
    fleet: SmallFleet,
    known: pa.Table | None = None,
    told: pa.Table | None = None,
    device: Any = None,
    sensor: Any = None,
    **settings: Any,
) -> Evaluation:
    """Run both nodes; without intervals, and with the robust z-score alone, unless settings say otherwise."""
    of_both = {
        "annotations": Annotations({"labels": known, "feedback": told}),
        "parameters": {"baselines": ["robust_z"], "bootstrap": 0} | settings,
        "train_parameters": {"fit": {"false_alarm_rate": 0.05}},
        "device": device,
        "sensor": sensor,
    }
    inputs = fleet.inputs()
    judged: dict[str, bytes] = {}
    for found in match_events(**inputs, **of_both, judged=None):
        judged |= found
    return aggregate_figures(judged, **of_both)


def figure(evaluation: Evaluation, name: str, level: str = "fleet", method: str = "fleet_models") -> Any:
    """A figure of the table: one, or by sensor, device or both."""
    rows = [r for r in evaluation.figures.to_pylist() if r["level"] == level and r["method"] == method]
    if level == "fleet":
        return rows[0][name]
    return {tuple(x for x in (r["device"], r["sensor"]) if x is not None): r[name] for r in rows}
