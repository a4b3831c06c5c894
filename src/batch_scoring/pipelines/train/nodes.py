"""Windows into one model a device, a sensor at a time; a sensor whose windows are unchanged is left alone."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scoring.fleet.errors import InputError
from batch_scoring.fleet.fingerprints import table_digest
from batch_scoring.fleet.fit import fit_fleet
from batch_scoring.fleet.model import FleetModel
from batch_scoring.fleet.one_class_svm import FitParameters
from batch_scoring.fleet.tables import STATUS, TIMESTAMP, WINDOW_KEYS
from batch_scoring.ids import Selection, path_segment, require_known
from batch_scoring.parameters import read_parameters, scheduled_time
from batch_scoring.partition_keys import by_sensor
from batch_scoring.pipelines.train.progress import show_progress
from batch_scoring.training import Training

logger = logging.getLogger(__name__)

Partitions = Mapping[str, Callable[[], pq.ParquetFile]]


@dataclass(frozen=True)
class TrainParameters:
    """``params:train``; see conf/base/parameters_train.yml."""

    from_: datetime | None = None
    to: datetime | None = None
    share: float = 0.7
    features: tuple[str, ...] | None = None
    fit: FitParameters = field(default_factory=FitParameters)


def train_models(
    windows: Partitions,
    previous_models: Mapping[str, Callable[[], Any]],
    refused: pq.ParquetFile,
    previous_status: Partitions,
    parameters: dict[str, Any],
    at: Any,
    device: Any,
    sensor: Any,
) -> Iterator[tuple[dict[str, pa.Table], dict[str, Training]]]:
    """Yield what became of the devices of each sensor, and their trained models.

    Parameters
    ----------
    windows : partitions
        Schema ``windows_schema(features)``, by sensor and day.
    previous_models : mapping of str to callable
        The version in force of each sensor: ``model``, ``version``, ``fingerprint``.
    refused : pyarrow.parquet.ParquetFile
        Readings refused by ingest, counted by device, sensor and reason.
    previous_status : partitions
        Schema STATUS, by sensor: the devices this run is not about keep their rows.
    parameters : dict
        See :class:`TrainParameters`.
    at
        The scheduled time, UTC; windows that end later are not trained on. None for now.
    device, sensor
        What the run is about. Other devices of a sensor keep their models.

    Yields
    ------
    status : dict of str to pyarrow.Table
        Schema STATUS; one sensor, all of its devices.
    models : dict of str to Training
        One sensor; empty where nothing has changed since its version in force.

    Raises
    ------
    InputError
        When there are no windows, or a device or sensor asked for has none.
    """
    settings = read_parameters(TrainParameters, parameters, "train")
    if not 0 < settings.share <= 1:
        raise InputError(f"train.share is {settings.share}; it must be in (0, 1]")
    selection = Selection.read(device, sensor)
    sensors = by_sensor(windows)
    if not sensors:
        raise InputError("there are no windows yet; run `kedro run --pipelines=aggregate` first")
    require_known("sensor", selection.sensors, sensors)
    now = scheduled_time(at)
    counts = refused.read()
    found: set[str] = set()
    yield {}, {}
    for name, days in sensors.items():
        if not selection.has_sensor(name):
            continue
        rows = _read_windows([windows[key] for key in days.values()], settings, now)
        found.update(pc.unique(rows["device"]).to_pylist())
        previous = previous_models[name]() if name in previous_models else None
        training, fitted = _train_sensor(name, rows, previous, settings, selection)
        key = path_segment(name)
        known = previous_status[key]().read().cast(STATUS) if key in previous_status else STATUS.empty_table()
        status = pa.concat_tables([fitted, _still_true(known, fitted, selection)])
        status = _with_refused(status, name, rows, counts, selection)
        # The status first: once its version is there, a training is not repeated.
        yield ({} if status.equals(known) else {key: status}), ({name: training} if training else {})
    require_known("device", selection.devices, found)


def training_range(
    start: pa.ChunkedArray, end: pa.ChunkedArray, settings: TrainParameters
) -> tuple[int, int]:
    """The training range ``[from, to)`` of one sensor in µs since the epoch.

    Parameters
    ----------
    start, end : arrays of timestamps
        Of the sensor's windows; at least one.
    settings : TrainParameters
        Without ``to``, the range ends after ``share`` of the time from the first window to the
        last, on a window's edge.
    """
    first = pc.min(start).cast(pa.int64()).as_py()
    last = pc.max(end).cast(pa.int64()).as_py()
    length = pc.subtract(end[0], start[0]).cast(pa.int64()).as_py()
    if settings.from_ is not None:
        first = _microseconds(settings.from_)
    if settings.to is not None:
        return first, _microseconds(settings.to)
    n_windows = int((last - first) * settings.share / length)
    return first, first + max(n_windows, 1) * length


def _train_sensor(
    name: str, rows: pa.Table, previous: Any, settings: TrainParameters, selection: Selection
) -> tuple[Training | None, pa.Table]:
    """The training, None where nothing is new; and the status of the devices that were fitted."""
    if rows.num_rows == 0:
        return None, STATUS.empty_table()
    features = settings.features or tuple(
        column for column in rows.column_names if column not in WINDOW_KEYS.names
    )
    fingerprint = _fingerprint(rows, features, settings)
    if previous is not None and selection.devices is None and previous.fingerprint == fingerprint:
        logger.info("train: %s: unchanged since version %s", name, previous.version)
        return None, STATUS.empty_table()
    mine = rows
    if selection.devices is not None:
        mine = rows.filter(
            pc.is_in(rows["device"], value_set=pa.array(sorted(selection.devices), pa.string()))
        )
        if mine.num_rows == 0:
            return None, STATUS.empty_table()
    began = time.perf_counter()
    n_devices = pc.count_distinct(mine["device"]).as_py()
    with show_progress(name, n_devices) as progress:
        fitted, status = fit_fleet(mine, features, settings.fit, progress=progress)
    logger.info(
        "train: %s: %d of %d devices fitted in %.1f s",
        name,
        fitted.table.num_rows if fitted else 0,
        n_devices,
        time.perf_counter() - began,
    )
    if fitted is None:
        return None, status
    model = fitted
    if selection.devices is not None and previous is not None:
        model = previous.model.replace(fitted)
        if model.table.equals(previous.model.table):
            return None, status
        fingerprint = hashlib.sha256(
            f"{previous.fingerprint} {fingerprint} {sorted(selection.devices)}".encode()
        ).hexdigest()
    return Training(model, status, fingerprint, _as_text(settings), _metrics(model, status)), status


def _read_windows(
    files: list[Callable[[], pq.ParquetFile]], settings: TrainParameters, now: datetime
) -> pa.Table:
    rows = pa.concat_tables(_require_same_columns([load().read() for load in files]))
    rows = rows.filter(pc.less_equal(rows["window_end"], pa.scalar(now, TIMESTAMP)))
    if rows.num_rows == 0:
        return rows
    first, last = training_range(rows["window_start"], rows["window_end"], settings)
    start = rows["window_start"].cast(pa.int64())
    return rows.filter(pc.and_(pc.greater_equal(start, first), pc.less(start, last)))


def _require_same_columns(tables: list[pa.Table]) -> list[pa.Table]:
    for table in tables:
        if table.column_names != tables[0].column_names:
            raise InputError(
                f"sensor {table['sensor'][0].as_py()!r}: its days were aggregated with different features "
                f"({tables[0].column_names[5:]} and {table.column_names[5:]}); "
                "run `kedro run --pipelines=aggregate`"
            )
    return [table.replace_schema_metadata(None) for table in tables]


def _fingerprint(rows: pa.Table, features: tuple[str, ...], settings: TrainParameters) -> str:
    """Of what a whole sensor is trained from: the windows, the way of fitting, and the library."""
    from importlib.metadata import version

    ordered = rows.sort_by([("device", "ascending"), ("window_start", "ascending")])
    made_of = {
        "windows": table_digest(
            ordered.select(["window_start", "window_end", "device", "sensor", *features])
        ),
        "features": list(features),
        "fit": asdict(settings.fit),
        "scikit-learn": version("scikit-learn"),
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def _still_true(known: pa.Table, fitted: pa.Table, selection: Selection) -> pa.Table:
    """The rows of an earlier status that this run has nothing new to say about."""
    if selection.devices is None and fitted.num_rows:
        return known.slice(0, 0)
    # Devices without a good reading are found anew each time.
    asked = pc.not_equal(known["status"], "no_data")
    if selection.devices is not None:
        chosen = pa.array(sorted(selection.devices), pa.string())
        asked = pc.or_(asked, pc.invert(pc.is_in(known["device"], value_set=chosen)))
    is_fitted = pc.is_in(known["device"], value_set=fitted["device"].combine_chunks())
    return known.filter(pc.and_(asked, pc.invert(is_fitted)))


def _with_refused(
    status: pa.Table, name: str, rows: pa.Table, refused: pa.Table, selection: Selection
) -> pa.Table:
    """Add the devices of which not one reading was good enough to make a window."""
    known = set(pc.unique(rows["device"]).to_pylist())
    reasons: dict[str, list[tuple[int, str]]] = {}
    for row in refused.filter(pc.equal(refused["sensor"], name)).to_pylist():
        if row["device"] not in known and selection.has_device(row["device"]):
            reasons.setdefault(row["device"], []).append((row["count"], row["reason"]))
    added = [
        {
            "device": device,
            "sensor": name,
            "stage": "train",
            "status": "no_data",
            "n_windows": 0,
            "n_anomalies": 0,
            "message": "no window to train on; readings refused: "
            + ", ".join(f"{count:,} {reason}" for count, reason in sorted(counts, reverse=True)),
        }
        for device, counts in reasons.items()
    ]
    return pa.concat_tables([status, pa.Table.from_pylist(added, schema=STATUS)]).sort_by("device")


def _metrics(model: FleetModel, status: pa.Table) -> dict[str, float]:
    failed = pc.sum(pc.invert(pc.is_in(status["status"], value_set=pa.array(["ok", "constant"])))).as_py()
    return {
        "models": float(model.table.num_rows),
        "devices_without_model": float(failed or 0),
        "support_vectors_per_model": float(np.mean(model.n_support_vectors)),
        "train_flag_rate": float(pc.mean(model.table["train_flag_rate"]).as_py()),
        "training_windows": float(pc.sum(model.table["n_train"]).as_py()),
    }


def _as_text(settings: TrainParameters) -> dict[str, Any]:
    values = asdict(settings)
    return {
        "from": str(values.pop("from_") or "first window"),
        "to": str(values.pop("to") or f"first {settings.share:g} of the time"),
        **values.pop("fit"),
        "features": " ".join(settings.features) if settings.features else "all",
    }


def _microseconds(moment: datetime) -> int:
    value: int = pa.scalar(moment, TIMESTAMP).cast(pa.int64()).as_py()
    return value
