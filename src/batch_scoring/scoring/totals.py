"""Add predictions up to daily totals, a row a device, sensor, day and version."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.moments import DAY_US
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
from batch_scoring.tables.schemas import BIN_EDGES, DAILY, DAILY_KEY, TIMESTAMP

STATUSES = ("ok", "no_model", "no_data", "bad_features")
SERIES_DAY = ("sensor", "device", "day")
# The columns of predictions that are added up.
COUNTED = (
    *("window_start", "window_end", "device", "sensor"),
    *("score", "threshold", "is_anomaly", "severity", "model_version"),
)

# Whether the scores of a version of a sensor are log10 of tail probabilities.
States = Callable[[str, str], bool]


def scored_totals(predictions: pa.Table, states: States) -> pa.Table:
    """Add up predictions.

    Parameters
    ----------
    predictions : pyarrow.Table
        The columns COUNTED, in any order.
    states : callable
        Whether the scores of a sensor and version are log10 of tail probabilities; else ``decades`` is empty.

    Returns
    -------
    pyarrow.Table
        Schema DAILY, sorted by DAILY_KEY.
    """
    if predictions.num_rows == 0:
        return empty_table(DAILY)
    texts = ("sensor", "device", "model_version")
    names = {name: distinct(predictions[name]) for name in texts}
    start = to_numpy(predictions["window_start"])
    sensor, device, version = (positions(predictions[name], names[name]) for name in texts)
    keys = (sensor, device, np.floor_divide(start, DAY_US), version)
    order, first, last, row = _group(keys, start)
    sensor, device, day, version = (key[order][first] for key in keys)
    start = start[order]

    def column(name: str, null: float | None = None) -> pa.Array:
        return to_numpy(predictions[name], null=null)[order]

    flagged = column("is_anomaly")
    anomalies = np.add.reduceat(flagged.astype(np.int64), first)
    flagged_start = np.maximum.reduceat(np.where(flagged, start, np.iinfo(np.int64).min), first)
    pairs = list(zip(sensor.tolist(), version.tolist(), strict=True))
    known = {
        pair: states(names["sensor"][pair[0]].as_py(), names["model_version"][pair[1]].as_py())
        for pair in set(pairs)
    }
    columns = {
        "day": _times(day * DAY_US),
        "device": names["device"].take(to_arrow(device)),
        "sensor": names["sensor"].take(to_arrow(sensor)),
        "model_version": names["model_version"].take(to_arrow(version)),
        "status": constant("ok", first.size),
        "n_unscored": to_arrow(np.zeros(first.size, np.int64)),
        "n_windows": to_arrow(last - first + 1),
        "n_anomalies": to_arrow(anomalies),
        "n_alarms": to_arrow(np.add.reduceat(begins_alarm(row, flagged).astype(np.int64), first)),
        "begins_flagged": to_arrow(flagged[first]),
        "ends_flagged": to_arrow(flagged[last]),
        "first_start": _times(start[first]),
        "last_start": _times(start[last]),
        "last_end": _times(column("window_end")[last]),
        "last_anomaly": _known(_times(flagged_start), anomalies > 0),
        "severity": to_arrow(np.maximum.reduceat(np.nan_to_num(column("severity", 0.0)), first)),
        "threshold": to_arrow(column("threshold")[last]),
        "decades": _decades(-column("score", np.nan), row, np.array([known[pair] for pair in pairs])),
    }
    return pa.table(columns, schema=DAILY)


def unscored_totals(windows: pa.Table, has_model: Bool) -> pa.Table:
    """Count windows that were left without a prediction.

    Parameters
    ----------
    windows : pyarrow.Table
        Columns sensor, device and window_start.
    has_model : array of shape (n,), bool
        Whether the device has a model; then a feature was not finite.

    Returns
    -------
    pyarrow.Table
        Schema DAILY, sorted by DAILY_KEY; a row a device, sensor and day, without a version.
    """
    if windows.num_rows == 0:
        return empty_table(DAILY)
    sensors, devices = distinct(windows["sensor"]), distinct(windows["device"])
    start = to_numpy(windows["window_start"])
    days = np.floor_divide(start, DAY_US)
    keys = (positions(windows["sensor"], sensors), positions(windows["device"], devices), days)
    order, first, last, _ = _group(keys, start)
    sensor, device, day = (key[order][first] for key in keys)
    start = start[order]
    return _without_predictions(
        sensors.take(to_arrow(sensor)),
        devices.take(to_arrow(device)),
        day,
        np.where(has_model[order][first], STATUSES.index("bad_features"), STATUSES.index("no_model")),
        last - first + 1,
        (_times(start[first]), _times(start[last])),
    )


def silent_totals(sensor: str, devices: pa.Array, day: int) -> pa.Table:
    """Build the rows of devices that have a model and no window on a day (number since the epoch)."""
    n = len(devices)
    nothing = pa.nulls(n, TIMESTAMP)
    status = np.full(n, STATUSES.index("no_data"))
    return _without_predictions(
        constant(sensor, n), devices, np.full(n, day), status, np.zeros(n, np.int64), (nothing, nothing)
    )


def merge_totals(stored: pa.Table, new: pa.Table) -> pa.Table:
    """Merge the totals of windows with those of earlier windows.

    Parameters
    ----------
    stored, new : pyarrow.Table
        Schema DAILY; no window of ``new`` is as early as the last stored one of its device, sensor and day.

    Returns
    -------
    pyarrow.Table
        Schema DAILY, sorted by DAILY_KEY, a row a key. A row that says no data is left out where the device
        has another one that day.
    """
    both = pa.concat_tables([stored, new]).combine_chunks()
    if both.num_rows == 0:
        return both
    keys = row_fingerprints(both, DAILY_KEY)
    order = np.argsort(keys, kind="stable")
    pair = np.flatnonzero(np.diff(keys[order]) == 0)
    old, added = order[pair], order[pair + 1]
    single = np.ones(both.num_rows, bool)
    single[old] = single[added] = False
    rows = [both.filter(to_arrow(single)), _add_up(both, old, added)]
    return sorted_totals(_without_needless_silence(pa.concat_tables(rows)))


def late_series(stored: pa.Table, new: pa.Table) -> pa.Table:
    """Find the series and days with a new window that is not later than all counted ones.

    Parameters
    ----------
    stored, new : pyarrow.Table
        The columns sensor, device, day, first_start and last_start.

    Returns
    -------
    pyarrow.Table
        Columns sensor, device and day.
    """
    counted = stored.filter(pc.is_valid(stored["last_start"])).combine_chunks()
    keys, row = np.unique(row_fingerprints(counted, SERIES_DAY), return_inverse=True)
    last = np.full(keys.size + 1, np.iinfo(np.int64).min)
    np.maximum.at(last, row, to_numpy(counted["last_start"]))
    mine = row_fingerprints(new, SERIES_DAY)
    place = np.searchsorted(keys, mine)
    is_stored = np.append(keys, np.uint64(0))[place] == mine
    is_stored &= place < keys.size
    is_late = is_stored & (to_numpy(new["first_start"]) <= last[place])
    return new.filter(to_arrow(is_late)).select(list(SERIES_DAY))


def states(totals: pa.Table) -> dict[str, int]:
    """Count series and days by status; a series with windows without a prediction is not ``ok``."""
    if totals.num_rows == 0:
        return {}
    keys, row = np.unique(row_fingerprints(totals, SERIES_DAY), return_inverse=True)
    rank = np.zeros(totals.num_rows, np.int64)
    for place, name in enumerate(STATUSES):
        rank[are(totals["status"], name)] = place
    worst = np.zeros(keys.size, np.int64)
    np.maximum.at(worst, row, rank)
    counts = np.bincount(worst, minlength=len(STATUSES)).tolist()
    return {name: n for name, n in zip(STATUSES, counts, strict=True) if n}


def sorted_totals(rows: pa.Table) -> pa.Table:
    """Sort by DAILY_KEY."""
    if rows.num_rows == 0:
        return rows
    keys = [
        to_numpy(rows[name]) if name == "day" else positions(rows[name], distinct(rows[name]))
        for name in DAILY_KEY
    ]
    order = _order(*keys)
    return rows.combine_chunks() if isinstance(order, slice) else rows.take(to_arrow(order)).combine_chunks()


def _group(keys: Sequence[Int], start: Int) -> tuple[Int | slice, Int, Int, Int]:
    """Group rows, at least one: their order, each group's first and last place, and each place's group."""
    order = _order(*keys, start)
    is_first = np.append(True, np.logical_or.reduce([np.diff(key[order]) != 0 for key in keys]))
    first = np.flatnonzero(is_first)
    return order, first, np.append(first[1:], start.size) - 1, np.cumsum(is_first) - 1


def _order(*keys: Int) -> Int | slice:
    """Return the order of rows by several keys; of sorted ones a slice, which copies nothing."""
    is_tie, is_sorted = np.ones(max(keys[0].size - 1, 0), bool), True
    for key in keys:
        step = np.diff(key)
        is_sorted &= not (is_tie & (step < 0)).any()
        is_tie &= step == 0
    return slice(None) if is_sorted else np.lexsort(tuple(reversed(keys)))


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
    columns = x | summed
    # Of a row without predictions, the reason that the last window had.
    columns["status"] = y["status"]
    columns["begins_flagged"] = pc.if_else(to_arrow(has_old), x["begins_flagged"], y["begins_flagged"])
    columns["ends_flagged"] = pc.if_else(to_arrow(has_new), y["ends_flagged"], x["ends_flagged"])
    columns["first_start"] = pc.coalesce(x["first_start"], y["first_start"])
    for name in ("last_start", "last_end", "last_anomaly", "threshold"):
        columns[name] = pc.coalesce(y[name], x[name])
    columns["severity"] = to_arrow(np.maximum(to_numpy(a["severity"]), to_numpy(b["severity"])))
    columns["decades"] = _sum_of_lists(x["decades"], y["decades"])
    return pa.table(columns, schema=DAILY)


def _without_needless_silence(rows: pa.Table) -> pa.Table:
    is_silent = are(rows["status"], "no_data")
    if not is_silent.any():
        return rows
    series = row_fingerprints(rows, SERIES_DAY)
    return rows.filter(to_arrow(~is_silent | ~np.isin(series, series[~is_silent])))


def _without_predictions(
    sensors: pa.Array, devices: pa.Array, day: Int, status: Int, n: Int, starts: Sequence[pa.Array]
) -> pa.Table:
    size = len(devices)
    nothing = pa.nulls(size, TIMESTAMP)
    zeros, no = to_arrow(np.zeros(size, np.int64)), to_arrow(np.zeros(size, bool))
    columns = {
        "day": _times(day * DAY_US),
        "device": devices,
        "sensor": sensors,
        "model_version": constant("", size),
        "status": strings(STATUSES).take(to_arrow(status)),
        "n_unscored": to_arrow(n.astype(np.int64)),
        **dict.fromkeys(("n_windows", "n_anomalies", "n_alarms"), zeros),
        **dict.fromkeys(("begins_flagged", "ends_flagged"), no),
        **dict(zip(("first_start", "last_start"), starts, strict=True)),
        **dict.fromkeys(("last_end", "last_anomaly"), nothing),
        "severity": to_arrow(np.zeros(size)),
        "threshold": pa.nulls(size, pa.float64()),
        "decades": _lists(np.zeros(0, np.int64), np.zeros(size, np.int64)),
    }
    return pa.table(columns, schema=DAILY)


def _decades(decades: Float, row: Int, are_known: Bool) -> pa.Array:
    bins = len(BIN_EDGES) + 1
    is_scored = np.isfinite(decades)
    if not is_scored.all():  # a machine that is off has no score
        decades, row = decades[is_scored], row[is_scored]
    place = np.searchsorted(np.array(BIN_EDGES), decades, "right")
    counts = np.bincount(row * bins + place, minlength=are_known.size * bins).reshape(-1, bins)
    return _lists(counts[are_known].ravel(), np.where(are_known, bins, 0))


def _sum_of_lists(x: pa.Array, y: pa.Array) -> pa.Array:
    """Add lists of equal lengths; an empty one counts as zeros."""
    sizes = [to_numpy(pc.list_value_length(one)) for one in (x, y)]
    size = np.maximum(*sizes).astype(np.int64)
    total = np.zeros(size.sum(), np.int64)
    for one, its in zip((x, y), sizes, strict=True):
        total[np.repeat(its > 0, size)] += to_numpy(one.flatten())
    return _lists(total, size)


def _lists(values: Int, sizes: Int) -> pa.Array:
    offsets = np.zeros(sizes.size + 1, np.int32)
    np.cumsum(sizes, out=offsets[1:])
    return pa.ListArray.from_arrays(to_arrow(offsets), to_arrow(values)).cast(DAILY.field("decades").type)


def _times(microseconds: Int) -> pa.Array:
    return to_arrow(np.ascontiguousarray(microseconds)).view(TIMESTAMP)


def _known(array: pa.Array, is_known: Bool) -> pa.Array:
    mask = pa.py_buffer(np.packbits(is_known, bitorder="little"))
    return pa.Array.from_buffers(array.type, len(array), [mask, array.buffers()[1]])
