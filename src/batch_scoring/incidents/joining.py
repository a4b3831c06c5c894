"""Join anomalous windows of devices and sensors to incidents, one period after the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.incidents.evidence import KEPT_A_WINDOW, window_evidence
from batch_scoring.plant.rules import LIMIT
from batch_scoring.tables.arrays import Bool, Float, Int, UInt
from batch_scoring.tables.arrow_arrays import (
    are,
    distinct,
    empty_table,
    positions,
    strings,
    to_arrow,
    to_numpy,
)
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.schemas import INCIDENTS, LEVEL_FEATURE, OF_LEVEL, OF_LEVEL_PEAK, OF_PEAK

_SERIES = ("sensor", "device")
# A row of INCIDENTS that may grow: its id and state follow from the rest.
_RUN = pa.schema(
    [
        *(field for field in INCIDENTS if field.name not in ("incident_id", "state")),
        pa.field("is_incident", pa.bool_()),
    ]
)


@dataclass(frozen=True)
class JoinRules:
    """When anomalous windows of a device and sensor are one incident.

    Attributes
    ----------
    tolerated_gap : int
        Maximum number of normal or missing windows between two anomalous windows of a run.
    min_windows : int
        Minimum number of anomalous windows of a run that begins an incident.
    cool_down_us : int
        An anomalous window within this time after an incident's end extends it, microseconds. Never
        shorter in effect than the tolerated gap.
    """

    tolerated_gap: int = 2
    min_windows: int = 1
    cool_down_us: int = 0


def join_windows(windows: pa.Table, unfinished: pa.Table, rules: JoinRules) -> tuple[pa.Table, pa.Table]:
    """Join anomalous windows and the unfinished incidents before them to incidents.

    Windows may be passed at once or period by period, each with what the one before has left
    unfinished: the incidents are the same.

    Parameters
    ----------
    windows : pyarrow.Table
        The columns JUDGED of predictions, sorted by sensor, device and window_start. Of the normal
        windows only the last one of each series matters.
    unfinished : pyarrow.Table
        Schema INCIDENTS, at most one row a series; of earlier windows only.
    rules : JoinRules

    Returns
    -------
    closed : pyarrow.Table
        Schema INCIDENTS, sorted by sensor, device and start: incidents that no later window can extend.
        ``start`` is the start of the first anomalous window, ``end`` the end of the last one;
        severity, feature and model are those of the first window of the largest severity, and level those
        of the first one of these that the mean leads; it is
        ``warming_up`` where all its anomalous windows are, and ``beyond_limits`` where one is. The id is
        derived from sensor, device and start, so it stays the same as the incident grows.
    unfinished : pyarrow.Table
        Schema INCIDENTS, sorted in the same way, at most one row a series: incidents that are ``open`` or
        ``forming``. A series without windows keeps its row: it has not been observed to recover.
    """
    runs = pa.concat_tables([_as_runs(unfinished), _as_runs_of_one(windows)])
    if runs.num_rows == 0:
        return empty_table(INCIDENTS), empty_table(INCIDENTS)
    sensors, devices = (distinct(unfinished[name], windows[name]) for name in _SERIES)

    def series(rows: pa.Table) -> Int:
        return positions(rows["sensor"], sensors) * len(devices) + positions(rows["device"], devices)

    order = np.lexsort((to_numpy(runs["start"]), series(runs)))
    runs = runs.take(to_arrow(order)).combine_chunks()
    joined = _join(runs, series(runs), rules)
    number, end = series(joined), to_numpy(joined["end"])
    is_incident = to_numpy(joined["is_incident"])

    has_windows, seen, length = _last_windows(windows, series(windows), number)
    gap = rules.tolerated_gap * length
    reach = np.where(is_incident, np.maximum(gap, rules.cool_down_us), gap)
    is_last = np.append(number[1:] != number[:-1], True)
    goes_on = is_last & (~has_windows | (seen - end <= reach))
    return (
        _as_incidents(joined.filter(to_arrow(is_incident & ~goes_on)), "closed"),
        _as_incidents(joined.filter(to_arrow(goes_on)), "open"),
    )


def hex_digits(numbers: UInt) -> pa.Array:
    """Each number as 16 hexadecimal digits.

    Examples
    --------
    >>> hex_digits(np.array([255, 2**63], np.uint64)).to_pylist()
    ['00000000000000ff', '8000000000000000']
    """
    data = np.ascontiguousarray(numbers, ">u8").view(np.uint8)
    nibbles = np.stack([data >> 4, data & 15], axis=-1)
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)[nibbles]
    offsets = np.arange(numbers.size + 1, dtype=np.int32) * 16
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(digits))]
    return pa.Array.from_buffers(pa.string(), numbers.size, buffers)


def _as_runs(incidents: pa.Table) -> pa.Table:
    known = [incidents[name] for name in _RUN.names if name != "is_incident"]
    is_incident = to_arrow(~are(incidents["state"], "forming"))
    return pa.Table.from_arrays([*known, is_incident], schema=_RUN)


def _as_runs_of_one(windows: pa.Table) -> pa.Table:
    """Convert each anomalous window to a run."""
    rows = windows.filter(windows["is_anomaly"])
    n = rows.num_rows
    # NaN is not a valid severity and could not be a peak.
    severity = np.nan_to_num(to_numpy(rows["severity"], null=0.0), nan=0.0, posinf=np.inf)
    is_level = are(rows["top_feature"], LEVEL_FEATURE)
    of_level = {
        own: pc.if_else(to_arrow(is_level), rows[name], pa.nulls(n, pa.float64()))
        for own, name in zip(OF_LEVEL_PEAK, OF_PEAK, strict=True)
    }
    columns = {
        **{name: rows[name] for name in (*_SERIES, "top_feature", "model_version")},
        "start": rows["window_start"],
        "end": rows["window_end"],
        "n_windows": to_arrow(np.ones(n, np.int64)),
        "peak_severity": to_arrow(severity),
        "peak_at": rows["window_start"],
        **dict.fromkeys(("evidence", "evidence_at_end"), to_arrow(window_evidence(rows))),
        "warming_up": to_arrow(to_numpy(rows["warming_up"], null=False)),
        "beyond_limits": to_arrow(are(rows["rule"], LIMIT)),
        "shift": pa.nulls(n, pa.float64()),
        "among_rare": to_arrow(np.zeros(n, bool)),
        "step": pa.nulls(n, pa.float64()),
        "unit": pa.nulls(n, pa.string()),
        **{name: rows[name] for name in OF_PEAK},
        "n_level": to_arrow(is_level.astype(np.int64)),
        "level_severity": pc.if_else(to_arrow(is_level), to_arrow(severity), pa.nulls(n, pa.float64())),
        **of_level,
        "is_incident": to_arrow(np.zeros(n, bool)),
    }
    return pa.Table.from_arrays([columns[name] for name in _RUN.names], schema=_RUN)


def _as_incidents(runs: pa.Table, state: str) -> pa.Table:
    """Add id and state to runs; a run that is no incident yet is ``forming``."""
    is_incident = to_numpy(runs["is_incident"])
    columns = {name: runs[name] for name in _RUN.names}
    columns["state"] = strings(["forming", state]).take(to_arrow(is_incident.astype(np.int64)))
    columns["incident_id"] = hex_digits(row_fingerprints(runs, ["sensor", "device", "start"]))
    return pa.Table.from_arrays([columns[name] for name in INCIDENTS.names], schema=INCIDENTS)


def _last_windows(windows: pa.Table, series: Int, wanted: Int) -> tuple[Bool, Int, Int]:
    """Look up the last window of each wanted series: whether there is one, its end, and its length."""
    last = np.flatnonzero(np.append(series[1:] != series[:-1], True)) if series.size else series
    if last.size == 0:
        nothing = np.zeros(wanted.size, np.int64)
        return nothing > 0, nothing, nothing
    start, end = (to_numpy(windows[name])[last] for name in ("window_start", "window_end"))
    place = np.minimum(np.searchsorted(series[last], wanted), last.size - 1)
    return series[last][place] == wanted, end[place], (end - start)[place]


def _join(runs: pa.Table, series: Int, rules: JoinRules) -> pa.Table:
    """Join runs sorted by series and start; keeps a series' last run even if not yet an incident."""
    start, end = to_numpy(runs["start"]), to_numpy(runs["end"])
    gap = rules.tolerated_gap * (end - start)
    is_first = np.append(True, series[1:] != series[:-1])
    away = np.append(0, start[1:] - end[:-1])
    begins_cluster = is_first | (away > np.maximum(gap, rules.cool_down_us))
    begins_run = is_first | (away > gap)
    kept, is_incident = _from_first_long_run(runs, begins_run, begins_cluster, rules.min_windows)

    runs = runs.filter(to_arrow(kept)).combine_chunks()
    cluster = (np.cumsum(begins_cluster) - 1)[kept]
    first = np.flatnonzero(np.append(True, cluster[1:] != cluster[:-1]))
    last = np.append(first[1:], cluster.size) - 1
    peaks, of_level = (
        to_arrow(_peaks(to_numpy(runs[name], null=-np.inf), first))
        for name in ("peak_severity", "level_severity")
    )
    columns = {name: runs[name].take(of_level if name in OF_LEVEL else peaks) for name in _RUN.names}
    columns["start"] = runs["start"].take(to_arrow(first))
    columns["end"] = runs["end"].take(to_arrow(last))
    for name in ("n_windows", "n_level"):
        columns[name] = to_arrow(np.add.reduceat(to_numpy(runs[name], null=0), first))
    columns["evidence"], columns["evidence_at_end"] = map(to_arrow, _evidence(runs, first, last))
    is_young = to_numpy(runs["warming_up"], null=False)
    columns["warming_up"] = to_arrow(np.logical_and.reduceat(is_young, first))
    for name in ("beyond_limits", "among_rare"):
        columns[name] = to_arrow(np.logical_or.reduceat(to_numpy(runs[name], null=False), first))
    columns["is_incident"] = to_arrow(is_incident)
    return pa.table(columns, schema=_RUN)


def _from_first_long_run(
    runs: pa.Table, begins_run: Bool, begins_cluster: Bool, min_windows: int
) -> tuple[Bool, Bool]:
    """Mark the rows to keep, shape (n,), and the clusters that are incidents, (n_clusters,).

    A cluster is what the cool-down would join. Its incident begins with its first long enough
    run; without one, only its last run can still become an incident.
    """
    run_start = np.flatnonzero(begins_run)
    n_windows = np.add.reduceat(to_numpy(runs["n_windows"]), run_start)
    is_long = (n_windows >= min_windows) | np.logical_or.reduceat(to_numpy(runs["is_incident"]), run_start)
    first_run = np.flatnonzero(begins_cluster[run_start])
    last_run = np.append(first_run[1:], run_start.size) - 1
    long_run = np.minimum.reduceat(np.where(is_long, np.arange(is_long.size), is_long.size), first_run)
    is_incident = long_run < is_long.size
    begin = np.where(is_incident, long_run, last_run)
    run, cluster = np.cumsum(begins_run) - 1, np.cumsum(begins_cluster) - 1
    return run >= begin[cluster], is_incident


def _evidence(runs: pa.Table, row: Int, last: Int) -> tuple[Float, Float]:
    """Add up the evidence of the rows of each group: the largest sum so far, and the sum at its end.

    A group begins at ``row``, which may have grown before, and each other row up to ``last`` is a window.
    The window's own evidence fades by the windows since; see :mod:`~batch_scoring.incidents.evidence`.
    """
    start, end = to_numpy(runs["start"]), to_numpy(runs["end"])
    most, total = (to_numpy(runs[name]).copy() for name in ("evidence", "evidence_at_end"))
    ends = last
    while (goes_on := row < last).any():
        last, row = last[goes_on], row[goes_on] + 1
        n_windows = (end[row] - end[row - 1]) / (end[row] - start[row])
        total[row] += total[row - 1] * KEPT_A_WINDOW**n_windows
        most[row] = np.maximum(most[row - 1], total[row])
    return most[ends], total[ends]


def _peaks(severity: Float, first: Int) -> Int:
    """Find the first row of the largest severity in each group, given the groups' first rows."""
    largest = np.repeat(np.maximum.reduceat(severity, first), np.diff(first, append=severity.size))
    candidates = np.flatnonzero(severity == largest)
    return candidates[np.searchsorted(candidates, first)]
