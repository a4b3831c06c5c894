"""Find two opposite steps of a series with another level between them: one incident, not two outliers.

A level may be usual at some other time, and only the step to it and the step back from it are anomalous. So
it is held against the same time a week before; where there is no week, a day before, but on a Saturday and a
Monday, which follow another kind of day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.incidents.evidence import KEPT_A_WINDOW, window_evidence
from batch_scoring.incidents.joining import JoinRules
from batch_scoring.storage.row_table import RowTable
from batch_scoring.storage.series_copies import SeriesCopies
from batch_scoring.tables.arrays import Bool, Float, Int
from batch_scoring.tables.arrow_arrays import are, as_rows, empty_table, from_rows, to_arrow, to_numpy
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.schemas import INCIDENTS, PREDICTIONS

LEVELS = pa.schema(
    [
        PREDICTIONS.field(name)
        for name in (
            *("sensor", "device", "window_start", "window_end"),
            *("value", "severity", "evidence", "rule"),
        )
    ]
)
HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000
LAGS_US = (7 * DAY_US, DAY_US)
# 1970-01-01 was a Thursday, three days after a Monday; the first days of the week and of the weekend.
_WEEKDAY_OF_EPOCH, _FIRST_DAYS = 3, (0, 5)
_SERIES = ("sensor", "device")
# A step takes less than an hour, and what is off for longer than a day is no pair of steps.
_STEP_US, SHIFT_US = HOUR_US, DAY_US
# Between the steps nine windows in ten are off by half of the shift or more; after them it is at most half.
_BETWEEN, _OFF = 0.9, 0.5
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
    fits &= (end - start < _STEP_US)[:-1] & (start[1:] - end[:-1] <= SHIFT_US)
    first = np.flatnonzero(fits)
    return Pairs(first, first + 1)


def read_levels(predictions: RowTable, incidents: pa.Table, pairs: Pairs, rules: JoinRules) -> pa.Table:
    """Read what shows the levels of pairs; schema LEVELS, in any order, other windows of their series too."""
    if not pairs.first.size:
        return empty_table(LEVELS)
    some = incidents.take(to_arrow(np.concatenate([pairs.first, pairs.second])))
    sensors, devices = (pc.unique(some[name]).to_pylist() for name in _SERIES)
    margin = max(rules.cool_down_us, rules.tolerated_gap * _STEP_US)
    start = to_numpy(incidents["start"])
    first, last = start[pairs.first] - margin, start[pairs.second] + margin
    there = [name for name in LEVELS.names if name in predictions.schema.names]
    first, last = (np.concatenate([one, *(one - lag for lag in LAGS_US)]) for one in (first, last))
    schema, found = pa.schema([LEVELS.field(name) for name in there]), [empty_table(LEVELS)]
    copies = SeriesCopies(predictions)
    for file in predictions.files(int(first.min()), int(last.max()), sensors, devices):
        if ((first <= file.last) & (last > file.first)).any():
            found += [rows.cast(schema) for rows in copies.batches(file, there, sensors, devices)]
    return pa.concat_tables(found, promote_options="default")


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
    levels = _Levels(windows, rules)
    found = []
    numbers = row_fingerprints(incidents, _SERIES)
    rows = incidents.select(INCIDENTS.names)
    start, end = to_numpy(rows["start"]), to_numpy(rows["end"])
    for first, second in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True):
        if is_part[first]:
            continue
        one = levels.of(numbers[first], int(start[first]), int(end[first]), int(start[second]))
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


class _Levels:
    """The values of series over time, in rows by series and start."""

    def __init__(self, windows: pa.Table, rules: JoinRules) -> None:
        value = to_numpy(windows["value"], null=np.nan)
        windows = windows.filter(to_arrow(np.isfinite(value))).combine_chunks()
        key, start = row_fingerprints(windows, _SERIES), to_numpy(windows["window_start"])
        order = np.lexsort((start, key))
        windows = windows.take(to_arrow(order))
        self.key, self.start, self.rules = key[order], start[order], rules
        self.length = to_numpy(windows["window_end"]) - self.start
        self.value, self.counted = to_numpy(windows["value"]), window_evidence(windows)

    def of(self, key: int, begin: int, left: int, back: int) -> _Shift | None:
        """Return the shift from a step in ``[begin, left)`` to one that starts at ``back``; None without."""
        mine = slice(np.searchsorted(self.key, key), np.searchsorted(self.key, key, "right"))
        start, value = self.start[mine], self.value[mine]
        if not start.size:
            return None
        length = int(self.length[mine][0])
        reach = max(self.rules.cool_down_us, self.rules.tolerated_gap * length)
        is_before = (start >= begin - reach) & (start < begin)
        is_between = (start >= left) & (start < back)
        is_after = (start >= back) & (start < back + reach)
        weekday = (begin // DAY_US + _WEEKDAY_OF_EPOCH) % 7
        for lag in LAGS_US[: 1 if weekday in _FIRST_DAYS else 2]:
            place = np.minimum(np.searchsorted(start, start - lag), start.size - 1)
            away = np.where(start[place] == start - lag, value - value[place], np.nan)
            before, between, after = (
                away[some & np.isfinite(away)] for some in (is_before, is_between, is_after)
            )
            if min(before.size, after.size) < _LEAST or between.size < _LEAST_BETWEEN:
                continue
            usual = np.median(before)
            size = float(np.median(between) - usual)
            is_off = (between - usual) * np.sign(size) >= _OFF * abs(size)
            is_back = abs(np.median(after) - usual) <= _OFF * abs(size)
            if size and is_back and is_off.mean() >= _BETWEEN:
                return _Shift(size, self.counted[mine][is_between], length)
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
    return first | {
        **{name: worst[name] for name in ("peak_severity", "peak_at", "top_feature", "model_version")},
        "end": second["end"],
        "n_windows": first["n_windows"] + second["n_windows"],  # type: ignore[operator]
        "evidence": max(most, total, float(second["evidence"])),  # type: ignore[arg-type]
        "evidence_at_end": total,
        "warming_up": _both(first["warming_up"], second["warming_up"]),
        "beyond_limits": bool(first["beyond_limits"] or second["beyond_limits"]),
        "shift": shift.size,
    }


def _both(one: object, other: object) -> bool:
    return bool(one and other)
