"""One device in a range of time: its sensors under one another, with all that is known of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.core.moments import DAY_US, microseconds
from batch_scoring.registry.published import MANIFEST, folder_of
from batch_scoring.reporting.page_data import pack
from batch_scoring.server.queries.band import DeviceModel, read_model
from batch_scoring.server.queries.device_rows import Wanted, read_device
from batch_scoring.server.queries.marks import find_marks
from batch_scoring.server.queries.series import (
    WindowSeries,
    feature_band,
    join_windows,
    of_sensor,
    pack_band,
    pack_readings,
    pack_windows,
    shifted,
)
from batch_scoring.server.queries.totals import FleetTotals
from batch_scoring.server.workspace import Workspace
from batch_scoring.storage.table_log import RETENTION
from batch_scoring.tables.arrow_arrays import (
    as_rows,
    to_numpy,
)
from batch_scoring.tables.schemas import (
    CALIBRATIONS,
    PREDICTIONS,
    READINGS,
    windows_schema,
)

WEEK_US = 7 * DAY_US
DEFAULT_US = DAY_US
MAX_US = 14 * DAY_US
SENSORS_A_PAGE = 8
_PREDICTED = (
    *("window_start", "window_end", "sensor", "value", "score", "threshold", "severity", "is_anomaly"),
    *("top_feature", "rule", "model_version"),
)
_OF_SISTERS = ("window_start", "window_end", "sensor", "value", "severity", "is_anomaly", "rule")
_BEFORE = ("window_start", "sensor", "value")
# What the mean is expected to be by: from the window before, and at the level that a machine is at.
_LEVEL = ("window_start", "window_end", "sensor", "mean", "diff_mean", "min", "max", "change")
_NO_WINDOWS = windows_schema(("mean", "diff_mean"))


@dataclass(frozen=True)
class SensorRow:
    """A sensor of a device over the range of the fleet's totals.

    Attributes
    ----------
    name : str
    windows, anomalies : int
    severity : float
        Largest severity of a window, decades.
    """

    name: str
    windows: int
    anomalies: int
    severity: float


def list_sensors(totals: FleetTotals, device: int, start: int, end: int) -> list[SensorRow]:
    """List the sensors of a device, the worst in a range first."""
    mine = totals.device == device
    inside = mine & totals.in_days(start, end)
    n = len(totals.sensors)
    counts = [np.bincount(totals.sensor[inside], w[inside], n) for w in (totals.windows, totals.anomalies)]
    severity = np.zeros(n, np.float32)
    np.maximum.at(severity, totals.sensor[inside], totals.severity[inside])
    found = np.unique(totals.sensor[mine])
    order = found[np.lexsort((found, -severity[found], -counts[1][found]))]
    names = totals.sensors.to_pylist()
    return [SensorRow(names[i], int(counts[0][i]), int(counts[1][i]), float(severity[i])) for i in order]


def device_range(start: int | None, end: int | None, newest: int) -> tuple[int, int]:
    """Choose the range to show: the last day up to the newest window, or what is asked for, bounded.

    Raises
    ------
    InputError
        When ``start`` is not before ``end``.
    """
    if start is not None and end is not None and start >= end:
        raise InputError("from, to: they are not valid; expected from earlier than to")
    until = end if end is not None else (start + DEFAULT_US if start is not None else newest)
    since = start if start is not None else until - DEFAULT_US
    since = min(since, until - 60_000_000)
    return max(since, until - MAX_US), until


def device_data(
    workspace: Workspace, device: str, focus: str, sisters: list[str], start: int, end: int
) -> dict[str, Any]:
    """Collect the charts of a device, ready for JSON; times are seconds since the epoch, UTC.

    Parameters
    ----------
    workspace : Workspace
    device : str
    focus : str
        The sensor that is drawn with its readings, its leading feature and its score.
    sisters : list of str
        Its other sensors, drawn below it.
    start, end : int
        Microseconds since the epoch.
    """
    sensors = [focus, *sisters]
    of_windows, of_predictions = workspace.table("windows"), workspace.table("predictions")
    first_day = start // DAY_US * DAY_US
    # More columns of the sensor in front than of those below it, which are null in them.
    *both, scored, of_sisters, before, learned, readings = read_device(
        device,
        Wanted(of_windows, None, [focus], start, end, _NO_WINDOWS),
        Wanted(of_windows, _LEVEL, sisters, start, end, _NO_WINDOWS),
        Wanted(of_predictions, _PREDICTED, [focus], start, end, PREDICTIONS),
        Wanted(of_predictions, _OF_SISTERS, sisters, start, end, PREDICTIONS),
        Wanted(of_predictions, _BEFORE, sensors, start - WEEK_US, end - WEEK_US, PREDICTIONS),
        Wanted(workspace.table("calibrations"), CALIBRATIONS.names, sensors, first_day, end, CALIBRATIONS),
        Wanted(workspace.table("readings"), ("timestamp", "value"), [focus], start, end, READINGS),
    )
    windows = pa.concat_tables(both, promote_options="default")
    predictions = pa.concat_tables([scored, of_sisters], promote_options="default")
    series = {name: join_windows(of_sensor(windows, name), of_sensor(predictions, name)) for name in sensors}
    models = {name: _model(workspace, name, device) for name in sensors}
    marks = find_marks(workspace, device, sensors, predictions, start, end)
    found = []
    for name in sensors:
        one = series[name]
        own = of_sensor(learned, name)
        time, value = shifted(of_sensor(before, name), WEEK_US)
        found.append(
            {
                "sensor": name,
                **pack_windows(one, start),
                "band": pack_band(*feature_band(one, models[name], own, "mean"), start),
                "before": {"t": pack((time - start) / 1e6, "f8"), "value": pack(value, "f4")},
                **{kind: spans.get(name, []) for kind, spans in marks.items()},
            }
        )
    lead = series[focus].lead
    own = of_sensor(learned, focus)
    return {
        "start": start / 1e6,
        "end": end / 1e6,
        "window": _window_seconds(predictions, windows),
        "series": found,
        "readings": pack_readings(readings, start),
        "lead": (
            {"feature": lead, **pack_band(*feature_band(series[focus], models[focus], own, lead), start)}
            if lead and lead != "mean"
            else None
        ),
        "facts": _facts(series[focus], models[focus], of_sensor(predictions, focus), own),
        "kept_since": kept_since(workspace, start),
        "n_readings": readings.num_rows,
    }


def _model(workspace: Workspace, sensor: str, device: str) -> DeviceModel | None:
    published = workspace.published
    entry = folder_of(published, sensor).entry(MANIFEST)
    if entry is None:
        return None

    def read() -> DeviceModel | None:
        return read_model(published, sensor, device)

    return workspace.kept(read, (), sensor, device, entry)


def _window_seconds(*tables: pa.Table) -> float:
    for rows in tables:
        if rows.num_rows and "window_end" in rows.column_names:
            length = to_numpy(rows["window_end"]) - to_numpy(rows["window_start"])
            return float(length.min() / 1e6)
    return 0.0


def kept_since(workspace: Workspace, start: int) -> float | None:
    """Return since when readings are kept, where retention has removed some of a range; else None."""
    since = workspace.table("readings").progress(RETENTION)
    return since / 1e6 if since is not None and start < since else None


def _facts(
    series: WindowSeries, model: DeviceModel | None, predictions: pa.Table, calibrations: pa.Table
) -> dict[str, Any]:
    """Describe the model: version, training, calibration, and which versions scored the range."""
    scored_by = sorted(set(predictions["model_version"].to_pylist())) if predictions.num_rows else []
    facts: dict[str, Any] = {"scored_by": scored_by, "n_scored": predictions.num_rows, "n": series.start.size}
    learned = zip(*(to_numpy(calibrations[name]).tolist() for name in ("day", "n_windows")), strict=True)
    day, n_learned = max((one for one in learned if one[1]), default=(None, 0))
    facts |= {"calibrated": day and day / 1e6, "calibrated_on": n_learned}
    if model is None or not model.row.num_rows:
        return facts | {"version": model.manifest.version if model else None, "has_model": False}
    row = next(as_rows(model.row.select(["n_train", "trained_from", "trained_to", "threshold"])))
    times = {name: row[name] and microseconds(row[name]) / 1e6 for name in ("trained_from", "trained_to")}
    return facts | {
        "version": model.manifest.version,
        "has_model": True,
        "detector": model.detector,
        "n_train": row["n_train"],
        "threshold": row["threshold"],
        **times,
    }
