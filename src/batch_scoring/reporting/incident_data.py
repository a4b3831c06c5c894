"""Collect the incidents of the report page as its script reads them, bounded in number."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.reporting.details import Peak
from batch_scoring.reporting.incident_list import IncidentList

MAX_SENSORS_NAMED = 8
MAX_MARKS = 5000
# A window this much rarer than its rarest feature is anomalous by the combination.
_WORTH_TELLING = 0.1


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
        ``rows`` are device, start, end, open, sensors, how many, incidents, windows, severity, feature,
        and ``of``: the sensors' incidents, each sensor, start, end, open, windows, severity, feature,
        when its peak was, the value then, how rare an alarm must be, and how rare the peak was by feature.
        Times are seconds since the epoch, scores are decades.
    """
    behind: dict[int, list[list[Any]]] = {}
    for row, peak in zip(found.sensors.to_pylist(), peaks, strict=True):
        behind.setdefault(row["of"], []).append(_sensor_row(row, peak))
    shown = found.devices.slice(0, at_most).to_pylist()
    is_open = pc.equal(found.devices["state"], "open")
    return {
        "known": found.is_known,
        "n": found.devices.num_rows,
        "n_open": pc.sum(is_open).as_py() or 0,
        "n_single": pc.sum(pc.equal(found.devices["n_windows"], 1)).as_py() or 0,
        "since": _seconds(pc.min(found.devices["start"]).as_py()),
        "decades": any(peak is not None and peak.contributions for peak in peaks),
        "rows": [_device_row(row, behind.get(number, [])) for number, row in enumerate(shown)],
        "marks": _marks(found.of_page, devices, sensors),
    }


def _device_row(row: dict[str, Any], behind: list[list[Any]]) -> list[Any]:
    return [
        row["device"],
        _seconds(row["start"]),
        _seconds(row["end"]),
        row["state"] == "open",
        row["sensors"][:MAX_SENSORS_NAMED],
        row["n_sensors"],
        row["n_incidents"],
        row["n_windows"],
        _finite(row["peak_severity"]),
        row["top_feature"],
        behind,
    ]


def _sensor_row(row: dict[str, Any], peak: Peak | None) -> list[Any]:
    return [
        row["sensor"],
        _seconds(row["start"]),
        _seconds(row["end"]),
        row["state"] == "open",
        row["n_windows"],
        _finite(row["peak_severity"]),
        row["top_feature"],
        _seconds(row["peak_at"]),
        _finite(peak.value) if peak else None,
        _finite(-peak.threshold) if peak and peak.threshold is not None else None,
        _parts(peak) if peak else [],
    ]


def _parts(peak: Peak) -> list[tuple[str, float]]:
    """Feature and decades, the largest first; without a feature, those of all of them together."""
    parts = [(name, _rounded(decades)) for name, decades in peak.contributions if 0 < decades < np.inf]
    parts.sort(key=lambda part: (-part[1], part[0]))
    if not peak.contributions or peak.score is None or not np.isfinite(peak.score):
        return parts
    largest = parts[0][1] if parts else 0.0
    together = [("", _rounded(-peak.score))] if -peak.score > largest + _WORTH_TELLING else []
    return together + parts


def _marks(incidents: pa.Table, devices: pa.Array, sensors: pa.Array) -> list[list[Any]]:
    """device, sensor (positions), start, end, severity, open: for charts; the newest, if there are many."""
    there = pc.and_(pc.is_in(incidents["device"], devices), pc.is_in(incidents["sensor"], sensors))
    order = [("start", "descending"), ("device", "ascending"), ("sensor", "ascending")]
    rows = incidents.filter(there).sort_by(order).slice(0, MAX_MARKS)
    return [
        list(row)
        for row in zip(
            pc.index_in(rows["device"], devices).to_pylist(),
            pc.index_in(rows["sensor"], sensors).to_pylist(),
            map(_seconds, rows["start"].to_pylist()),
            map(_seconds, rows["end"].to_pylist()),
            map(_finite, rows["peak_severity"].to_pylist()),
            pc.equal(rows["state"], "open").to_pylist(),
            strict=True,
        )
    ]


def _seconds(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()


def _finite(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else _rounded(value)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
