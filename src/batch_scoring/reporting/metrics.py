"""Measure a workspace from its tables, for Prometheus: numbers of the fleet, none of a single device.

Nothing here imports ``prometheus_client``; :mod:`batch_scoring.reporting.prometheus` does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.moments import HOUR_US
from batch_scoring.incidents.evidence import LEVELS
from batch_scoring.operations.actions import STATES, handled
from batch_scoring.operations.silences import silenced_incidents
from batch_scoring.operations.tables import read
from batch_scoring.plant.devices import Devices
from batch_scoring.reporting.fleet_view import FleetView, view_fleet
from batch_scoring.reporting.statuses import sum_quarantine
from batch_scoring.reporting.summary import compare_alarms
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrow_arrays import are, empty_table, to_arrow, to_numpy
from batch_scoring.tables.schemas import DEVICE_INCIDENTS, DRIFT, INCIDENT_ACTIONS, OUTLIER, SILENCES

# The tables that are measured, by their names in the catalog.
TABLES = (
    *("readings", "quarantine", "sources", "windows", "predictions", "daily_totals", "calibrations"),
    *("gaps", "incidents", "device_incidents", "notifications", "incident_actions", "silences", "drift"),
)
PREFIX = "batch_scoring_"
_RANGE = timedelta(days=7)
# Of a larger quarantine, the rows of the last sources are counted by reason.
_QUARANTINE_ROWS = 1_000_000
# A series is late when the fleet's newest window ended this much after its own.
_LATE_US = HOUR_US
_SECOND_US = 1e6


class Family(NamedTuple):
    """Samples of one name.

    Attributes
    ----------
    name : str
        Without PREFIX; its unit is its end, as Prometheus has it.
    help : str
    labels : tuple of str
    samples : list of (tuple of str, float)
        Values of the labels, in order, and the number.
    """

    name: str
    help: str
    labels: tuple[str, ...]
    samples: list[tuple[tuple[str, ...], float]]


Load = Callable[[str], Any]


def measure(load: Load, run: Mapping[str, Any] | None = None, at: datetime | None = None) -> list[Family]:
    """Measure a workspace.

    Parameters
    ----------
    load : callable
        Gives each of TABLES by its name, as a :class:`RowTable`, and ``devices``, a table of the schema
        DEVICES or None.
    run : mapping, optional
        What is known of the last run, see :class:`~batch_scoring.reporting.last_run.LastRun`.
    at : datetime, optional
        UTC, when silences are in force; default: now.

    Returns
    -------
    list of Family
        What cannot be known yet is left out, and not 0.
    """
    tables: dict[str, RowTable] = {name: load(name) for name in TABLES}
    view = view_fleet(tables["daily_totals"], _RANGE)
    families = [
        *_series(view, tables["gaps"], tables["calibrations"]),
        *_alarms(view),
        _quarantined(tables["quarantine"]),
        *_incidents(tables, load("devices"), at or datetime.now(UTC)),
        _drift(tables["drift"]),
        _pending(tables["notifications"]),
        *_stored(tables),
        *_of_run(run or {}),
    ]
    return [one for one in families if one.samples]


def _one(name: str, help: str, value: float | None) -> Family:
    return Family(name, help, (), [] if value is None else [((), float(value))])


def _by(name: str, help: str, label: str, numbers: Mapping[str, float]) -> Family:
    return Family(name, help, (label,), [((key,), float(value)) for key, value in sorted(numbers.items())])


def _series(view: FleetView, gaps: RowTable, calibrations: RowTable) -> Iterator[Family]:
    days = to_numpy(view.totals["day"])
    if not days.size or view.end is None:
        return
    today = view.totals.filter(to_arrow(days == days.max()))
    counts = pc.value_counts(today["status"]).to_pylist()
    yield _by(
        "series",
        "Devices and sensors of the newest day, by status.",
        "status",
        {one["values"]: one["counts"] for one in counts},
    )
    for name, column, what in (
        ("windows_scored", "n_windows", "Windows of the newest day that were scored."),
        ("windows_unscored", "n_unscored", "Closed windows of the newest day without a prediction."),
        ("windows_anomalous", "n_anomalies", "Anomalous windows of the newest day."),
    ):
        yield _one(name, what, int(to_numpy(today[column]).sum()))
    yield _one(
        "newest_window_end_timestamp_seconds", "End of the newest scored window.", view.end.timestamp()
    )
    newest = round(view.end.timestamp() * _SECOND_US)
    yield _one(
        "series_late",
        "Devices and sensors whose newest window ended more than an hour before the fleet's.",
        _count_late(gaps, newest),
    )
    yield _one(
        "series_recalibrated",
        "Devices and sensors whose curve of the newest day was fitted anew.",
        _count_recalibrated(calibrations, int(days.max())),
    )


def _count_late(gaps: RowTable, newest: int) -> int | None:
    if not gaps.exists:
        return None
    rows = gaps.read(["start", "state"])
    is_late = are(rows["state"], "last") & (to_numpy(rows["start"]) < newest - _LATE_US)
    return int(is_late.sum())


def _count_recalibrated(calibrations: RowTable, day: int) -> int | None:
    if not calibrations.exists:
        return None
    return int((to_numpy(calibrations.read(["n_windows"], day)["n_windows"]) > 0).sum())


def _alarms(view: FleetView) -> Iterator[Family]:
    found = compare_alarms(view)
    if found is None:
        return
    realised, asked = found["per_sensor_week"], found["budget_per_sensor_week"]
    yield _one(
        "alarms_per_sensor_week", "Alarms of a sensor in a week, true ones among them, 7 days.", realised
    )
    yield _one("alarms_per_sensor_week_asked", "The budget of false alarms of a sensor in a week.", asked)
    yield _one(
        "alarms_realised_over_asked",
        "Alarms by the budget, 7 days; 1 is on target.",
        realised / asked if asked else None,
    )


def _quarantined(table: RowTable) -> Family:
    rows = sum_quarantine(table, _QUARANTINE_ROWS)
    counts = dict(zip(rows["reason"].to_pylist(), rows["count"].to_pylist(), strict=True))
    return _by("quarantined_rows", "Refused rows, by reason.", "reason", counts)


def _incidents(tables: Mapping[str, RowTable], devices: pa.Table | None, at: datetime) -> Iterator[Family]:
    stored = tables["device_incidents"]
    if stored.schema != DEVICE_INCIDENTS:
        return
    rows = stored.read().combine_chunks()
    rows = rows.filter(to_arrow(~are(rows["kind"], OUTLIER)))
    states = handled(rows, read(tables["incident_actions"], INCIDENT_ACTIONS), at)["state"]
    counts = Counter(zip(rows["level"].to_pylist(), states.to_pylist(), strict=True))
    yield Family(
        "incidents",
        "Incidents of devices, by level and state, outliers left out.",
        ("level", "state"),
        [((level, state), float(counts[level, state])) for level in LEVELS for state in STATES],
    )
    silences = silenced_incidents(rows, at, read(tables["silences"], SILENCES), Devices(devices))
    is_quiet = ~are(silences, "") & ~are(states, "closed")
    yield _one(
        "incidents_silenced",
        "Open incidents without alerts, because of a silence.",
        int(is_quiet.sum()),
    )


def _drift(table: RowTable) -> Family:
    rows = table.read(["status"]) if table.schema == DRIFT else empty_table(DRIFT)
    counts = {one["values"]: one["counts"] for one in pc.value_counts(rows["status"]).to_pylist()}
    return _by("drift_series", "Devices and sensors by status of drift.", "status", counts)


def _pending(table: RowTable) -> Family:
    """Count the events that wait: none of their rows is delivered, and none is silenced."""
    columns = ["event_id", "sink", "is_delivered", "silenced_by"]
    if not set(columns) <= set(table.schema.names):
        return _by("notifications_pending", "", "sink", {})
    rows = table.read(columns)
    names = list(zip(rows["event_id"].to_pylist(), rows["sink"].to_pylist(), strict=True))
    is_over = to_numpy(rows["is_delivered"]) | ~are(rows["silenced_by"].fill_null(""), "")
    over = {name for name, one in zip(names, is_over.tolist(), strict=True) if one}
    waiting = Counter(sink for _, sink in set(names) - over)
    counts = dict.fromkeys({sink for _, sink in names}, 0) | waiting
    return _by("notifications_pending", "Events that a sink has not acknowledged.", "sink", counts)


def _stored(tables: Mapping[str, RowTable]) -> Iterator[Family]:
    files = {name: table.files() for name, table in tables.items() if table.exists}
    for name, what, count in (
        ("table_rows", "Rows of a table.", lambda some: sum(one.rows for one in some)),
        ("table_bytes", "Size of a table's files in use.", lambda some: sum(one.size for one in some)),
        ("table_files", "A table's files in use.", len),
    ):
        yield _by(name, what, "table", {key: count(some) for key, some in files.items()})


def _of_run(run: Mapping[str, Any]) -> Iterator[Family]:
    if not run:
        return
    began, ended = (datetime.fromisoformat(run[name]) for name in ("began", "ended"))
    success = run.get("last_success")
    yield _one("last_run_timestamp_seconds", "End of the last run.", ended.timestamp())
    yield _one("last_run_seconds", "Length of the last run.", (ended - began).total_seconds())
    yield _one("last_run_succeeded", "Whether the last run has done all it could: 1 or 0.", run["is_success"])
    yield _one(
        "last_success_timestamp_seconds",
        "End of the last run that has done all it could.",
        datetime.fromisoformat(success).timestamp() if success else None,
    )
    yield _by("step_seconds", "Seconds of a step of the last run that had it.", "step", run["step_seconds"])
    for name, what in (
        ("readings_stored", "Readings that the last `ingest` stored."),
        ("windows_scored", "Windows that the last `score` scored."),
    ):
        yield _one(f"last_run_{name}", what, run["counts"].get(name))


def names_of(families: list[Family]) -> set[str]:
    """Name the metrics, as Prometheus sees them."""
    return {f"{PREFIX}{one.name}" for one in families}
