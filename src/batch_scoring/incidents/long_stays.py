"""Make incidents of stays that last longer than any of training explains."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.moments import HOUR_US
from batch_scoring.incidents.calendar import Calendar
from batch_scoring.incidents.joining import hex_digits
from batch_scoring.incidents.silence import Gaps
from batch_scoring.incidents.stretches import join_stretches, overlap
from batch_scoring.incidents.sums import states, times
from batch_scoring.plant.devices import Devices
from batch_scoring.tables.arrays import Bool, Float, Int
from batch_scoring.tables.arrow_arrays import constant, empty_table, positions, strings, to_arrow, to_numpy
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.schemas import INCIDENTS, PREDICTIONS, STAY, STAYS

SERIES = ("sensor", "device")
_READ = (*SERIES, "window_start", "window_end", "value", "model_version")
MEASURED = pa.schema([PREDICTIONS.field(name) for name in _READ])
AT_ONE_LEVEL = "stays at one level since"
_NEVER = 2**62
_ADVICE = pa.field("advice", pa.string())
# A limit that is longer says nothing, hours: a century. The longest tails exceed what a time can hold.
_LONGEST = 1e6
# Between these shares lie the values of a level; windows come to it, and some are wild. Fewer show none.
_NEARLY_ALL, _LEAST = (0.05, 0.95), 12
# What a stay counts at the length from which it is too long; ten times as long it counts twice as much.
_EVIDENCE = 1.5


def long_stays(stays: pa.Table, known: Gaps, devices: Devices, calendar: Calendar, since: int) -> pa.Table:
    """Find the stays that were too long, as incidents that begin when they had lasted as long as is usual.

    A stay ends where the sensor falls silent: what it did then is not known. The time does not count that the
    calendar leaves out.

    Parameters
    ----------
    stays : pyarrow.Table
        Schema STAYS.
    known : Gaps
        Of machines.
    devices : Devices
    calendar : Calendar
    since : int
        What ended earlier is left out, microseconds since the epoch.

    Returns
    -------
    pyarrow.Table
        Schema INCIDENTS with ``advice``; no window of them is anomalous.
    """
    stays = devices.with_newest(stays)
    sensor, device = positions(stays["sensor"], known.sensors), positions(stays["device"], known.devices)
    series = np.where((sensor >= 0) & (device >= 0), device * len(known.sensors) + sensor, -1)
    order = np.lexsort((to_numpy(stays["start"]), series))
    stays, series, start = stays.take(to_arrow(order)), series[order], to_numpy(stays["start"])[order]
    # What a machine does under its next id ends what it did under the former one.
    goes_on = np.append(series[1:] == series[:-1], False)[: series.size]
    end, has_ended = to_numpy(stays["end"], null=known.now), to_numpy(stays["end"].is_valid()) | goes_on
    end = np.where(goes_on, np.minimum(end, np.append(start[1:], 0)[: start.size]), end)
    rows = np.flatnonzero((series >= 0) & (to_numpy(stays["may_stay"]) < _LONGEST))
    if not rows.size:
        return empty_table(INCIDENTS.append(_ADVICE))
    stays = stays.take(to_arrow(rows)).combine_chunks()
    series, start, end, has_ended = series[rows], start[rows], end[rows], has_ended[rows]
    usual = (to_numpy(stays["may_stay"]) * HOUR_US).astype(np.int64)
    end, is_open = _until(series, start, end, known)
    row = np.arange(start.size)
    left_out = calendar.stretches(stays["device"], stays["sensor"], int(start.min()), known.now)
    left_out = join_stretches(*left_out, 0)
    # What does not count puts off when it is too long, which may lie in such a time again.
    before, begin = start, start + usual
    while (begin > before).any():
        before, begin = begin, start + usual + overlap(row, start, np.minimum(begin, end), left_out)
    rows = np.flatnonzero((begin < end) & (end >= since))
    hours = (end - start - overlap(row, start, end, left_out))[rows] / HOUR_US
    return _incidents(stays.take(to_arrow(rows)), begin[rows], end[rows], (is_open & ~has_ended)[rows], hours)


def stay_words(since: datetime, usual: float) -> str:
    """Say since when a machine stays at a level, and up to how many hours that is usual."""
    return f"{AT_ONE_LEVEL} {since:%Y-%m-%d %H:%M} UTC, usual is up to {usual:.3g} h"


def until_it_moved(stays: pa.Table, windows: pa.Table) -> pa.Table:
    """End stays where the machine is at another level by then, though no window shows that it came to it.

    It did so in one that is missing, or another model took over, which may have no levels.

    Parameters
    ----------
    stays : pyarrow.Table
        Schema STAYS.
    windows : pyarrow.Table
        The columns MEASURED of predictions, in any order.
    """
    series, time = row_fingerprints(windows, SERIES), to_numpy(windows["window_start"])
    order = np.lexsort((time, series))
    series, time = series[order], time[order]
    model = row_fingerprints(windows, ["model_version"])[order]
    until, value = to_numpy(windows["window_end"])[order], to_numpy(windows["value"], null=np.nan)[order]
    start, end = to_numpy(stays["start"]), to_numpy(stays["end"], null=_NEVER)
    is_cut = np.zeros(start.size, bool)
    for row, own in enumerate(row_fingerprints(stays, SERIES)):
        first, last = np.searchsorted(series, own), np.searchsorted(series, own, "right")
        here = slice(*(first + np.searchsorted(time[first:last], [start[row], end[row]])))
        after_gap = np.flatnonzero(time[here][1:] > until[here][:-1]) + 1
        by_another = np.flatnonzero(np.diff(model[here])) + 1
        moved = _first_elsewhere(value[here], after_gap.tolist(), by_another[:1].tolist())
        if moved is not None:
            is_cut[row], end[row] = True, time[here][moved]
    ends = pc.if_else(to_arrow(is_cut), times(np.where(is_cut, end, 0)), stays["end"])
    return stays.set_column(STAYS.get_field_index("end"), STAYS.field("end"), ends)


def _first_elsewhere(value: Float, after_gap: list[int], by_another: list[int]) -> int | None:
    """Return the first window of a stay that is at another level; None where none is.

    Parameters
    ----------
    value : array of shape (n,), float64
    after_gap, by_another : list of int
        The windows that follow a missing one, and the first one by another model.
    """
    known = by_another[0] if by_another else value.size
    for one, other in pairwise([*(place for place in after_gap if place < known), known]):
        # A stay's first window is on the way; and few on each side do not show what values spread.
        if one < 2 or max(one, other - one) < _LEAST:
            continue
        before, after = _range(value[:one]), _range(value[one:other])
        # Levels are farther apart than they are wide.
        apart = max(after[0] - before[1], before[0] - after[1])
        if apart > max(before[1] - before[0], after[1] - after[0]):
            return one
    if not by_another:
        return None
    low, high = _range(value[:known])
    away = np.maximum(value[known:] - high, low - value[known:]) > high - low
    if known < _LEAST or not np.isfinite(high):
        return known
    # One by itself is a wild reading.
    moved = away[:-1] & away[1:]
    return known + int(moved.argmax()) if moved.any() else None


def _range(value: Float) -> tuple[float, float]:
    """Return between what nearly all values lie; NaN without any."""
    value = value[np.isfinite(value)]
    low, high = np.quantile(value, _NEARLY_ALL) if value.size else (np.nan, np.nan)
    return float(low), float(high)


def _until(series: Int, start: Int, end: Int, known: Gaps) -> tuple[Int, Bool]:
    """Return when each stay ends, at the latest before a silence, and whether nothing shows its end."""
    owner = known.device * len(known.sensors) + known.sensor
    rank = np.unique(np.concatenate([known.start, start]), return_inverse=True)[1]
    keys = owner * rank.size + rank[: owner.size]
    place = np.minimum(np.searchsorted(keys, series * rank.size + rank[owner.size :]), owner.size - 1)
    is_own = owner[place] == series
    is_open = is_own & known.is_last[place] & (known.until[place] >= known.now)
    return np.where(is_own, np.minimum(end, known.start[place]), start), is_open


def _incidents(stays: pa.Table, begin: Int, end: Int, is_open: Bool, hours: Float) -> pa.Table:
    n, usual = stays.num_rows, to_numpy(stays["may_stay"])
    severity = np.log10(np.maximum(hours / usual, 1.0))
    columns = {
        **{name: stays[name] for name in ("device", "sensor")},
        "start": times(begin),
        "end": times(end),
        "state": states(is_open),
        "n_windows": to_arrow(np.zeros(n, np.int64)),
        "peak_severity": to_arrow(severity),
        "peak_at": times(begin),
        "top_feature": constant(STAY, n),
        "model_version": constant("", n),
        **dict.fromkeys(("evidence", "evidence_at_end"), to_arrow(_EVIDENCE * (1 + severity))),
        "warming_up": to_arrow(np.zeros(n, bool)),
        "top_value": to_arrow(hours),
        "expected": to_arrow(usual),
        "upper": to_arrow(usual),
    }
    ids = row_fingerprints(pa.table(columns), ["top_feature", "sensor", "device", "start"])
    columns["incident_id"] = hex_digits(ids)
    arrays = [columns.get(field.name, pa.nulls(n, field.type)) for field in INCIDENTS]
    # Since when it stays, and what is usual, but not how long: that would be another advice each hour.
    advice = [
        stay_words(since, most)
        for since, most in zip(stays["start"].to_pylist(), usual.tolist(), strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=INCIDENTS).append_column(_ADVICE, strings(advice))
