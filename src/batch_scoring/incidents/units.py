"""Carry a change of unit over to what a sensor does later: the model knows the former unit only."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from batch_scoring.incidents.steps import CHANGE_OF_UNIT, UNITS
from batch_scoring.tables.arrays import Bool, Int
from batch_scoring.tables.arrow_arrays import strings, to_numpy
from batch_scoring.tables.fingerprints import row_fingerprints

_OF_ONE_MODEL = ("sensor", "device", "model_version")
_BY_NAME = {unit.name: unit for unit in UNITS}
_EXACT = 1e-3


def with_units_carried(incidents: pa.Table, block: Int) -> pa.Table:
    """Say of what follows a change of unit that it looks like that, too: column ``advice``.

    Of the same series, by the same model, and in the same block of time: a training learns the new unit,
    where it was accepted. Not after a change back.

    Parameters
    ----------
    incidents : pyarrow.Table
        Schema INCIDENTS with ``advice``.
    block : array of shape (n,), int64
        The block of each.
    """
    advice = incidents["advice"].to_pylist()
    named = np.array([_unit_in(text) is not None for text in advice], bool)
    if not named.any():
        return incidents
    keys = row_fingerprints(incidents, _OF_ONE_MODEL)
    rows = np.flatnonzero(np.isin(keys, keys[named]))
    unit, last = None, None
    for row in rows[np.lexsort((to_numpy(incidents["start"])[rows], block[rows], keys[rows]))].tolist():
        if (keys[row], block[row]) != last:
            unit, last = None, (keys[row], block[row])
        new = _unit_in(advice[row])
        if new is not None:
            unit = None if unit is not None and _is_back(unit, new) else new
        elif unit is not None:
            advice[row] = f"{CHANGE_OF_UNIT}, {unit}"
    return incidents.set_column(incidents.schema.get_field_index("advice"), "advice", strings(advice))


def end_in_unit(series: Int, start: Int, end: Int, is_unit: Bool) -> Int:
    """Return the ends of incidents, those in another unit up to the next one in it, however much later.

    Parameters
    ----------
    series, start, end : array of shape (n,), int64
        Of incidents, in any order.
    is_unit : array of shape (n,), bool
        The incidents that look like a change of unit.
    """
    order = np.lexsort((start, series))
    one, following = order[:-1], order[1:]
    goes_on = (series[one] == series[following]) & is_unit[one] & is_unit[following]
    reach = end.copy()
    reach[one[goes_on]] = np.maximum(end[one], start[following])[goes_on]
    return reach


def _unit_in(text: str) -> str | None:
    """Return the change of unit that an advice begins with."""
    if not text.startswith(CHANGE_OF_UNIT):
        return None
    return text.removeprefix(f"{CHANGE_OF_UNIT}, ").split(";")[0]


def _is_back(unit: str, later: str) -> bool:
    """Whether a change of unit undoes an earlier one."""
    one, other = _BY_NAME[unit], _BY_NAME[later]
    offset = other.factor * one.offset + other.offset
    return abs(one.factor * other.factor - 1) < _EXACT and abs(offset) < _EXACT
