"""Collect the data of the report page: ids once, numbers packed, bounded in size for any fleet."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.moments import microseconds
from batch_scoring.incidents.devices import listed_as
from batch_scoring.incidents.expected import expected_words
from batch_scoring.incidents.listed_stays import ListedStay
from batch_scoring.reporting.contents import Contents, page_series
from batch_scoring.reporting.details import Peak
from batch_scoring.reporting.fleet_view import FleetView
from batch_scoring.reporting.heat import HeatGrid
from batch_scoring.reporting.incident_list import IncidentList
from batch_scoring.reporting.incident_words import listed_words
from batch_scoring.reporting.known_faults import FoundFaults
from batch_scoring.reporting.series import SeriesBlock
from batch_scoring.reporting.settings import ReportParameters
from batch_scoring.tables.arrays import Int
from batch_scoring.tables.arrow_arrays import are, as_rows, strings, to_arrow, to_numpy
from batch_scoring.tables.schemas import TIMESTAMP

MAX_FAULTS = 2000
MAX_VERSIONS = 50
MAX_NAMED = 8
MAX_MARKS = 5000
# A window this much rarer than its rarest feature is anomalous by the combination.
_WORTH_TELLING = 0.1
MISSING_SCORE = 65535
# Replaces values that JSON cannot hold.
_MOST = 1e6


def collect_page_data(contents: Contents, parameters: ReportParameters) -> dict[str, Any]:
    """Collect the data of the page's script, ready for JSON.

    Times are seconds since the epoch, UTC. Ids appear once, in ``devices`` and ``sensors``, and are
    numbers elsewhere. Arrays are little-endian bytes in base64, see :func:`pack`.
    """
    view = contents.view
    details = contents.details
    series = page_series(view, parameters.max_devices)
    devices = view.devices.filter(pc.is_in(view.devices["device"], pc.unique(series["device"])))
    sensors = sorted(pc.unique(series["sensor"]).to_pylist())
    names = devices["device"].combine_chunks(), strings(sensors)
    return {
        "start": _seconds(view.start),
        "end": _seconds(view.end),
        "history": _seconds(view.history),
        "details": details.start / 1e6,
        "window": view.window.total_seconds(),
        "cell": details.heat.cell.total_seconds() if details.heat else 0.0,
        "sensors": sensors,
        "devices": _list_devices(devices, names[1]),
        "n_devices": view.devices.num_rows,
        "n_series": view.series.num_rows,
        "counts": _count(contents),
        "series": _list_series(series, *names),
        "heat": _pack_heat(details.heat),
        "charts": _list_charts(details.charts, series),
        "incidents": collect_incidents(contents.incidents, details.peaks, *names, parameters.max_incidents),
        "faults": _list_faults(contents.found_faults, *names),
        "unjudged": _list_unjudged(contents, series, *names),
        "known": _known_faults(contents.found_faults),
        "status": contents.statuses.slice(0, parameters.max_status_rows).to_pydict(),
        "n_status": contents.statuses.num_rows,
        "quarantine": contents.quarantine.to_pylist(),
        "versions": _list_versions(view),
        "n_versions": view.versions.num_rows,
    }


def pack(values: npt.NDArray[Any], kind: str) -> str:
    """Encode an array as base64 of little-endian ``kind`` (numpy's short names, such as ``u2`` or ``f4``).

    Examples
    --------
    >>> pack(np.array([1, 2]), "u2")
    'AQACAA=='
    """
    return base64.b64encode(np.ascontiguousarray(values, dtype=f"<{kind}").tobytes()).decode("ascii")


def to_seconds(times: pa.ChunkedArray) -> list[float | None]:
    """Convert times to seconds since the epoch; None for a null."""
    return [None if us is None else us / 1e6 for us in times.cast(TIMESTAMP).cast(pa.int64()).to_pylist()]


def _first(times: pa.ChunkedArray) -> float | None:
    return float(to_numpy(times).min() / 1e6) if len(times) else None


def _seconds(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def _finite(value: float | None, digits: int = 6) -> float | None:
    return None if value is None or not np.isfinite(value) else _rounded(value, digits)


_four_digits = partial(_finite, digits=4)


def _rows(*columns: Iterable[Any]) -> list[list[Any]]:
    return [list(row) for row in zip(*columns, strict=True)]


def _positions(names: pa.ChunkedArray, among: pa.Array) -> list[int]:
    positions: list[int] = pc.index_in(names, among).to_pylist()
    return positions


def _count(contents: Contents) -> dict[str, Any]:
    view = contents.view
    return {
        "readings": contents.n_readings,
        "sources": contents.n_sources,
        "scored": pc.sum(view.devices["n_windows"]).as_py() or 0,
        "windows": contents.n_windows,
        "models": view.series.num_rows,
        "sensors": pc.count_distinct(view.series["sensor"]).as_py(),
        "anomalies": pc.sum(view.devices["n_anomalies"]).as_py() or 0,
        "anomalous_devices": int((to_numpy(view.devices["n_anomalies"]) > 0).sum()),
        "quarantined": pc.sum(contents.quarantine["count"]).as_py() or 0,
        "not_scored": contents.not_scored.num_rows,
        "not_scored_by_status": dict(
            sorted(
                (pair["values"], pair["counts"])
                for pair in pc.value_counts(contents.not_scored["status"]).to_pylist()
            )
        ),
    }


def _list_devices(devices: pa.Table, sensors: pa.Array) -> list[list[Any]]:
    """name, windows, anomalous windows, largest severity, last anomaly, position of the worst sensor."""
    rows = devices.drop_columns(["last_anomaly"]).to_pydict()
    return _rows(
        rows["device"],
        rows["n_windows"],
        rows["n_anomalies"],
        map(_finite, rows["severity"]),
        to_seconds(devices["last_anomaly"]),
        _positions(devices["worst_sensor"], sensors),
    )


def _list_series(series: pa.Table, devices: pa.Array, sensors: pa.Array) -> list[list[Any]]:
    """device, sensor (positions), windows, anomalous windows, largest severity."""
    rows = series.select(["n_windows", "n_anomalies", "severity"]).to_pydict()
    return _rows(
        _positions(series["device"], devices),
        _positions(series["sensor"], sensors),
        rows["n_windows"],
        rows["n_anomalies"],
        map(_finite, rows["severity"]),
    )


def _pack_heat(heat: HeatGrid | None) -> dict[str, Any]:
    """Windows and anomalous windows, an array of (series, cell) each."""
    if heat is None or not heat.windows.size:
        return {"first": 0, "n": 0, "kind": "u2", "windows": "", "anomalies": ""}
    kind = "u2" if heat.windows.max() < 1 << 16 else "u4"
    return {
        "first": heat.first,
        "n": heat.windows.shape[1],
        "kind": kind,
        "windows": pack(heat.windows, kind),
        "anomalies": pack(heat.anomalies, kind),
    }


def _list_charts(blocks: list[SeriesBlock], series: pa.Table) -> list[dict[str, Any]]:
    names = zip(series["device"].to_pylist(), series["sensor"].to_pylist(), strict=True)
    position = {name: i for i, name in enumerate(names)}
    return [
        {"series": position[name], **chart}
        for block in blocks
        for name, chart in zip(block.series, _pack_charts(block), strict=True)
        if name in position
    ]


def _pack_charts(block: SeriesBlock) -> Iterator[dict[str, Any]]:
    """A chart a series, from its first step that has a window, ``at``; gaps are NaN or MISSING_SCORE.

    All series are prepared at once: a call of NumPy takes as long for one of them.
    """
    has_score, n_steps = np.isfinite(block.score), block.score.shape[1]
    is_there = np.isfinite(block.value) | has_score
    begin, end = is_there.argmax(1), n_steps - is_there[:, ::-1].argmax(1)
    end = np.where(is_there.any(1), end, begin)
    is_inside = (np.arange(n_steps) >= begin[:, None]) & (np.arange(n_steps) < end[:, None])
    low = np.where(has_score.any(1), block.score.min(1, where=has_score, initial=np.inf), 0.0)
    high = np.where(has_score.any(1), block.score.max(1, where=has_score, initial=-np.inf), 1.0)
    width = np.where(high == low, 1.0, high - low)[:, None]
    scaled = np.round((block.score - low[:, None]) / width * (MISSING_SCORE - 1))
    score = np.where(np.isfinite(scaled), scaled, MISSING_SCORE).astype("u2")

    row, step = np.nonzero(np.isfinite(block.threshold) & is_inside)
    threshold = block.threshold[row, step]
    is_other = np.append(True, (np.diff(row) != 0) | (np.diff(threshold) != 0))[: row.size]
    row, step, threshold = row[is_other], step[is_other] - begin[row[is_other]], threshold[is_other]
    pairs = [[i, _finite(one)] for i, one in zip(step.tolist(), threshold.tolist(), strict=True)]
    changes = _of_rows(len(begin), row, pairs)

    row, step = np.nonzero(block.is_anomaly & is_inside)
    severity = np.nan_to_num(block.severity[row, step]).clip(0, _MOST)
    of_flags = (step - begin[row], severity, block.top_feature[row, step] + 1)
    flags, severities, features = (_of_rows(len(begin), row, values) for values in of_flags)
    for n, at in enumerate(begin.tolist()):
        steps = slice(at, end[n])
        yield {
            "step": block.step.total_seconds(),
            "at": at,
            "value": pack(block.value[n, steps], "f4"),
            "score": pack(score[n, steps], "u2"),
            "low": float(low[n]),
            "high": float(high[n]),
            "threshold": changes[n],
            "anomalies": pack(flags[n], "u4"),
            "severity": pack(severities[n], "f4"),
            "feature": pack(features[n], "u1"),
            "features": ["", *block.features[:254]],
        }


def _of_rows(n_rows: int, row: Int, values: Any) -> list[Any]:
    """Cut values, sorted by row, into those of each row."""
    bounds = np.searchsorted(row, np.arange(n_rows + 1)).tolist()
    return [values[begin:end] for begin, end in pairwise(bounds)]


def _list_faults(found: FoundFaults | None, devices: pa.Array, sensors: pa.Array) -> list[list[Any]]:
    """device, sensor (positions), kind, start, end, found; of the devices and sensors on the page."""
    if found is None:
        return []
    rows = found.faults.filter(
        pc.and_(pc.is_in(found.faults["device"], devices), pc.is_in(found.faults["sensor"], sensors))
    ).slice(0, MAX_FAULTS)
    return _rows(
        _positions(rows["device"], devices),
        _positions(rows["sensor"], sensors),
        rows["kind"].to_pylist(),
        to_seconds(rows["start"]),
        to_seconds(rows["end"]),
        rows["found"].to_pylist(),
    )


def _list_unjudged(
    contents: Contents, series: pa.Table, devices: pa.Array, sensors: pa.Array
) -> list[list[Any]]:
    """device, sensor (positions), start, end: when the calendar leaves series out, or machines are off."""
    view = contents.view
    if view.start is None or view.end is None:
        return []
    names = series["device"].combine_chunks(), series["sensor"].combine_chunks()
    row, start, end = contents.calendar.stretches(*names, microseconds(view.start), microseconds(view.end))
    is_off = contents.details.off
    row, start, end = (np.concatenate(both) for both in zip((row, start, end), is_off, strict=True))
    place = to_arrow(row[:MAX_FAULTS])
    return _rows(
        _positions(series["device"].take(place), devices),
        _positions(series["sensor"].take(place), sensors),
        (start[:MAX_FAULTS] / 1e6).tolist(),
        (end[:MAX_FAULTS] / 1e6).tolist(),
    )


def _known_faults(found: FoundFaults | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "kinds": [list(kind) for kind in found.by_kind],
        "false_alarms": found.false_alarms,
        "device_days": _finite(found.device_days),
        "rate": _finite(found.false_alarms_per_device_day),
    }


def _list_versions(view: FleetView) -> list[list[Any]]:
    """sensor, version, devices, windows, start, end."""
    rows = view.versions.slice(0, MAX_VERSIONS)
    names = ("sensor", "model_version", "n_devices", "n_windows")
    times = (to_seconds(rows[name]) for name in ("start", "end"))
    return _rows(*(rows[name].to_pylist() for name in names), *times)


def collect_incidents(
    found: IncidentList, peaks: Sequence[Peak | None], devices: pa.Array, sensors: pa.Array, at_most: int
) -> dict[str, Any]:
    """Collect the page's list of incidents and the marks in its charts.

    Parameters
    ----------
    found : IncidentList
    peaks : sequence of Peak or None
        Of ``found.sensors``.
    devices, sensors : pyarrow.Array of string
        The devices and sensors of the page, which the marks of charts refer to.
    at_most : int
        Maximum number of device incidents in the list.

    Returns
    -------
    dict
        ``rows`` are kind, device, start, end, open, level, priority, devices, how many, sensors, how many,
        incidents, windows, severity, when it was at its peak, the sensor and feature that lead it, in words
        what that was and would usually have been, ``of``: the sensors' incidents, each sensor, start, end,
        open, windows, severity, feature, when its peak was, the value then, how rare an alarm must be, and
        how rare the peak was by feature; whether it is warming up, advice, when its last part began,
        why it stands where it does, if not by its priority, and the stays that lasted too long, each device,
        sensor, start, up to when it was usual, end, open, and how long in words. ``outliers`` are device,
        sensor, start, severity, feature, and the same words. Times are seconds since the epoch, scores are
        decades.
    """
    behind: dict[int, list[list[Any]]] = {}
    for row, peak in zip(as_rows(found.sensors), peaks, strict=True):
        behind.setdefault(row["of"], []).append(_sensor_row(row, peak))
    stays: dict[int, list[list[Any]]] = {}
    for stay in found.stays:
        stays.setdefault(stay.of, []).append(_stay_row(stay))
    shown = found.devices.slice(0, at_most)
    listed = zip(as_rows(shown), listed_as(shown, 0).tolist(), strict=True)
    is_open = are(found.devices["state"], "open")
    return {
        "known": found.is_known,
        "n": found.devices.num_rows,
        "n_open": int(is_open.sum()),
        "n_warming_up": pc.sum(found.devices["warming_up"]).as_py() or 0,
        "n_outliers": found.outliers.num_rows,
        "since": _first(found.devices["start"]),
        "decades": any(peak is not None and peak.contributions for peak in peaks),
        "rows": [
            [*_device_row(row, by, behind.get(number, [])), stays.get(number, [])]
            for number, (row, by) in enumerate(listed)
        ],
        "outliers": [_outlier_row(row) for row in as_rows(found.outliers.slice(0, at_most))],
        "marks": _marks(found.of_page, devices, sensors),
    }


def _device_row(row: dict[str, Any], by: float, behind: list[list[Any]]) -> list[Any]:
    return [
        row["kind"],
        row["device"],
        _seconds(row["start"]),
        _seconds(row["end"]),
        row["state"] == "open",
        row["level"],
        _rounded(row["priority"], 4),
        row["devices"][:MAX_NAMED],
        row["n_devices"],
        row["sensors"][:MAX_NAMED],
        row["n_sensors"],
        row["n_incidents"],
        row["n_windows"],
        _four_digits(row["peak_severity"]),
        _seconds(row["peak_at"]),
        row["peak_sensor"],
        row["top_feature"],
        expected_words(row),
        behind,
        row["warming_up"],
        row["advice"],
        _seconds(row["last_start"]),
        listed_words(row, row["state"] == "closed", by),
    ]


def _stay_row(stay: ListedStay) -> list[Any]:
    times = (moment / 1e6 for moment in (stay.start, stay.usual_until, stay.end))
    return [stay.device, stay.sensor, *times, stay.is_open, stay.words]


def _outlier_row(row: dict[str, Any]) -> list[Any]:
    severity = _four_digits(row["peak_severity"])
    words = expected_words(row)
    return [row["device"], row["sensors"][0], _seconds(row["start"]), severity, row["top_feature"], words]


def _sensor_row(row: dict[str, Any], peak: Peak | None) -> list[Any]:
    return [
        row["sensor"],
        _seconds(row["start"]),
        _seconds(row["end"]),
        row["state"] == "open",
        row["n_windows"],
        _four_digits(row["peak_severity"]),
        row["top_feature"],
        _seconds(row["peak_at"]),
        _finite(peak.value) if peak else None,
        _four_digits(-peak.threshold) if peak and peak.threshold is not None else None,
        _parts(peak) if peak else [],
    ]


def _parts(peak: Peak) -> list[tuple[str, float]]:
    """Feature and decades, the largest first; without a feature, those of all of them together."""
    parts = [(name, _rounded(decades, 4)) for name, decades in peak.contributions if 0 < decades < np.inf]
    parts.sort(key=lambda part: (-part[1], part[0]))
    if not peak.contributions or peak.score is None or not np.isfinite(peak.score):
        return parts
    largest = parts[0][1] if parts else 0.0
    together = [("", _rounded(-peak.score, 4))] if -peak.score > largest + _WORTH_TELLING else []
    return together + parts


def _marks(incidents: pa.Table, devices: pa.Array, sensors: pa.Array) -> list[list[Any]]:
    """device, sensor (positions), start, end, severity, open: for charts; the newest, if there are many."""
    there = pc.and_(pc.is_in(incidents["device"], devices), pc.is_in(incidents["sensor"], sensors))
    order = [("start", "descending"), ("device", "ascending"), ("sensor", "ascending")]
    rows = incidents.filter(there).sort_by(order).slice(0, MAX_MARKS)
    return _rows(
        _positions(rows["device"], devices),
        _positions(rows["sensor"], sensors),
        to_seconds(rows["start"]),
        to_seconds(rows["end"]),
        map(_four_digits, rows["peak_severity"].to_pylist()),
        are(rows["state"], "open").tolist(),
    )
