"""Find what names devices, and what counts, in tables without a header, from the order of the rows alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from batch_scoring.ingestion.inspection.columns import Column

# As a table without a header names its columns.
_UNNAMED = re.compile(r"column_\d+")
# Of a device there are many rows.
_LEAST_ROWS = 4


def unnamed_ids(time: Sequence[Column], numbers: Sequence[Column]) -> list[Column]:
    """Return the columns without a name whose whole numbers are devices.

    They are where devices take turns, from row to row, or where the times begin again with each next device.

    Parameters
    ----------
    time, numbers : sequence of Column
        The columns of the time, and of numbers.
    """
    moments = list(zip(*(column.texts for column in time), strict=False))
    return [
        column
        for column in numbers
        if is_whole(column)
        and 1 < column.distinct <= len(column.texts) // _LEAST_ROWS
        and len(moments) == len(column.texts)
        and _is_of_devices(moments, column.texts)
    ]


def unnamed_counters(ids: Sequence[Column], numbers: Sequence[Column]) -> list[Column]:
    """Return the columns without a name whose whole numbers only go up, from row to row of each device."""
    return [column for column in numbers if column not in ids and is_whole(column) and _counts(ids, column)]


def is_whole(column: Column) -> bool:
    """Whether a column without a name holds whole numbers only."""
    return (
        _UNNAMED.fullmatch(column.name) is not None
        and column.n_empty == 0
        and all(text.isdigit() for text in column.texts)
    )


def _is_of_devices(moments: Sequence[tuple[str, ...]], texts: Sequence[str]) -> bool:
    changes = [before != after for before, after in pairwise(texts)]
    back = [before > after for before, after in pairwise(moments)]
    counts = Counter(texts)
    # A switch changes as often, between 0 and 1.
    is_even = max(counts.values()) <= 2 * min(counts.values()) and not counts.keys() <= {"0", "1"}
    takes_turns = is_even and 2 * sum(changes) > len(changes)
    begins_again = any(back) and all(change for change, is_back in zip(changes, back, strict=True) if is_back)
    return takes_turns or begins_again


def _counts(ids: Sequence[Column], column: Column) -> bool:
    """Whether numbers go up within each device, and are many."""
    last: dict[tuple[str, ...], int] = {}
    devices = list(zip(*(one.texts for one in ids), strict=False)) or [()] * len(column.texts)
    for device, text in zip(devices, column.texts, strict=False):
        if int(text) <= last.get(device, -1):
            return False
        last[device] = int(text)
    return len(column.texts) > 2 * len(last)
