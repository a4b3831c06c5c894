"""What the log of a Delta table says of one of its Parquet files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from batch_scoring.core.moments import DAY_US, microseconds
from batch_scoring.storage.row_files import OWN, has_sparse_days
from batch_scoring.storage.table_log import DATE

_MILLISECOND = 1_000
# Where a table keeps copies; Delta Lake leaves folders alone whose names begin with an underscore.
COPIES = "_copies"


@dataclass(frozen=True)
class DataFile:
    """A Parquet file of a table.

    Attributes
    ----------
    name : str
        Relative to the table's folder.
    rows : int
    size : int
        Bytes.
    day : date or None
        UTC day of its rows' times; None in a table without days.
    first, last : int
        The earliest and the latest time, microseconds since the epoch, both included; 0 in a table without
        days. Of a file that another program has compacted, ``last`` may be up to a millisecond later.
    bounds : dict of str to (str, str) or (int, int)
        The smallest and the largest text, or time in microseconds, of each column that has them.
    """

    name: str
    rows: int
    size: int
    day: date | None = None
    first: int = 0
    last: int = 0
    bounds: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)

    @property
    def is_own(self) -> bool:
        """Whether it was written here, and not by another program's compaction."""
        return self.name.rpartition("/")[2].startswith(OWN)

    @property
    def copy(self) -> str:
        """Name of its copy; see :mod:`~batch_scoring.storage.series_copies`."""
        return f"{COPIES}/{self.name.rpartition('/')[2]}.arrow"

    @property
    def by_month(self) -> bool:
        """Whether the file holds the days of a month."""
        return self.last // DAY_US != self.first // DAY_US

    def overlaps(self, start: int | None, end: int | None) -> bool:
        """Whether a row may have a time in ``[start, end)``, microseconds since the epoch."""
        return (start is None or self.last >= start) and (end is None or self.first < end)

    def may_have(self, column: str, wanted: Iterable[str] | None) -> bool:
        """Whether a row may have one of these texts in a column; None is any text."""
        low, high = self.bounds.get(column, (None, None))
        return wanted is None or low is None or any(low <= text <= high for text in wanted)


def hold_sparse_days(files: Iterable[DataFile]) -> bool:
    """Whether rows of these files, or as many made of them, belong into a file a month."""
    found = list(files)
    return has_sparse_days(count_days(found), sum(file.rows for file in found))


def count_days(files: Iterable[DataFile]) -> int:
    """Count the UTC days that these files may hold."""
    return len({day for file in files for day in range(file.first // DAY_US, file.last // DAY_US + 1)})


def read_data_files(actions: Iterable[Mapping[str, Any]], column: str | None) -> list[DataFile]:
    """Read ``add`` actions of a log, all with the same keys; ``column`` has a table's times, if any.

    Raises
    ------
    ValueError
        Where another program has written a file without statistics, or the log is damaged.
    """
    every = list(actions)
    bounded = [name[4:] for name in (every[0] if every else ()) if name.startswith("min.")]
    return [_read_data_file(action, column, bounded) for action in every]


def _read_data_file(action: Mapping[str, Any], column: str | None, bounded: Sequence[str]) -> DataFile:
    is_own = action["path"].rpartition("/")[2].startswith(OWN)
    bounds = {}
    for name in bounded:
        low, high = action[f"min.{name}"], action[f"max.{name}"]
        # Other programs cut long texts.
        if low is not None and high is not None and (is_own or not isinstance(low, str)):
            bounds[name] = (_bound(low), _bound(high, is_cut=not is_own))
    if action.get("num_records") is None or (column is not None and column not in bounds):
        raise ValueError(
            f"its log lacks the statistics of {action['path']} (rows, first and last time); restore it "
            "from a backup, or write it again with statistics"
        )
    if column is None:
        return DataFile(action["path"], action["num_records"], action["size_bytes"], bounds=bounds)
    first, last = bounds[column]
    return DataFile(
        action["path"],
        action["num_records"],
        action["size_bytes"],
        action[f"partition.{DATE}"],
        first,
        last,
        bounds,
    )


def _bound(value: Any, is_cut: bool = False) -> Any:
    if not isinstance(value, datetime):
        return value
    us = microseconds(value)
    # Delta's own statistics are cut to milliseconds.
    return us + _MILLISECOND - 1 if is_cut and us % _MILLISECOND == 0 else us
