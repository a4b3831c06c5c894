"""Add predictions up to daily totals, a row a device, sensor, day and version."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.detection.flag_rate import begins_alarm
from batch_scoring.tables.arrays import Bool, Float, Int
from batch_scoring.tables.arrow_arrays import (
    are,
    constant,
    distinct,
    empty_table,
    positions,
    strings,
    to_arrow,
    to_numpy,
)
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.pieces import DAY_US
from batch_scoring.tables.schemas import BIN_EDGES, DAILY, DAILY_KEY, TIMESTAMP

STATUSES = ("ok", "no_model", "no_data", "bad_features")
_SERIES_DAY = ("sensor", "device", "day")


def scored_totals(predictions: pa.Table, states_tail_probability: bool) -> pa.Table:
    """Add up predictions of one sensor.

    Parameters
    ----------
    predictions : pyarrow.Table
        Schema PREDICTIONS, of one sensor, in any order.
    states_tail_probability : bool
        Whether scores are log10 of a tail probability; else ``decades`` is empty.

    Returns
    -------
    pyarrow.Table
        Schema DAILY, sorted by DAILY_KEY.
    """
    if predictions.num_rows == 0:
        return empty_table(DAILY)
    devices, versions = distinct(predictions["device"]), distinct(predictions["model_version"])
    start = to_numpy(predictions["window_start"])
    device, version = (
        positions(predictions["device"], devices),
        positions(predictions["model_version"], versions),
    )
    day = np.floor_divide(start, DAY_US)
    order = np.lexsort((start, version, day, device))
    device, version, day, start = device[order], version[order], day[order], start[order]
    is_first = np.ones(start.size, bool)
    is_first[1:] = (np.diff(device) != 0) | (np.diff(day) != 0) | (np.diff(version) != 0)
    first = np.flatnonzero(is_first)
    last = np.append(first[1:], start.size) - 1
    flagged = to_numpy(predictions["is_anomaly"])[order]
    severity = np.nan_to_num(to_numpy(predictions["severity"], null=0.0)[order], nan=0.0)
    row = np.cumsum(is_first) - 1
    size = np.diff(first, append=start.size)
    anomalies = np.add.reduceat(flagged.astype(np.int64), first)
    flagged_start = np.maximum.reduceat(np.where(flagged, start, np.iinfo(np.int64).min), first)
    columns = {
        "day": _times(day[first] * DAY_US),
        "device": devices.take(to_arrow(device[first])),
        "sensor": constant(predictions["sensor"][0].as_py(), first.size),
        "model_version": versions.take(to_arrow(version[first])),
        "status": constant("ok", first.size),
        "n_unscored": to_arrow(np.zeros(first.size, np.int64)),
        "n_windows": to_arrow(size),
        "n_anomalies": to_arrow(anomalies),
        "n_alarms": to_arrow(np.add.reduceat(begins_alarm(row, flagged).astype(np.int64), first)),
        "begins_flagged": to_arrow(flagged[first]),
        "ends_flagged": to_arrow(flagged[last]),
        "first_start": _times(start[first]),
        "last_start": _times(start[last]),
        "last_end": _times(to_numpy(predictions["window_end"])[order][last]),
        "last_anomaly": _known(_times(flagged_start), anomalies > 0),
        "severity": to_arrow(np.maximum.reduceat(severity, first)),
        "threshold": to_arrow(to_numpy(predictions["threshold"])[order][last]),
        "decades": _decades(-to_numpy(predictions["score"])[order], row, first.size, states_tail_probability),
    }
    return _sorted(pa.table(columns, schema=DAILY))


def unscored_totals(windows: pa.Table, has_model: Bool) -> pa.Table:
    """Count the windows of one sensor that were left without a prediction.

    Parameters
    ----------
    windows : pyarrow.Table
        Columns sensor, device and window_start.
    has_model : array of shape (n,), bool
        Whether the device has a model; then a feature was not finite.

    Returns
    -------
    pyarrow.Table
        Schema DAILY, a row a device and day without a version.
    """
    if windows.num_rows == 0:
        return empty_table(DAILY)
    devices = distinct(windows["device"])
    day = np.floor_divide(to_numpy(windows["window_start"]), DAY_US)
    key = np.stack([positions(windows["device"], devices), day])
    (device, day), first, n = np.unique(key, axis=1, return_index=True, return_counts=True)
    status = np.where(has_model[first], STATUSES.index("bad_features"), STATUSES.index("no_model"))
    names = devices.take(to_arrow(np.ascontiguousarray(device)))
    return _without_windows(windows["sensor"][0].as_py(), names, day, status, n)


def silent_totals(sensor: str, devices: pa.Array, day: int) -> pa.Table:
    """Build the rows of devices that have a model and no window on a day (number since the epoch)."""
    n = len(devices)
    status = np.full(n, STATUSES.index("no_data"))
    return _without_windows(sensor, devices, np.full(n, day), status, np.zeros(n, np.int64))


def merge_totals(stored: pa.Table, new: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Merge the totals of later windows with stored ones.

    Parameters
    ----------
    stored, new : pyarrow.Table
        Schema DAILY, of the same days.

    Returns
    -------
    merged : pyarrow.Table
        Schema DAILY, sorted by DAILY_KEY, a row a key. A row that says no data is left out where the device has
        another one that day.
    overlapping : pyarrow.Table
        Columns sensor, device and day of the series that cannot be merged: a new window is not later than
        all stored ones.
    """
    both = pa.concat_tables([stored, new]).combine_chunks()
    if both.num_rows == 0:
        return both, both.select(list(_SERIES_DAY))
    keys = row_fingerprints(both, DAILY_KEY)
    is_new = np.arange(both.num_rows) >= stored.num_rows
    order = np.lexsort((is_new, keys))
    pair = np.flatnonzero((np.diff(keys[order]) == 0) & is_new[order[1:]] & ~is_new[order[:-1]])
    old, added = order[pair], order[pair + 1]
    first, last = (to_numpy(both[name], null=0) for name in ("first_start", "last_start"))
    windows = to_numpy(both["n_windows"])
    is_late = (first[added] <= last[old]) & (windows[old] > 0) & (windows[added] > 0)
    merged = _add_up(both, old[~is_late], added[~is_late])
    single = np.ones(both.num_rows, bool)
    single[old] = single[added] = False
    rows = pa.concat_tables([both.filter(to_arrow(single)), merged])
    overlapping = both.take(to_arrow(added[is_late])).select(list(_SERIES_DAY))
    return _sorted(_without_needless_silence(rows)), overlapping


def states(totals: pa.Table) -> dict[str, int]:
    """Count series and days by status; a series with windows without a prediction is not ``ok``."""
    if totals.num_rows == 0:
        return {}
    keys, row = np.unique(row_fingerprints(totals, _SERIES_DAY), return_inverse=True)
    rank = np.zeros(totals.num_rows, np.int64)
    for place, name in enumerate(STATUSES):
        rank[are(totals["status"], name)] = place
    worst = np.zeros(keys.size, np.int64)
    np.maximum.at(worst, row, rank)
    counts = np.bincount(worst, minlength=len(STATUSES)).tolist()
    return {name: n for name, n in zip(STATUSES, counts, strict=True) if n}


def _add_up(both: pa.Table, old: Int, added: Int) -> pa.Table:
    if old.size == 0:
        return empty_table(DAILY)
    a, b = both.take(to_arrow(old)), both.take(to_arrow(added))
    x, y = ({name: t[name].combine_chunks() for name in DAILY.names} for t in (a, b))
    has_old, has_new = (to_numpy(one["n_windows"]) > 0 for one in (a, b))
    goes_on = to_numpy(a["ends_flagged"]) & to_numpy(b["begins_flagged"])
    summed = {
        name: to_arrow(to_numpy(a[name]) + to_numpy(b[name]) - extra)
        for name, extra in (("n_unscored", 0), ("n_windows", 0), ("n_anomalies", 0), ("n_alarms", goes_on))
    }
    lists = [to_numpy(one["decades"].combine_chunks().flatten()) for one in (a, b)]
    counts = (
        lists[0] + lists[1]
        if lists[0].size == lists[1].size
        else np.maximum(lists[0].size and lists[0], lists[1])
    )
    columns = x | summed
    columns["status"] = pc.if_else(to_arrow(has_new | ~has_old), y["status"], x["status"])
    columns["begins_flagged"] = pc.if_else(to_arrow(has_old), x["begins_flagged"], y["begins_flagged"])
    columns["ends_flagged"] = pc.if_else(to_arrow(has_new), y["ends_flagged"], x["ends_flagged"])
    columns["first_start"] = pc.coalesce(x["first_start"], y["first_start"])
    for name in ("last_start", "last_end", "last_anomaly", "threshold"):
        columns[name] = pc.coalesce(y[name], x[name])
    columns["severity"] = to_arrow(np.maximum(to_numpy(a["severity"]), to_numpy(b["severity"])))
    columns["decades"] = _lists(counts, old.size)
    return pa.table(columns, schema=DAILY)


def _without_needless_silence(rows: pa.Table) -> pa.Table:
    is_silent = are(rows["status"], "no_data")
    if not is_silent.any():
        return rows
    series = row_fingerprints(rows, _SERIES_DAY)
    return rows.filter(to_arrow(~is_silent | ~np.isin(series, series[~is_silent])))


def _without_windows(sensor: str, devices: pa.Array, day: Int, status: Int, n: Int) -> pa.Table:
    size = len(devices)
    nothing = pa.nulls(size, TIMESTAMP)
    zeros, no = to_arrow(np.zeros(size, np.int64)), to_arrow(np.zeros(size, bool))
    columns = {
        "day": _times(day * DAY_US),
        "device": devices,
        "sensor": constant(sensor, size),
        "model_version": constant("", size),
        "status": strings(STATUSES).take(to_arrow(status)),
        "n_unscored": to_arrow(n.astype(np.int64)),
        **dict.fromkeys(("n_windows", "n_anomalies", "n_alarms"), zeros),
        **dict.fromkeys(("begins_flagged", "ends_flagged"), no),
        **dict.fromkeys(("first_start", "last_start", "last_end", "last_anomaly"), nothing),
        "severity": to_arrow(np.zeros(size)),
        "threshold": pa.nulls(size, pa.float64()),
        "decades": _lists(np.zeros(0, np.int64), size),
    }
    return _sorted(pa.table(columns, schema=DAILY))


def _decades(decades: Float, row: Int, n: int, are_known: bool) -> pa.Array:
    if not are_known:
        return _lists(np.zeros(0, np.int64), n)
    bins = len(BIN_EDGES) + 1
    place = np.searchsorted(np.array(BIN_EDGES), decades, "right")
    return _lists(np.bincount(row * bins + place, minlength=n * bins), n)


def _lists(values: Int, n: int) -> pa.Array:
    width = values.size // n if n else 0
    offsets = to_arrow(np.arange(n + 1, dtype=np.int32) * np.int32(width))
    return pa.ListArray.from_arrays(offsets, to_arrow(values)).cast(DAILY.field("decades").type)


def _sorted(rows: pa.Table) -> pa.Table:
    return rows.sort_by([(name, "ascending") for name in DAILY_KEY]).combine_chunks()


def _times(microseconds: Int) -> pa.Array:
    return to_arrow(np.ascontiguousarray(microseconds)).view(TIMESTAMP)


def _known(array: pa.Array, is_known: Bool) -> pa.Array:
    mask = pa.py_buffer(np.packbits(is_known, bitorder="little"))
    return pa.Array.from_buffers(array.type, len(array), [mask, array.buffers()[1]])
