"""The tables of a large fleet, synthesised: as they are after a month of scheduled runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from batch_scoring.datasets.row_tables import RowTableDataset
from batch_scoring.detection.detectors.base import FitParameters
from batch_scoring.incidents.devices import RollUpRules, roll_up
from batch_scoring.incidents.joining import JoinRules, join_windows
from batch_scoring.incidents.silence import SilenceRules
from batch_scoring.registry.published import publish
from batch_scoring.storage import open_folder
from batch_scoring.storage.row_table import Change
from batch_scoring.storage.workspace_format import FORMAT, write_format
from batch_scoring.tables.arrow_arrays import empty_table
from batch_scoring.tables.schemas import (
    DAILY,
    DEVICE_INCIDENTS,
    GAPS,
    INCIDENTS,
    JUDGED,
    PREDICTIONS,
    READINGS,
    windows_schema,
)
from batch_scoring.windows.features import DEFAULT_FEATURES

SENSORS = ("power", "pressure", "temperature", "vibration")
END = int(datetime(2026, 2, 1, tzinfo=UTC).timestamp() * 1e6)
DAY, HOUR, WINDOW, MINUTE = 86_400_000_000, 3_600_000_000, 300_000_000, 60_000_000
A_DAY = DAY // WINDOW
BLOCK = 200  # devices that are made at a time
FAULTY = 100  # one device in so many has an incident at the end


def lay_down(folder: Path, devices: int, days: int, detailed: int) -> None:
    """Write a workspace of pumps with four sensors, windows of five minutes and a reading a minute."""
    names = sorted(f"pump-{n + 1}" for n in range(devices))
    folder.mkdir(parents=True, exist_ok=True)
    store(folder, "07_model_output/daily_totals", "day", DAILY, totals(names, days))
    newest = END - DAY
    # Finished days are joined by `maintain`; of the newest one, each run has left a file.
    spans = [(newest - day * DAY, DAY) for day in range(detailed - 1, 0, -1)]
    spans += [(start, HOUR) for start in range(newest, END, HOUR)]
    for start, length in spans:
        for name, time, schema, rows in (
            ("02_intermediate/readings", "timestamp", READINGS, readings),
            ("03_primary/windows", "window_start", windows_schema(DEFAULT_FEATURES), windows),
            ("07_model_output/predictions", "window_start", PREDICTIONS, predictions),
        ):
            store(folder, name, time, schema, rows(names, start, length))
    faulty = [name for name in names if is_faulty(number_of(name))]
    judged = pa.concat_tables(rows.select(list(JUDGED)) for rows in predictions(faulty, newest, DAY))
    closed, going_on = join_windows(judged, empty_table(INCIDENTS), JoinRules(2, 1, 12 * WINDOW))
    incidents = pa.concat_tables([closed, going_on])
    store(folder, "07_model_output/incidents", "start", INCIDENTS, iter([incidents]))
    rules = RollUpRules(12 * WINDOW, SilenceRules(6 * WINDOW, 144 * WINDOW), outlier_windows=1)
    ranked = roll_up(incidents, empty_table(GAPS), rules, 0)
    store(folder, "07_model_output/device_incidents", None, DEVICE_INCIDENTS, iter([ranked]))
    publish_models(folder, names)
    write_format(open_folder(str(folder)), FORMAT)


def store(folder: Path, name: str, time: str | None, schema: pa.Schema, rows: Iterator[pa.Table]) -> None:
    RowTableDataset(str(folder / name), time).save(lambda _: Change(schema, [rows]))


def totals(names: list[str], days: int) -> Iterator[pa.Table]:
    random = np.random.default_rng(7)
    for sensor in SENSORS:
        n = len(names) * days
        device, day = np.repeat(np.arange(len(names)), days), np.tile(np.arange(days), len(names))
        flags = np.where(random.random(n) < 0.02, random.integers(1, 40, n), 0)
        start = END - (days - day) * DAY
        columns: dict[str, Any] = {
            "day": start,
            "device": pa.array(names).take(pa.array(device)),
            "sensor": pa.array([sensor]).take(pa.array(np.zeros(n, np.int64))),
            "model_version": pa.array(["1"]).take(pa.array(np.zeros(n, np.int64))),
            "status": pa.array(["ok"]).take(pa.array(np.zeros(n, np.int64))),
            "n_windows": np.full(n, A_DAY),
            "n_anomalies": flags,
            "n_alarms": np.minimum(flags, 1),
            "first_start": start,
            "last_start": start + DAY - WINDOW,
            "last_end": start + DAY,
            "severity": np.where(flags > 0, random.exponential(2, n), 0),
            "threshold": np.full(n, -3.0),
        }
        yield table_of(columns, DAILY, n)


def number_of(name: str) -> int:
    return int(name.removeprefix("pump-"))


def is_faulty(number: Any) -> Any:
    return number % FAULTY == 0


def of_series(names: list[str], length: int, step: int) -> Iterator[tuple[str, pa.Array, Any, Any, int]]:
    """A sensor's devices, some at a time: sensor, and of each row device, number and time from the start."""
    for s, sensor in enumerate(SENSORS):
        for first in range(0, len(names), BLOCK):
            some = names[first : first + BLOCK]
            n = length // step
            device = np.repeat(np.arange(len(some)), n)
            time = np.tile(np.arange(n) * step, len(some))
            yield (
                sensor,
                pa.array(some).take(pa.array(device)),
                np.array(list(map(number_of, some)))[device],
                time,
                s,
            )


def level(number: Any, time: Any, s: int) -> Any:
    return (
        20
        + 10 * s
        + 5 * np.sin(2 * np.pi * (time / DAY) + number % 17)
        + 0.3 * np.sin(number * 7 + time / 7e8)
    )


def readings(names: list[str], start: int, length: int) -> Iterator[pa.Table]:
    for sensor, device, number, time, s in of_series(names, length, MINUTE):
        columns = {"timestamp": start + time, "device": device, "value": level(number, start + time, s)}
        yield table_of({**columns, "sensor": pa.repeat(sensor, len(device))}, READINGS, len(device))


def windows(names: list[str], start: int, length: int) -> Iterator[pa.Table]:
    schema = windows_schema(DEFAULT_FEATURES)
    for sensor, device, number, time, s in of_series(names, length, WINDOW):
        mean, n = level(number, start + time, s), len(device)
        columns = {name: mean + 0.1 * i for i, name in enumerate(DEFAULT_FEATURES)}
        columns |= {"std": np.full(n, 0.2), "mean": mean}
        keys = {"window_start": start + time, "window_end": start + time + WINDOW, "device": device}
        more = {"sensor": pa.repeat(sensor, n), "count": np.full(n, 5)}
        yield table_of({**columns, **keys, **more}, schema, n)


def predictions(names: list[str], start: int, length: int) -> Iterator[pa.Table]:
    random = np.random.default_rng(start // HOUR)
    for sensor, device, number, time, s in of_series(names, length, WINDOW):
        n = len(device)
        score = -random.exponential(0.4, n)
        flags = is_faulty(number) & (start + time >= END - 24 * WINDOW)
        score = np.where(flags, -5.0, np.maximum(score, -2.9))
        columns = {
            "window_start": start + time,
            "window_end": start + time + WINDOW,
            "device": device,
            "sensor": pa.repeat(sensor, n),
            "value": level(number, start + time, s),
            "score": score,
            "threshold": np.full(n, -3.0),
            "is_anomaly": flags,
            "severity": np.where(flags, 2.0, 0.0),
            "top_feature": pa.repeat("std", n),
            "model_version": pa.repeat("1", n),
            "window_fingerprint": np.arange(n),
            "evidence": -score,
            "warming_up": np.zeros(n, bool),
        }
        yield table_of(columns, PREDICTIONS, n)


def table_of(columns: dict[str, Any], schema: pa.Schema, n: int) -> pa.Table:
    """A table with these columns; the others are null."""
    made = []
    for field in schema:
        found = columns.get(field.name)
        if found is None:
            made.append(pa.nulls(n, field.type))
        else:
            array = found if isinstance(found, pa.Array) else pa.array(np.asarray(found))
            made.append(array.cast(field.type))
    return pa.table(made, schema=schema)


def publish_models(folder: Path, names: list[str]) -> None:
    """One model is fitted and copied to all devices: what is measured is to read it."""
    from batch_scoring.detection.model import FleetModel
    from tests.factories import fit_fleet

    for s, sensor in enumerate(SENSORS):
        own = next(rows for rows in windows(names[:1], END - DAY, DAY) if rows["sensor"][0].as_py() == sensor)
        model, _ = fit_fleet(own, DEFAULT_FEATURES, FitParameters())
        assert model is not None, s
        rows = model.table.take(pa.array(np.zeros(len(names), np.int64)))
        place = rows.schema.get_field_index("device")
        table = rows.set_column(place, rows.schema.field("device"), pa.array(names))
        published = open_folder(str(folder / "06_models/published"))
        publish(published, FleetModel.build(table, model.info), "1", "run", f"of {sensor}")
