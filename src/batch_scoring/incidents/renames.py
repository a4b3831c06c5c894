"""Propose that a device that fell silent goes on under another id: a new device whose values are like its."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.moments import DAY_US, HOUR_US
from batch_scoring.incidents.evidence import outlier_priority
from batch_scoring.incidents.silence import Gaps, Silences
from batch_scoring.incidents.stretches import expand
from batch_scoring.incidents.sums import with_priority
from batch_scoring.tables.arrays import Bool, Float, Int
from batch_scoring.tables.arrow_arrays import are, positions, strings, to_arrow, to_numpy
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.schemas import WINDOW_KEY, WINDOW_KEYS

MAY_BE_RENAMED = "may be renamed to"
# A week of each is compared: of the old id before it fell silent, of the new one since it began, which it
# must have done for hours.
WEEK_US, LEAST_US = 7 * DAY_US, 6 * HOUR_US
# Where more devices begin at once, none is proposed; of several that fit, a few are named.
MAX_CANDIDATES, MAX_NAMED = 20, 3
# Nearly all values of the new id lie among nearly all of the old one, give or take a share of their range;
# and they range over a part of it: a machine that stands still is like any other.
_OLD, _NEW, _MARGIN, _LEAST_RANGE = (0.01, 0.99), (0.05, 0.95), 0.1, 0.2
# The priority of one that may be renamed, at most, before it counts little: a double has no number between
# what a larger one would count and the limit of what counts little.
_MOST = 40.0
# A counter rises so much more often than it falls.
_RISES = 10

COMPARED = pa.schema(
    [
        *(WINDOW_KEYS.field(name) for name in WINDOW_KEY),
        *(pa.field(name, pa.float64()) for name in ("mean", "std")),
    ]
)
# Reads the windows of some devices, each from a time on to another one, microseconds since the epoch.
Read = Callable[[Sequence[str], Int, Int], pa.Table]


@dataclass(frozen=True)
class Candidates:
    """Pairs of an old id that is silent and a new one, as positions among the names of devices.

    Attributes
    ----------
    old, new : array of shape (n,), int64
    silent_since, first : array of shape (n,), int64
        When the old one fell silent, and when the new one began, microseconds since the epoch.
    """

    old: Int
    new: Int
    silent_since: Int
    first: Int


def find_renames(
    known: Gaps, silences: Silences, slack_us: int, after_us: int, read: Read
) -> dict[str, list[str]]:
    """Return for the devices that are silent now the new ones that they may be, by their first window.

    Parameters
    ----------
    known : Gaps
    silences : Silences
        Of devices.
    slack_us, after_us : int
        A new device begins no earlier than this before the silence of the old one, and no later than that
        after it, microseconds.
    read : callable
        See :func:`~batch_scoring.incidents.level_reading.windows_reader`.
    """
    pairs = find_candidates(known, silences, slack_us, after_us)
    if not pairs.old.size:
        return {}
    names = known.devices.to_pylist()
    devices = np.append(pairs.old, pairs.new)
    since = np.append(pairs.silent_since - WEEK_US, pairs.first)
    windows = read([names[device] for device in devices.tolist()], since, since + WEEK_US)
    found: dict[str, list[str]] = {}
    for row in np.flatnonzero(_fit(pairs, known, windows)).tolist():
        found.setdefault(names[pairs.old[row]], []).append(names[pairs.new[row]])
    return found


def find_candidates(known: Gaps, silences: Silences, slack_us: int, after_us: int) -> Candidates:
    """Find the new devices that begin when others fall silent and have the same sensors; by their start.

    The parameters are those of :func:`find_renames`.
    """
    last, n = known.is_last, len(known.devices)
    first, until = np.full(n, known.now), np.zeros(n, np.int64)
    np.minimum.at(first, known.device[last], known.first[last])
    np.maximum.at(until, known.device[last], known.start[last])
    names = pa.table([known.sensors], ["sensor"])
    sensors = np.zeros(n, np.uint64)
    np.add.at(sensors, known.device[last], row_fingerprints(names, ["sensor"])[known.sensor[last]])
    old, since = (one[silences.is_open] for one in (silences.device, silences.start))
    new = np.argsort(first, kind="stable")
    low = np.searchsorted(first[new], since - slack_us)
    high = np.searchsorted(first[new], since + after_us, "right")
    pair, place = expand(low, np.where(high - low <= MAX_CANDIDATES, high, low))
    old, since, new = old[pair], since[pair], new[place]
    is_one = (old != new) & (sensors[old] == sensors[new]) & (until[new] - first[new] >= LEAST_US)
    return Candidates(old[is_one], new[is_one], since[is_one], first[new][is_one])


def with_renames(rows: pa.Table, renames: Mapping[str, Sequence[str]]) -> pa.Table:
    """Propose on silent devices to write down the new id: somebody should, but nobody needs to look there.

    Parameters
    ----------
    rows : pyarrow.Table
        Schema DEVICE_INCIDENTS: silences of devices.
    renames : mapping of str to sequence of str
        See :func:`find_renames`.
    """
    place = np.where(are(rows["state"], "open"), positions(rows["device"], strings(list(renames))), -1)
    texts = strings([*(_in_words(old, new) for old, new in renames.items()), ""])
    priority = to_numpy(rows["priority"])
    return with_priority(
        rows,
        advice=texts.take(to_arrow(np.where(place < 0, len(renames), place))),
        priority=np.where(place < 0, priority, outlier_priority(np.minimum(priority, _MOST))),
    )


def rises_only(rises: Int, falls: Int) -> Bool:
    """Mark the counters, by how often each series rises and falls from window to window."""
    found: Bool = rises > _RISES * np.maximum(falls, 1)
    return found


def may_be_renamed(rows: pa.Table) -> Bool:
    """Mark the rows of the list that propose a new id, shape (n,)."""
    found: Bool = to_numpy(pc.match_substring(rows["advice"], MAY_BE_RENAMED))
    return found


def _in_words(old: str, new: Sequence[str]) -> str:
    names = " or ".join(new[:MAX_NAMED]) + (
        f", or {len(new) - MAX_NAMED} more" if len(new) > MAX_NAMED else ""
    )
    which = f"id {new[0]}" if len(new) == 1 else "the id of the one it is"
    return f"{MAY_BE_RENAMED} {names}: if so, add a line to devices.csv with {which} and replaces {old}"


def _fit(pairs: Candidates, known: Gaps, windows: pa.Table) -> Bool:
    """Mark the pairs whose sensors all have values like each other's, shape (n,)."""
    # The devices of these pairs alone are numbered: of a large fleet they are few.
    which, places = np.unique(np.append(pairs.old, pairs.new), return_inverse=True)
    one, other = np.split(places, 2)
    n, n_sensors = which.size, len(known.sensors)
    names = known.devices.take(to_arrow(which))
    device, sensor = positions(windows["device"], names), positions(windows["sensor"], known.sensors)
    is_known = (device >= 0) & (sensor >= 0)
    values = np.array([to_numpy(windows[name], null=np.nan) for name in ("mean", "std")])
    # A device may be the new one of another, and the old one of a third.
    since = np.full((2, n), known.now)
    since[0][one], since[1][other] = pairs.silent_since - WEEK_US, pairs.first
    ages = to_numpy(windows["window_start"]) - since[:, device]
    old, new = (
        _Values.of((device * n_sensors + sensor)[mine], age[mine], values[:, mine], n * n_sensors, quantiles)
        for age, quantiles, mine in zip(
            ages, (_OLD, _NEW), is_known & (ages >= 0) & (ages < WEEK_US), strict=True
        )
    )
    has = np.zeros((n, n_sensors), bool)
    of_pairs = np.flatnonzero(known.is_last & np.isin(known.device, which))
    has[np.searchsorted(which, known.device[of_pairs]), known.sensor[of_pairs]] = True
    those, these = (place[:, np.newaxis] * n_sensors + np.arange(n_sensors) for place in (one, other))
    fits = _lie_in(new.level, these, old.level, those) & _range_alike(new.level, these, old.level, those)
    fits = np.where(old.is_counter[those], _lie_in(new.step, these, old.step, those), fits)
    if np.isfinite(values[1]).any():
        fits = fits & _lie_in(new.spread, these, old.spread, those)
    found: Bool = np.all(fits | ~has[one], axis=1)
    return found


# The lowest and the highest usual value of each series.
_Range = tuple[Float, Float]


@dataclass(frozen=True)
class _Values:
    """Where the values of each of n series lie: its level, the step from window to window, and the spread."""

    level: _Range
    step: _Range
    spread: _Range
    is_counter: Bool

    @classmethod
    def of(cls, series: Int, time: Int, values: Float, n: int, quantiles: tuple[float, float]) -> _Values:
        order = np.lexsort((time, series))
        series, (level, spread) = series[order], values[:, order]
        follows = np.diff(series) == 0
        following, step = series[1:][follows], np.diff(level)[follows]
        rises, falls = (np.bincount(following[one], minlength=n) for one in (step > 0, step < 0))
        return cls(
            _range(series, level, n, quantiles),
            _range(following, step, n, quantiles),
            _range(series, spread, n, quantiles),
            rises_only(rises, falls),
        )


def _range(series: Int, value: Float, n: int, quantiles: tuple[float, float]) -> _Range:
    """Return two quantiles of the values of each series, shape (n,); NaN without any."""
    is_value = np.isfinite(value)
    series, value = series[is_value], value[is_value]
    value = np.append(value[np.lexsort((value, series))], np.nan)
    count = np.bincount(series, minlength=n)
    first = np.cumsum(count) - count
    low, high = (
        value[np.where(count > 0, first + np.rint(one * (count - 1)).astype(np.int64), -1)]
        for one in quantiles
    )
    return low, high


def _lie_in(new: _Range, these: Int, old: _Range, those: Int) -> Bool:
    low, high = (one[those] for one in old)
    margin = _MARGIN * (high - low)
    found: Bool = (new[0][these] >= low - margin) & (new[1][these] <= high + margin)
    return found


def _range_alike(new: _Range, these: Int, old: _Range, those: Int) -> Bool:
    of_new, of_old = (new[1] - new[0])[these], (old[1] - old[0])[those]
    found: Bool = of_new >= _LEAST_RANGE * of_old
    return found
