"""Find two opposite steps of a series with another level between them: one incident, not two outliers.

A level may be usual at some other time, and only the step to it and the step back from it are anomalous. So
it is held against the same time a week before, or a day before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from batch_scoring.core.moments import DAY_US, HOUR_US
from batch_scoring.incidents.evidence import KEPT_A_WINDOW
from batch_scoring.incidents.joining import JoinRules
from batch_scoring.incidents.levels import Levels
from batch_scoring.tables.arrays import Bool, Float, Int
from batch_scoring.tables.arrow_arrays import are, as_rows, from_rows, to_numpy
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.schemas import INCIDENTS, OF_LEVEL_PEAK, OF_PEAK

_SERIES = ("sensor", "device")
# A step takes less than an hour, and what is off for longer than a day is no pair of steps.
STEP_US, SHIFT_US = HOUR_US, DAY_US
# Between the steps nine windows in ten are off by half of the shift or more; after them it is at most half.
_BETWEEN, _OFF = 0.9, 0.5
_OF_WORST = ("peak_severity", "peak_at", "top_feature", "model_version", *OF_PEAK)
_OF_LEVEL = ("level_severity", *OF_LEVEL_PEAK)
# The values of all three range over this much of the shift, or it is the time before that was another one.
_SEEN = 0.75
# Windows before, between and after that show a level.
_LEAST, _LEAST_BETWEEN = 2, 3


@dataclass(frozen=True)
class Pairs:
    """Neighbouring incidents of a series, p pairs.

    Attributes
    ----------
    first, second : array of shape (p,), int64
        Rows of the incidents.
    """

    first: Int
    second: Int


def find_pairs(incidents: pa.Table, is_new: Bool) -> Pairs:
    """Pair a short incident with the next one of its series, at most a day later.

    Parameters
    ----------
    incidents : pyarrow.Table
        Schema INCIDENTS, sorted by sensor, device and start.
    is_new : array of shape (n,), bool
        Only pairs whose second one is marked.

    Returns
    -------
    Pairs
        Of closed incidents that are no shifts yet.
    """
    series = row_fingerprints(incidents, _SERIES)
    start, end = to_numpy(incidents["start"]), to_numpy(incidents["end"])
    is_step = are(incidents["state"], "closed") & np.isnan(to_numpy(incidents["shift"], null=np.nan))
    fits = (series[1:] == series[:-1]) & is_step[1:] & is_step[:-1] & is_new[1:]
    fits &= (end - start < STEP_US)[:-1] & (start[1:] - end[:-1] <= SHIFT_US)
    first = np.flatnonzero(fits)
    return Pairs(first, first + 1)


def join_pairs(
    incidents: pa.Table, pairs: Pairs, windows: pa.Table, rules: JoinRules
) -> tuple[pa.Table, Bool]:
    """Join the pairs between which the level is another one.

    Parameters
    ----------
    incidents : pyarrow.Table
        Schema INCIDENTS.
    pairs : Pairs
        Of them, in their order.
    windows : pyarrow.Table
        Schema LEVELS: the predictions of the spans of the pairs, and of these spans by each lag before.
    rules : JoinRules
        The level before and after is that of the time within which anomalous windows are one incident.

    Returns
    -------
    shifts : pyarrow.Table
        Schema INCIDENTS, closed; the evidence is that of all windows from the first step to the last one.
    is_part : array of shape (n,), bool
        The incidents that have become part of one.
    """
    is_part = np.zeros(incidents.num_rows, bool)
    levels = Levels(windows)
    found = []
    numbers = row_fingerprints(incidents, _SERIES)
    rows = incidents.select(INCIDENTS.names)
    start, end = to_numpy(rows["start"]), to_numpy(rows["end"])
    for first, second in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True):
        if is_part[first]:
            continue
        one = _shift(levels, numbers[first], int(start[first]), int(end[first]), int(start[second]), rules)
        if one is None:
            continue
        before, after = (next(as_rows(rows.slice(row, 1))) for row in (first, second))
        n_after = int(end[second] - start[second]) // one.length
        found.append(_joined(before, after, one, n_after))
        is_part[[first, second]] = True
    return from_rows(found, INCIDENTS), is_part


@dataclass(frozen=True)
class _Shift:
    """The level between two steps: by how much it is off, what its windows count, and their length."""

    size: float
    counted: Float
    length: int


def _shift(levels: Levels, key: int, begin: int, left: int, back: int, rules: JoinRules) -> _Shift | None:
    """Return the shift from a step in ``[begin, left)`` to one that starts at ``back``; None without."""
    mine = levels.series(key)
    start = levels.start[mine]
    if not start.size:
        return None
    length = int(levels.length[mine][0])
    reach = max(rules.cool_down_us, rules.tolerated_gap * length)
    is_before = (start >= begin - reach) & (start < begin)
    is_between = (start >= left) & (start < back)
    is_after = (start >= back) & (start < back + reach)
    value = levels.value[mine][is_before | is_between | is_after]
    for away in levels.away(mine, begin):
        before, between, after = (
            away[some & np.isfinite(away)] for some in (is_before, is_between, is_after)
        )
        if min(before.size, after.size) < _LEAST or between.size < _LEAST_BETWEEN:
            continue
        usual = np.median(before)
        size = float(np.median(between) - usual)
        is_off = (between - usual) * np.sign(size) >= _OFF * abs(size)
        is_back = abs(np.median(after) - usual) <= _OFF * abs(size)
        is_seen = np.ptp(value) >= _SEEN * abs(size)
        if size and is_back and is_seen and is_off.mean() >= _BETWEEN:
            return _Shift(size, levels.counted[mine][is_between], length)
        return None
    return None


def _joined(
    first: dict[str, object], second: dict[str, object], shift: _Shift, n_after: int
) -> dict[str, object]:
    """Join two rows of INCIDENTS, and what lies between them, to one."""
    total, most = (float(first[name]) for name in ("evidence_at_end", "evidence"))  # type: ignore[arg-type]
    for one in shift.counted.tolist():
        total = total * KEPT_A_WINDOW + one
        most = max(most, total)
    total = total * KEPT_A_WINDOW**n_after + float(second["evidence_at_end"])  # type: ignore[arg-type]
    worst = max(first, second, key=lambda one: one["peak_severity"])  # type: ignore[arg-type,return-value]
    worst_level = max(first, second, key=_level_severity)
    return first | {
        **{name: worst[name] for name in _OF_WORST},
        **{name: worst_level[name] for name in _OF_LEVEL},
        "n_level": (first["n_level"] or 0) + (second["n_level"] or 0),  # type: ignore[operator]
        "end": second["end"],
        "n_windows": first["n_windows"] + second["n_windows"],  # type: ignore[operator]
        "evidence": max(most, total, float(second["evidence"])),  # type: ignore[arg-type]
        "evidence_at_end": total,
        "warming_up": _both(first["warming_up"], second["warming_up"]),
        "beyond_limits": bool(first["beyond_limits"] or second["beyond_limits"]),
        "shift": shift.size,
        # What each step alone looked like.
        "step": None,
        "unit": None,
    }


def _level_severity(one: dict[str, object]) -> float:
    found = one["level_severity"]
    return -np.inf if found is None else float(found)  # type: ignore[arg-type]


def _both(one: object, other: object) -> bool:
    return bool(one and other)
