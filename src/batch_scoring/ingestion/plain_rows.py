"""What may be asked of files in which nothing is to be decided: what may be asked of a ``StagingArea``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from batch_scoring.core.moments import EPOCH, MICROSECOND
from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrays import Int, UInt
from batch_scoring.tables.fingerprints import row_fingerprints

if TYPE_CHECKING:
    from batch_scoring.ingestion.source_files import SourceFile

# Two readings with the same are one reading, or contradict each other.
READINGS_KEY = ("sensor", "device", "timestamp")


@dataclass(frozen=True)
class PlainRows(ABC):
    """The rows of plain files.

    Attributes
    ----------
    n_rows : dict of int to int
        Rows by the number of their source, those without a value among them.
    n_missing : dict of int to int
        Rows without a value.
    first, last : int
        The first and the last time, microseconds since the epoch.
    by_month : bool
        Whether a day holds too few rows for a file of its own.
    """

    n_rows: dict[int, int]
    n_missing: dict[int, int]
    first: int
    last: int
    by_month: bool

    @abstractmethod
    def parts(self) -> Iterator[Iterator[pa.Table]]:
        """Yield the readings in parts, each sorted by sensor, device and time within its days or months."""

    @abstractmethod
    def may_be_in(self, table: RowTable) -> bool:
        """Whether a table may hold a reading of the same series and time as one of these rows."""

    @abstractmethod
    def staged_ids(self, kind: str) -> set[str]:
        """Return the devices or sensors (``kind``) of the rows."""

    @property
    def n_readings(self) -> int:
        """Rows that have a value."""
        return sum(self.n_rows.values()) - sum(self.n_missing.values())

    @property
    def failed(self) -> dict[int, str]:
        """No file: one that cannot be read is not plain."""
        return {}

    @property
    def passing(self) -> frozenset[int]:
        """No file, either."""
        return frozenset()

    def source_ids(self, kind: str, sources: object) -> set[str]:
        """Return the devices or sensors (``kind``) of the files, whose rows are all here."""
        return self.staged_ids(kind)

    def rows_by_source(self) -> dict[int, int]:
        """Count the rows of each source."""
        return self.n_rows

    def refused_by_source(self) -> dict[int, dict[str, int]]:
        """Count the refused rows: there are none."""
        return {}

    def aside_by_source(self) -> dict[int, dict[str, int]]:
        """Count the rows without a value."""
        return {number: {"missing_value": n} for number, n in self.n_missing.items() if n}

    def first_future(self) -> dict[int, datetime]:
        """Return the earliest refused times: there are none."""
        return {}

    def span(self) -> tuple[datetime, datetime]:
        """Return the first and the last time, UTC."""
        return EPOCH + self.first * MICROSECOND, EPOCH + self.last * MICROSECOND

    def quarantine(self, sources: Mapping[int, SourceFile]) -> Iterator[pa.Table]:
        """Yield the refused rows: there are none."""
        return iter(())


def holds_one_of(
    table: RowTable,
    files: Iterable[DataFile],
    fingerprints: UInt,
    times: Int,
    columns: Sequence[str],
    sensors: Iterable[str] | None = None,
) -> bool:
    """Whether files of a table hold a row with one of some fingerprints.

    Of an hour with a late reading of yesterday, the files between are not read.

    Parameters
    ----------
    table : RowTable
    files : iterable of DataFile
    fingerprints : uint64 array of shape (n,)
    times : int64 array of shape (n,)
        The time of each, microseconds since the epoch.
    columns : sequence of str
        What they are of; texts, and the time.
    sensors : iterable of str, optional
        The only ones to look at.
    """
    texts = [name for name in columns if name != table.time]
    for file in files:
        near = np.sort(fingerprints[(times >= file.first) & (times <= file.last)])
        for rows in table.batches(file, columns, sensors, encoded=texts) if near.size else ():
            theirs = row_fingerprints(rows, columns)
            if (near[np.minimum(np.searchsorted(near, theirs), near.size - 1)] == theirs).any():
                return True
    return False
