"""Refuse rows of devices that come in too great a number at once: spoofed ids, or those of a wrong column."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from batch_scoring.storage.row_table import RowTable

if TYPE_CHECKING:
    from batch_scoring.ingestion.plain_rows import PlainRows
    from batch_scoring.ingestion.staging import StagingArea

REASON = "new_device"
# Values, not ids: more new texts with a decimal mark than this, most of them once.
_FEW_VALUES, _ROWS_A_DEVICE = 100, 2
_VALUE = r"[+-]?\d+[.,]\d+([eE][+-]?\d+)?"


def are_too_many(rows: PlainRows, readings: RowTable, most: int) -> bool:
    """Whether rows of plain files may be refused for their devices.

    Parameters
    ----------
    rows : PlainRows
    readings : RowTable
        What is stored; its devices are known. Without a reading, any device may come.
    most : int
        Devices that may be new in a run.
    """
    devices = rows.staged_ids("device")
    return bool(_values(devices, rows.n_readings, readings) or _new(devices, readings, most))


def refuse_new_devices(area: StagingArea, readings: RowTable, most: int) -> None:
    """Refuse the rows of new devices where a run brings too many, and where most of its devices are values.

    Parameters
    ----------
    area : StagingArea
    readings : RowTable
    most : int
        As for :func:`are_too_many`.
    """
    counts = area.connection.execute(
        "SELECT device, count(*) FROM staged WHERE reason IS NULL GROUP BY device"
    ).fetchall()
    devices, n_rows = {device for device, _ in counts}, sum(n for _, n in counts)
    values = _values(devices, n_rows, readings)
    if values:
        area.refuse(REASON, "device", values)
    new = _new(devices - values, readings, most)
    if new:
        area.refuse(REASON, "device", new)


def _values(devices: set[str], n_rows: int, readings: RowTable) -> set[str]:
    """Return the new devices that are values, where they are many."""
    if n_rows >= _ROWS_A_DEVICE * len(devices):
        return set()
    new = _unknown({name for name in devices if re.fullmatch(_VALUE, name)}, readings, _FEW_VALUES)
    return new if len(new) > _FEW_VALUES else set()


def _new(devices: set[str], readings: RowTable, most: int) -> set[str]:
    """Return the new devices where they are too many."""
    new = _unknown(devices, readings, most) if readings.num_rows else set()
    return new if len(new) > most else set()


def _unknown(devices: set[str], readings: RowTable, most: int) -> set[str]:
    """Return the devices without a stored reading; no more of the table is read once few are left."""
    left = set(devices)
    for file in reversed(readings.files()):
        if len(left) <= most:
            break
        left.difference_update(readings.distinct("device", [file]))
    return left
