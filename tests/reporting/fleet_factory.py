"""Makes the tables that the report reads, without running the pipelines that write them."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batch_scoring.core.ids import path_segment
from batch_scoring.incidents.devices import roll_up
from batch_scoring.incidents.joining import UNFINISHED, JoinRules, incidents_table, join_windows
from batch_scoring.pipelines.report.nodes import gather_contents
from batch_scoring.reporting.contents import Contents
from batch_scoring.tables.partitions import partition_key
from batch_scoring.tables.schemas import INCIDENTS, JUDGED, PREDICTIONS, QUARANTINE, STATUS, TIMESTAMP

START = datetime(2026, 1, 5, tzinfo=UTC)
SENSORS = ("power", "pressure", "temperature", "vibration")
KINDS = ("spike", "level_shift", "drift", "stuck_value", "noise_burst", "dropout")
HOUR_US = 3_600_000_000
Loaders = dict[str, Callable[[], pq.ParquetFile]]


def loaders(tables: dict[str, pa.Table]) -> Loaders:
    """What the catalog gives for partitions: functions that open a Parquet file."""

    def opener(table: pa.Table) -> Callable[[], pq.ParquetFile]:
        file = io.BytesIO()
        pq.write_table(table, file)
        return lambda: pq.ParquetFile(io.BytesIO(file.getvalue()))

    return {key: opener(table) for key, table in sorted(tables.items())}


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
    }
    return pa.table(rows, PREDICTIONS)


def prediction_partitions(*tables: pa.Table) -> dict[str, pa.Table]:
    """Lay windows out by sensor and day, sorted by device and time."""
    rows = pa.concat_tables(tables)
    keys = [
        partition_key(s, t.date())
        for s, t in zip(rows["sensor"].to_pylist(), rows["window_start"].to_pylist(), strict=True)
    ]
    order = [("device", "ascending"), ("window_start", "ascending")]
    column = pa.array(keys)
    return {key: rows.filter(pa.compute.equal(column, key)).sort_by(order) for key in sorted(set(keys))}


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
    """The tables of a made-up fleet, by partition."""

    readings: dict[str, pa.Table] = field(default_factory=dict)
    predictions: dict[str, pa.Table] = field(default_factory=dict)
    train_status: dict[str, pa.Table] = field(default_factory=dict)
    score_status: dict[str, pa.Table] = field(default_factory=dict)
    quarantine: dict[str, pa.Table] = field(default_factory=dict)
    sources: dict[str, pa.Table] = field(default_factory=dict)
    faults: pa.Table | None = None
    has_incidents: bool = True


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
    for s, sensor in enumerate(sensors):
        columns: list[pa.Table] = []
        statuses = []
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
                continue
            flags = score < 0
            severity = np.maximum(-4 * score, 0)
            features = np.array(["mean", "std", "diff_mean", "change"])[rng.integers(0, 4, n)]
            columns.append(
                pa.table(
                    [
                        pa.array(starts[keep]).cast(TIMESTAMP),
                        pa.array(starts[keep] + np.timedelta64(300, "s")).cast(TIMESTAMP),
                        pa.array([device] * int(keep.sum())),
                        pa.array([sensor] * int(keep.sum())),
                        value[keep],
                        score[keep],
                        np.zeros(int(keep.sum())),
                        flags[keep],
                        severity[keep],
                        pa.array(features[keep]),
                        _contributions(flags[keep], features[keep], severity[keep]),
                        pa.array([str(1 + (sensor == "vibration"))] * int(keep.sum())),
                        np.flatnonzero(keep).astype(np.uint64),
                    ],
                    schema=PREDICTIONS,
                )
            )
            statuses.append((device, sensor, "train", "ok", 3000, 3, ""))
        rows = pa.concat_tables(columns)
        _lay_out(fleet, sensor, rows, statuses, n_days)
    reasons = ["duplicate"] * 40 + ["missing value"] * 12 + ["out of range"] * 7 + ["bad timestamp"]
    fleet.quarantine = {"2026-01-05.parquet": quarantine_rows(*reasons)}
    # A window has five readings; only the number of rows is looked at.
    fleet.readings = {
        key: pa.table({"value": np.zeros(5 * t.num_rows)}) for key, t in fleet.predictions.items()
    }
    fleet.sources = {"2026-01-05.parquet": pa.table({"source": ["2026-01-05.parquet"]})}
    fleet.faults = fault_rows(*faults)
    return fleet


def _contributions(flags: np.ndarray, features: np.ndarray, severity: np.ndarray) -> pa.Array:
    """Anomalies are as rare as their worst feature; the threshold is 0."""
    rows = [
        [(name, 4.0 * s), ("max", 0.1)] if flag else []
        for flag, name, s in zip(flags, features, severity, strict=True)
    ]
    return pa.array(rows, PREDICTIONS.field("contributions").type)


def incidents_of(predictions: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """The incidents of the predictions, each sensor's in the partition of its last day."""
    days: dict[str, list[str]] = {}
    for key in sorted(predictions):
        days.setdefault(key.rpartition("/")[0], []).append(key)
    order = [("device", "ascending"), ("window_start", "ascending")]
    found = {}
    for keys in days.values():
        rows = pa.concat_tables([predictions[key] for key in keys]).sort_by(order)
        windows = rows.select(list(JUDGED))
        closed, going_on = join_windows(windows, UNFINISHED.empty_table(), JoinRules(2, 1, HOUR_US))
        still = going_on.filter(going_on["is_incident"])
        sensor = rows["sensor"][0].as_py()
        parts = [incidents_table(closed, sensor, "closed"), incidents_table(still, sensor, "open")]
        found[keys[-1]] = pa.concat_tables(parts)
    return found


def _lay_out(fleet: Fleet, sensor: str, rows: pa.Table, statuses: list[tuple], n_days: int) -> None:
    fleet.train_status[path_segment(sensor)] = status_rows(*statuses)
    day = (rows["window_start"].cast(pa.int64()).to_numpy() - int(START.timestamp() * 1e6)) // 86_400_000_000
    for i in range(n_days):
        key = partition_key(sensor, (START + timedelta(days=i)).date())
        part = rows.filter(pa.array(day == i)).sort_by(
            [("device", "ascending"), ("window_start", "ascending")]
        )
        fleet.predictions[key] = part
        sums = (
            part.append_column("n", part["is_anomaly"].cast(pa.int64()))
            .group_by("device")
            .aggregate([([], "count_all"), ("n", "sum")])
            .sort_by("device")
            .to_pydict()
        )
        scored = list(zip(sums["device"], sums["count_all"], sums["n_sum"], strict=True))
        missing = [
            (s[0], sensor, "score", "no_model", 288, 0, "no model in version 1")
            for s in statuses
            if s[3] != "ok"
        ]
        fleet.score_status[key] = status_rows(
            *((d, sensor, "score", "ok", w, a, "") for d, w, a in scored), *missing
        )


def device_incidents_of(incidents: dict[str, pa.Table]) -> pa.Table:
    """The ranked list of these incidents."""
    return roll_up(pa.concat_tables([INCIDENTS.empty_table(), *incidents.values()]), HOUR_US)


def gather(fleet: Fleet, device: object = None, sensor: object = None, **parameters: object) -> Contents:
    """The contents of the report on a fleet."""
    faults = loaders({"faults": fault_rows() if fleet.faults is None else fleet.faults})["faults"]()
    partitions = (fleet.readings, fleet.readings, fleet.predictions, fleet.train_status, fleet.score_status)
    quarantine, sources = loaders(fleet.quarantine), loaders(fleet.sources)
    incidents = incidents_of(fleet.predictions)
    ranked = loaders({"ranked": device_incidents_of(incidents) if fleet.has_incidents else pa.table({})})[
        "ranked"
    ]()
    tables = (*map(loaders, partitions), quarantine, sources, faults, loaders(incidents), ranked)
    return gather_contents(*tables, parameters, device, sensor)
