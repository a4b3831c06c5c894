"""Read, beside windows, the windows of the sensors that show whether a machine is off."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np
import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.plant.rules import Domain
from batch_scoring.plant.settings import OffWhen
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrays import Bool
from batch_scoring.tables.arrow_arrays import to_arrow, to_numpy
from batch_scoring.tables.device_ranges import BATCH_ROWS, by_sensor, device_ranges
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.schemas import TIMESTAMP

IS_OFF, AFTER_OFF = "is_off", "after_off"
_KEY = ("device", "window_start")
# A window in which a machine is switched on or off has a mean of both.
_READ = (*_KEY, "mean", "min", "max")
# The feature that is a step from the window before.
STEP = "diff_mean"


def with_off(
    tables: Iterable[pa.Table],
    sensor: str,
    table: RowTable,
    domain: Domain,
    span: tuple[int, int],
    devices: frozenset[str] | None = None,
    batch_rows: int = BATCH_ROWS,
) -> Iterator[pa.Table]:
    """Yield windows with a column ``is_off``: whether their machine is off then, or for a part of it.

    A window without one of the other sensor at the same time is not off. Another column, ``after_off``, says
    whether the machine is on, and was off in the window before.

    Parameters
    ----------
    tables : iterable of pyarrow.Table
        Windows of one sensor, sorted by device and start.
    table : RowTable
        All windows; schema ``windows_schema(features)``.
    span : (int, int)
        The windows start in ``[start, end)``, microseconds since the epoch.
    devices : frozenset of str, optional
        Whose windows; default: all.

    Raises
    ------
    InputError
        When the windows have no mean.
    """
    conditions, tables = domain.off_conditions(sensor), iter(tables)
    first = next(tables, None)
    if first is None:
        return
    if not conditions:
        for rows in chain([first], tables):
            yield _with(rows, np.zeros(rows.num_rows, bool), np.zeros(rows.num_rows, bool))
        return
    if "mean" not in table.schema.names:
        raise InputError("domain.rules: off_when needs the feature 'mean'; add it to aggregate.features")
    schema = pa.schema([table.schema.field(name) for name in _READ if name in table.schema.names])
    span = (span[0] - _length(first), span[1])
    others, numbers = [], []
    for number, condition in enumerate(conditions):
        for file in table.files(*span, [condition.sensor], devices):
            others.append(table.batches(file, schema.names, [condition.sensor], devices, batch_rows))
            numbers.append(number)
    sources = [(first.schema, chain([first], tables)), *((schema, batches) for batches in others)]
    for rows, *beside in device_ranges(sources):
        if rows.num_rows:
            known = domain.of(sensor, rows["device"])
            off = [
                _keys_off(condition, beside, numbers, number) for number, condition in enumerate(conditions)
            ]
            now, before = (row_fingerprints(some, _KEY) for some in (rows, _before(rows)))
            is_off, was_off = (
                known.off([(one, np.isin(keys, some)) for one, some in zip(conditions, off, strict=True)])
                for keys in (now, before)
            )
            yield _with(rows, is_off, was_off & ~is_off)


def with_off_of_all(
    tables: Iterable[pa.Table],
    table: RowTable,
    domain: Domain,
    span: tuple[int, int],
    devices: frozenset[str] | None = None,
) -> Iterator[pa.Table]:
    """Do as :func:`with_off` for windows of several sensors, sorted by sensor, device and start."""
    for sensor, rows in by_sensor(tables):
        yield from with_off(rows, sensor, table, domain, span, devices)


def take_off(windows: pa.Table) -> tuple[pa.Table, Bool, Bool]:
    """Return windows without the columns ``is_off`` and ``after_off``, and what these say.

    Without the columns, nothing is off.
    """
    if IS_OFF not in windows.column_names:
        return windows, np.zeros(windows.num_rows, bool), np.zeros(windows.num_rows, bool)
    return windows.drop_columns([IS_OFF, AFTER_OFF]), to_numpy(windows[IS_OFF]), to_numpy(windows[AFTER_OFF])


def without_steps(windows: pa.Table, rows: Bool) -> pa.Table:
    """Return windows in which some take no step from the window before, as one without a window before it."""
    if STEP not in windows.column_names or not rows.any():
        return windows
    place = windows.schema.get_field_index(STEP)
    steps = np.where(rows, 0.0, to_numpy(windows[STEP]))
    return windows.set_column(place, windows.schema.field(place), to_arrow(steps))


def _keys_off(condition: OffWhen, beside: list[pa.Table], numbers: list[int], number: int) -> Bool:
    found = [np.zeros(0, np.uint64)]
    for rows, its_number in zip(beside, numbers, strict=True):
        if its_number == number and rows.num_rows:
            names = [name for name in ("mean", "min", "max") if name in rows.column_names]
            values = [to_numpy(rows[name], null=np.nan) for name in names]
            if condition.below is not None:
                is_off = np.fmin.reduce(values) < condition.below
            else:
                is_off = np.fmax.reduce(values) > condition.above
            found.append(row_fingerprints(rows, _KEY)[is_off])
    return np.concatenate(found)


def _before(rows: pa.Table) -> pa.Table:
    """Return device and start of the windows before."""
    start = to_numpy(rows["window_start"]) - _length(rows)
    return pa.table([rows["device"], to_arrow(start).cast(TIMESTAMP)], list(_KEY))


def _length(rows: pa.Table) -> int:
    first = rows.slice(0, 1)
    return int((to_numpy(first["window_end"]) - to_numpy(first["window_start"]))[0]) if rows.num_rows else 0


def _with(rows: pa.Table, is_off: Bool, after_off: Bool) -> pa.Table:
    return rows.append_column(IS_OFF, to_arrow(is_off)).append_column(AFTER_OFF, to_arrow(after_off))
