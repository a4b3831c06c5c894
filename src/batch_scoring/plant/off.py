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

IS_OFF = "is_off"
_KEY = ("device", "window_start")
_READ = (*_KEY, "mean")


def with_off(
    tables: Iterable[pa.Table],
    sensor: str,
    table: RowTable,
    domain: Domain,
    span: tuple[int, int],
    devices: frozenset[str] | None = None,
    batch_rows: int = BATCH_ROWS,
) -> Iterator[pa.Table]:
    """Yield windows with a column ``is_off``: whether their machine is off then.

    A window without one of the other sensor at the same time is not off.

    Parameters
    ----------
    tables : iterable of pyarrow.Table
        Windows of one sensor, sorted by device and start.
    sensor : str
    table : RowTable
        All windows; schema ``windows_schema(features)``.
    domain : Domain
    span : (int, int)
        The windows start in ``[start, end)``, microseconds since the epoch.
    devices : frozenset of str, optional
        Whose windows; default: all.
    batch_rows : int

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
            yield _with(rows, np.zeros(rows.num_rows, bool))
        return
    if "mean" not in table.schema.names:
        raise InputError("domain.rules: off_when needs the feature 'mean'; add it to aggregate.features")
    schema = pa.schema([table.schema.field(name) for name in _READ])
    others, numbers = [], []
    for number, condition in enumerate(conditions):
        for file in table.files(*span, [condition.sensor], devices):
            others.append(table.batches(file, _READ, [condition.sensor], devices, batch_rows))
            numbers.append(number)
    sources = [(first.schema, chain([first], tables)), *((schema, batches) for batches in others)]
    for rows, *beside in device_ranges(sources):
        if rows.num_rows:
            keys = row_fingerprints(rows, _KEY)
            are_true = [
                (condition, np.isin(keys, _keys_off(condition, beside, numbers, number)))
                for number, condition in enumerate(conditions)
            ]
            yield _with(rows, domain.of(sensor, rows["device"]).off(are_true))


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


def take_off(windows: pa.Table) -> tuple[pa.Table, Bool]:
    """Return windows without the column ``is_off``, and what it says; without the column, nothing is off."""
    if IS_OFF not in windows.column_names:
        return windows, np.zeros(windows.num_rows, bool)
    return windows.drop_columns([IS_OFF]), to_numpy(windows[IS_OFF])


def _keys_off(condition: OffWhen, beside: list[pa.Table], numbers: list[int], number: int) -> Bool:
    found = [np.zeros(0, np.uint64)]
    for rows, its_number in zip(beside, numbers, strict=True):
        if its_number == number and rows.num_rows:
            mean = to_numpy(rows["mean"], null=np.nan)
            is_off = mean < condition.below if condition.below is not None else mean > condition.above
            found.append(row_fingerprints(rows, _KEY)[is_off])
    return np.concatenate(found)


def _with(rows: pa.Table, is_off: Bool) -> pa.Table:
    return rows.append_column(IS_OFF, to_arrow(is_off))
