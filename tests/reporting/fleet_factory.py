"""Makes the tables that the report reads, without running the pipelines that write them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.datasets.parquet import OptionalParquetDataset
from batch_scoring.incidents.devices import RollUpRules, roll_up
from batch_scoring.incidents.joining import JoinRules, join_windows
from batch_scoring.incidents.silence import SilenceRules
from batch_scoring.operations.annotations import Annotations
from batch_scoring.pipelines.report.nodes import gather_contents
from batch_scoring.reporting.contents import Contents
from batch_scoring.scoring.totals import scored_totals, unscored_totals
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.tables.schemas import (
    CALIBRATIONS,
    DAILY,
    DEVICE_INCIDENTS,
    GAPS,
    INCIDENTS,
    JUDGED,
    PREDICTIONS,
    QUARANTINE,
    READINGS,
    SOURCES,
    STATUS,
    STAYS,
    TIMESTAMP,
)
from tests.row_tables import table_at

START = datetime(2026, 1, 5, tzinfo=UTC)
SENSORS = ("power", "pressure", "temperature", "vibration")
KINDS = ("spike", "level_shift", "drift", "stuck_value", "noise_burst", "dropout")
HOUR_US = 3_600_000_000
RULES = JoinRules(2, 1, HOUR_US)
ROLL_UP = RollUpRules(HOUR_US, SilenceRules(HOUR_US // 2, 12 * HOUR_US), outlier_windows=1)
IN_ORDER = [("sensor", "ascending"), ("device", "ascending"), ("window_start", "ascending")]


def prediction_rows(
    device: str,
    sensor: str = "vibration",
    values: Sequence[float] = (1.0, 2.0, 3.0),
    anomalies: Sequence[int] = (),
    start: datetime = START,
    window: timedelta = timedelta(minutes=5),
    version: str = "1",
    severity: float = 0.75,
    contributions: Mapping[str, float] = MappingProxyType({}),
    young: bool = False,
) -> pa.Table:
    """Consecutive windows of one series; the numbered ones are anomalous, NaN leaves a window out."""
    kept = [i for i, value in enumerate(values) if not np.isnan(value)]
    flags = [i in anomalies for i in kept]
    rows = {
        "window_start": [start + i * window for i in kept],
        "window_end": [start + (i + 1) * window for i in kept],
        "device": [device] * len(kept),
        "sensor": [sensor] * len(kept),
        "value": [float(values[i]) for i in kept],
        "score": [-0.5 if flag else 0.4 for flag in flags],
        "threshold": [-0.1] * len(kept),
        "is_anomaly": flags,
        "severity": [severity if flag else 0.0 for flag in flags],
        "top_feature": ["mean"] * len(kept),
        "contributions": [list(contributions.items()) if flag else [] for flag in flags],
        "model_version": [version] * len(kept),
        "window_fingerprint": list(kept),
        "evidence": [severity if flag else 0.0 for flag in flags],
        "top_value": [float(values[i]) for i in kept],
        "expected": [0.0] * len(kept),
        "lower": [-1.0] * len(kept),
        "upper": [1.0] * len(kept),
        "warming_up": [young] * len(kept),
        "calibrated": [None] * len(kept),
        "rule": [None] * len(kept),
        "may_stay": [None] * len(kept),
    }
    return pa.table(rows, PREDICTIONS)


def unscored_rows(
    device: str, sensor: str, n: int, start: datetime = START, has_model: bool = False
) -> pa.Table:
    """Daily totals of a device's windows without a prediction, five minutes each."""
    times = [start + i * timedelta(minutes=5) for i in range(n)]
    columns = {"sensor": [sensor] * n, "device": [device] * n, "window_start": pa.array(times, TIMESTAMP)}
    return unscored_totals(pa.table(columns), np.full(n, has_model))


def status_rows(*rows: tuple[str, str, str, str, int, int, str]) -> pa.Table:
    """Rows of a status table: device, sensor, stage, status, n_windows, n_anomalies, message."""
    return pa.Table.from_pylist([dict(zip(STATUS.names, row, strict=True)) for row in rows], STATUS)


def quarantine_rows(*reasons: str, source: str = "readings.csv") -> pa.Table:
    rows = [
        {
            "timestamp": "2026-01-05",
            "device": "a",
            "sensor": "vibration",
            "value": "n/a",
            "source": source,
            "row": i,
            "reason": r,
        }
        for i, r in enumerate(reasons)
    ]
    return pa.Table.from_pylist(rows, QUARANTINE)


def fault_rows(*rows: tuple[str, str, str, datetime, datetime]) -> pa.Table:
    """Rows of fault labels: device, sensor, kind, start, end."""
    schema = pa.schema(
        [
            ("device", pa.string()),
            ("sensor", pa.string()),
            ("kind", pa.string()),
            ("start", TIMESTAMP),
            ("end", TIMESTAMP),
            ("size", pa.float64()),
        ]
    )
    return pa.Table.from_pylist([dict(zip(schema.names, (*row, 5.0), strict=True)) for row in rows], schema)


@dataclass
class Fleet:
    """The tables of a made-up fleet."""

    predictions: pa.Table = field(default_factory=PREDICTIONS.empty_table)
    unscored: pa.Table = field(default_factory=DAILY.empty_table)
    train_status: pa.Table = field(default_factory=STATUS.empty_table)
    readings: pa.Table = field(default_factory=READINGS.empty_table)
    quarantine: pa.Table = field(default_factory=QUARANTINE.empty_table)
    sources: pa.Table = field(default_factory=SOURCES.empty_table)
    faults: pa.Table = field(default_factory=fault_rows)
    gaps: pa.Table = field(default_factory=GAPS.empty_table)
    stays: pa.Table = field(default_factory=STAYS.empty_table)
    calibrations: pa.Table = field(default_factory=CALIBRATIONS.empty_table)
    has_incidents: bool = True
    is_hourly: bool = False


def fleet_of(*predictions: pa.Table, **tables: object) -> Fleet:
    """A fleet with these predictions."""
    return Fleet(pa.concat_tables([PREDICTIONS.empty_table(), *predictions]), **tables)  # type: ignore[arg-type]


def make_fleet(
    n_devices: int = 50,
    n_days: int = 14,
    sensors: Sequence[str] = SENSORS,
    seed: int = 1,
    names: Sequence[str] = (),
) -> Fleet:
    """A fleet with daily cycles, gaps, false alarms, faults, and two series without a model."""
    rng = np.random.default_rng(seed)
    devices = [*names, *(f"pump-{i + 1:02d}" for i in range(len(names), n_devices))]
    fleet = Fleet()
    n = n_days * 288
    time = np.arange(n) / 288
    starts = np.datetime64(START.replace(tzinfo=None), "us") + np.arange(n) * np.timedelta64(300, "s")
    faults = []
    columns: list[pa.Table] = []
    statuses = []
    unscored = []
    for s, sensor in enumerate(sensors):
        for d, device in enumerate(devices):
            load = 1 + 0.4 * np.sin(2 * np.pi * (time + d / 40)) + 0.2 * np.sin(2 * np.pi * time / 7)
            value = (20 + 15 * s) * load + rng.normal(0, 1, n)
            score = 0.5 + rng.normal(0, 0.08, n)
            score[rng.random(n) < 0.0008] = -0.3
            if (d * len(sensors) + s) % 10 == 3:
                kind = KINDS[(d // 2) % len(KINDS)]
                at = int(n * (0.72 + 0.25 * rng.random()))
                length = {"spike": 2, "dropout": 20}.get(kind, 60)
                value[at : at + length] += {"spike": 40, "dropout": np.nan}.get(kind, 12)
                score[at : at + length] -= 1.2 * rng.random()
                faults.append(
                    (
                        device,
                        sensor,
                        kind,
                        START + at * timedelta(minutes=5),
                        START + (at + length) * timedelta(minutes=5),
                    )
                )
            gap = int(rng.integers(0, n))
            keep = np.isfinite(value)
            keep[gap : gap + int(rng.integers(0, 60))] = False
            if d == len(devices) - 1 and s < 2 and not names:
                statuses.append(
                    (
                        device,
                        sensor,
                        "train",
                        "too_few_readings",
                        3,
                        0,
                        "3 windows, but train.min_windows is 60",
                    )
                )
                unscored += [
                    unscored_rows(device, sensor, 288, START + timedelta(days=i)) for i in range(n_days)
                ]
                continue
            flags = score < 0
            severity = np.maximum(-4 * score, 0)
            features = np.array(["mean", "std", "diff_mean", "change"])[rng.integers(0, 4, n)]
            n_kept = int(keep.sum())
            columns.append(
                prediction_table(
                    window_start=pa.array(starts[keep]).cast(TIMESTAMP),
                    window_end=pa.array(starts[keep] + np.timedelta64(300, "s")).cast(TIMESTAMP),
                    device=[device] * n_kept,
                    sensor=[sensor] * n_kept,
                    value=value[keep],
                    score=score[keep],
                    threshold=np.zeros(n_kept),
                    is_anomaly=flags[keep],
                    severity=severity[keep],
                    top_feature=features[keep],
                    contributions=_contributions(flags[keep], features[keep], severity[keep]),
                    model_version=[str(1 + (sensor == "vibration"))] * n_kept,
                    window_fingerprint=np.flatnonzero(keep),
                    evidence=severity[keep],
                )
            )
            statuses.append((device, sensor, "train", "ok", 3000, 3, ""))
    fleet.predictions = pa.concat_tables(columns)
    fleet.unscored = pa.concat_tables([fleet.unscored, *unscored])
    fleet.train_status = status_rows(*statuses)
    fleet.quarantine = quarantine_rows(
        *["duplicate"] * 40, *["missing value"] * 12, *["out of range"] * 7, "bad timestamp"
    )
    fleet.faults = fault_rows(*faults)
    return fleet


def prediction_table(**columns: Any) -> pa.Table:
    """Predictions with these columns; the others are null."""
    n_rows = len(columns["device"])
    arrays = [
        pa.array(columns[field.name], field.type) if field.name in columns else pa.nulls(n_rows, field.type)
        for field in PREDICTIONS
    ]
    return pa.table(arrays, schema=PREDICTIONS)


def _contributions(flags: np.ndarray, features: np.ndarray, severity: np.ndarray) -> pa.Array:
    """Anomalies are as rare as their worst feature; the threshold is 0."""
    rows = [
        [(name, 4.0 * s), ("max", 0.1)] if flag else []
        for flag, name, s in zip(flags, features, severity, strict=True)
    ]
    return pa.array(rows, PREDICTIONS.field("contributions").type)


def with_stay(device: str, sensor: str, start: float, may_stay: float, until: float) -> dict[str, pa.Table]:
    """Stays and gaps of a machine that is at a level since some hours after START, and sends up to others."""
    row = {"device": device, "sensor": sensor, "state": "last"}
    began, ended = (START + timedelta(hours=one) for one in (start, until))
    gap = row | {"start": ended, "first_start": START - timedelta(days=10)}
    stay = row | {"start": began, "may_stay": may_stay}
    return {"stays": pa.Table.from_pylist([stay], STAYS), "gaps": pa.Table.from_pylist([gap], GAPS)}


def incidents_of(predictions: pa.Table) -> pa.Table:
    """The incidents of the predictions."""
    windows = predictions.select(list(JUDGED)).sort_by(IN_ORDER)
    closed, going_on = join_windows(windows, INCIDENTS.empty_table(), RULES)
    return pa.concat_tables([closed, going_on])


@contextmanager
def tables_of(fleet: Fleet) -> Iterator[dict[str, RowTable]]:
    """The stored tables that the report reads, by their names in the catalog."""
    scored = fleet.predictions.sort_by(IN_ORDER)
    incidents = incidents_of(scored)
    complete = incidents.filter(pc.not_equal(incidents["state"], "forming"))
    rows = {
        "readings": (fleet.readings, READINGS, "timestamp"),
        "windows": (scored.select(["window_start", "device"]), None, "window_start"),
        "predictions": (scored, PREDICTIONS, "window_start"),
        "daily_totals": (
            pa.concat_tables([scored_totals(scored, lambda *_: True), fleet.unscored]),
            DAILY,
            "day",
        ),
        "train_status": (fleet.train_status, STATUS, None),
        "quarantine": (fleet.quarantine, QUARANTINE, None),
        "sources": (fleet.sources, SOURCES, None),
        "calibrations": (fleet.calibrations, CALIBRATIONS, "day"),
        "incidents": (incidents, INCIDENTS, "start"),
        "device_incidents": (
            roll_up(complete, fleet.gaps, ROLL_UP, 0, stays=fleet.stays),
            DEVICE_INCIDENTS,
            None,
        ),
        "stays": (fleet.stays, STAYS, "start"),
    }
    with TemporaryDirectory() as folder:
        stored = {name: table_at(Path(folder, name), time) for name, (_, _, time) in rows.items()}
        for name, (table, schema, _) in rows.items():
            # Without anything found, `incidents` still makes its tables.
            if fleet.has_incidents if "incidents" in name else table.num_rows:
                parts = _hours(table) if fleet.is_hourly and name == "predictions" else [table]
                change = Change(schema or table.schema, [[part] for part in parts], progress={"test": 1})
                stored[name] = stored[name].commit(change)
        yield stored


def _hours(rows: pa.Table) -> list[pa.Table]:
    """The rows of each hour, which are scored together."""
    hour = pc.floor_temporal(rows["window_start"], unit="hour")
    return [rows.filter(pc.equal(hour, one)) for one in pc.unique(hour)]


def gather(fleet: Fleet, device: object = None, sensor: object = None, **parameters: object) -> Contents:
    """The contents of the report on a fleet."""
    with tables_of(fleet) as tables:
        faults = OptionalParquetDataset(str(Path(tables["readings"].folder.path(), "faults.parquet")))
        faults.save(fleet.faults)
        return gather_contents(
            **tables,
            annotations=Annotations({"fault_labels": faults.load()}),
            parameters=parameters,
            device=device,
            sensor=sensor,
        )
