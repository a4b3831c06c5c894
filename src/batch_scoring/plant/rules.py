"""What people know of sensors decides what counts as an anomaly: direction, deviation, limits, off."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.digests import number_of
from batch_scoring.plant.devices import NOTHING_KNOWN, Devices, is_like
from batch_scoring.plant.settings import SAYS, OffWhen, Rule
from batch_scoring.tables.arrays import Bool, Float, Int, UInt
from batch_scoring.tables.arrow_arrays import are, distinct, positions, strings, to_arrow, to_numpy
from batch_scoring.tables.schemas import PREDICTIONS

# Why a window is judged otherwise than by its score; the first is none.
REASONS = ("", DIRECTION := "direction", DEVIATION := "deviation", LIMIT := "limit", OFF := "off")
# A window beyond its limits is at least as severe as one that is so much rarer than an anomaly must be.
_LIMIT_SEVERITY = 1.0
_SIGNS = {"above": 1.0, "below": -1.0}
# A number of readings, not a value: it has neither direction nor unit.
_COUNTED = "equal_run"


@dataclass(frozen=True)
class Known:
    """What is known of n windows of one sensor.

    Attributes
    ----------
    rules : sequence of Rule
        Of each distinct set of rules what holds; the first says nothing.
    of : array of shape (n,), int64
        Which of these holds for each window.
    """

    rules: Sequence[Rule]
    of: Int

    def select(self, rows: Bool) -> Known:
        """Return what is known of some of the windows."""
        return Known(self.rules, self.of[rows])

    def marks(self, is_off: Bool, after_off: Bool) -> UInt:
        """Return a number that changes with a window's rules, and whether it is or was off, shape (n,)."""
        # A rule that says nothing changes nothing.
        marks = np.array(
            [
                [number_of([n, asdict(rule)]) if rule != Rule() else 0 for n in (1, 2, 3)]
                for rule in self.rules
            ],
            np.uint64,
        )
        return marks[self.of, np.where(is_off, 1, np.where(after_off, 2, 0))]

    def off(self, means: Sequence[tuple[OffWhen, Bool]]) -> Bool:
        """Mark the windows of machines that are off, shape (n,), where each condition is true for some."""
        found = np.zeros(self.of.size, bool)
        for condition, is_true in means:
            mine = np.array([rule.off_when == condition for rule in self.rules])
            found |= mine[self.of] & is_true
        return found


@dataclass(frozen=True)
class Domain:
    """The rules of a plant.

    Attributes
    ----------
    rules : sequence of Rule
        Where several match, of each setting the last one that is set counts.
    devices : Devices
        A pattern of devices matches their other ids and their groups, too.
    """

    rules: Sequence[Rule] = ()
    devices: Devices = field(default_factory=lambda: NOTHING_KNOWN)

    @cached_property
    def number(self) -> int:
        """Return a number that changes with the rules; 0 without any."""
        if not self.rules:
            return 0
        return number_of([[asdict(rule) for rule in self.rules], self.devices.fingerprint])

    @cached_property
    def has_off(self) -> bool:
        """Whether a machine may be off."""
        return any(rule.off_when for rule in self.rules)

    def unknown_sensors(self, sensors: Iterable[str]) -> list[str]:
        """List the names and patterns of sensors in the rules that match none of some sensors.

        The sensor that shows whether a machine is off is a name, not a pattern.
        """
        there = list(sensors)
        written = dict.fromkeys(rule.sensor for rule in self.rules)
        unknown = [name for name in written if not any(is_like(one, name) for one in there)]
        off = [rule.off_when.sensor for rule in self.rules if rule.off_when]
        return list(dict.fromkeys([*unknown, *(name for name in off if name not in there)]))

    def off_conditions(self, sensor: str) -> list[OffWhen]:
        """List the conditions under which devices may be off, as far as a sensor is concerned."""
        found = [rule.off_when for rule in self.rules if rule.off_when and is_like(sensor, rule.sensor)]
        return list(dict.fromkeys(found))

    def of(self, sensor: str, devices: pa.ChunkedArray) -> Known:
        """Return what is known of the windows of a sensor, whose devices are given."""
        nothing = Known([Rule()], np.zeros(len(devices), np.int64))
        rules = [rule for rule in self.rules if is_like(sensor, rule.sensor)]
        if not rules or not len(devices):
            return nothing
        names = distinct(devices)
        matches = np.stack([self.devices.are_like(names, rule.device) for rule in rules], axis=1)
        # There may be a rule for each device: sets of rules are compared as bytes, eight rules in each.
        packed = np.packbits(matches, axis=1)
        _, example, number = np.unique(packed, axis=0, return_index=True, return_inverse=True)
        sets = [_merged([rules[place] for place in np.flatnonzero(matches[row])]) for row in example]
        return Known([Rule(), *sets], number.ravel()[positions(devices, names)] + 1)


NO_RULES = Domain()


def marks_of(known: Sequence[Known], is_off: Bool, after_off: Bool) -> UInt:
    """Return :meth:`Known.marks` of several sensors' windows, one after the other."""
    ends = np.cumsum([one.of.size for one in known])[:-1]
    both = zip(known, np.split(is_off, ends), np.split(after_off, ends), strict=True)
    return np.concatenate([one.marks(off, after) for one, off, after in both])


def judged(predictions: pa.Table, windows: pa.Table, known: Known, is_off: Bool) -> pa.Table:
    """Apply what is known to predictions.

    Parameters
    ----------
    predictions : pyarrow.Table
        Schema PREDICTIONS, of one sensor.
    windows : pyarrow.Table
        The windows they are of, row by row; ``min`` and ``max``, or else ``mean``, are held against limits.
    is_off : array of shape (n,), bool

    Returns
    -------
    pyarrow.Table
        Schema PREDICTIONS. ``rule`` names the reason where a window is judged otherwise than by its score.
        Beyond limits severity is at least 1. A machine that is off has neither score nor evidence.
    """
    flagged = to_numpy(predictions["is_anomaly"])
    reason = np.zeros(flagged.size, np.int64)
    wrong_way, too_small = _lets_pass(predictions, known)
    reason[flagged & too_small] = REASONS.index(DEVIATION)
    reason[flagged & wrong_way] = REASONS.index(DIRECTION)
    is_beyond = _beyond_limits(windows, known)
    reason[is_beyond] = REASONS.index(LIMIT)
    reason[is_off] = REASONS.index(OFF)
    if not reason.any():
        return predictions
    is_limit = is_beyond & ~is_off
    is_anomaly = (flagged & (reason == 0)) | is_limit
    severity = to_numpy(predictions["severity"])
    severity = np.where(is_limit, np.maximum(severity, _LIMIT_SEVERITY), severity)
    columns = {
        "is_anomaly": to_arrow(is_anomaly),
        "severity": to_arrow(np.where(is_anomaly, severity, 0.0)),
        # Without evidence it teaches nothing.
        "evidence": _where(~is_off, predictions["evidence"]),
        "score": _where(~is_off, predictions["score"]),
        "rule": _where(reason > 0, strings(REASONS).take(to_arrow(reason))),
        # Whatever it stayed at before, it does no more.
        "may_stay": pc.if_else(
            to_arrow(is_off), to_arrow(np.full(is_off.size, np.inf)), predictions["may_stay"]
        ),
    }
    arrays = [columns.get(name, predictions[name]) for name in PREDICTIONS.names]
    return pa.Table.from_arrays(arrays, schema=PREDICTIONS)


def _lets_pass(predictions: pa.Table, known: Known) -> tuple[Bool, Bool]:
    """Mark the windows whose leading feature lies on the side, or within the deviation, that does not matter.

    Without an expected value nothing passes, nor does a feature that counts readings.
    """
    signs = np.array([_SIGNS.get(rule.direction or "", 0.0) for rule in known.rules])[known.of]
    least = np.array([rule.deviation or (0.0, 0.0) for rule in known.rules])[known.of]
    value, expected = (to_numpy(predictions[name], null=np.nan) for name in ("top_value", "expected"))
    away = value - expected
    is_value = ~are(predictions["top_feature"], _COUNTED)
    wrong_way = is_value & (signs * away < 0)
    too_small = is_value & (np.abs(away) < np.maximum(least[:, 0], least[:, 1] * np.abs(expected)))
    return wrong_way, too_small


def _beyond_limits(windows: pa.Table, known: Known) -> Bool:
    low, high = np.array([_limits(rule) for rule in known.rules]).T
    there = windows.column_names
    least, most = (
        to_numpy(windows[name if name in there else "mean"], null=np.nan)
        if name in there or "mean" in there
        else np.full(known.of.size, np.nan)
        for name in ("min", "max")
    )
    beyond: Bool = (least < low[known.of]) | (most > high[known.of])
    return beyond


def _limits(rule: Rule) -> tuple[Float | float, Float | float]:
    low, high = rule.limits or (None, None)
    return -np.inf if low is None else float(low), np.inf if high is None else float(high)


def _merged(rules: Sequence[Rule]) -> Rule:
    """Of each setting, take the last one that is set."""
    found = {name: getattr(rule, name) for rule in rules for name in SAYS if getattr(rule, name) is not None}
    return Rule(**found)


def _where(is_kept: Bool, values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Put null where a value is not kept."""
    return pc.if_else(to_arrow(is_kept), values, pa.nulls(len(values), values.type))
