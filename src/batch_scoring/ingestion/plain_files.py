"""Read Parquet files in which nothing is to be decided: every row is a reading, typed and stated once.

That is what a fleet sends in most hours. Anything else, such as text to parse, a row to refuse or a reading
that is stated twice, is for :mod:`~batch_scoring.ingestion.staging`, which takes three times as long. Long
files of more rows than memory is meant for are for :mod:`~batch_scoring.ingestion.long_runs`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Selection
from batch_scoring.core.moments import DAY_US
from batch_scoring.ingestion.long_files import clean_keys, open_long
from batch_scoring.ingestion.plain_columns import may_be_unset
from batch_scoring.ingestion.plain_rows import READINGS_KEY, PlainRows, holds_one_of
from batch_scoring.ingestion.settings import IngestSettings
from batch_scoring.storage.row_files import has_sparse_days
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrow_arrays import to_arrow, to_numpy
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.row_groups import ROW_GROUP_ROWS
from batch_scoring.tables.schemas import READINGS

if TYPE_CHECKING:
    from batch_scoring.ingestion.source_files import SourceFile
    from batch_scoring.ingestion.sources import PendingSource

# More rows are not held in memory: they take some 130 bytes each. Of long files, runs are sorted on the disk.
MAX_ROWS = 6_000_000


@dataclass(frozen=True)
class LongRows(PlainRows):
    """The rows of plain files with a measurement a row.

    Attributes
    ----------
    rows : pyarrow.Table
        Columns of the schema READINGS, with ids as dictionaries; sorted by sensor, device and time.
    """

    rows: pa.Table

    def parts(self) -> Iterator[Iterator[pa.Table]]:
        """Yield the rows in order, as one part; schema READINGS."""
        yield self._batches()

    def _batches(self) -> Iterator[pa.Table]:
        for start in range(0, self.rows.num_rows, ROW_GROUP_ROWS):
            yield self.rows.slice(start, ROW_GROUP_ROWS).cast(READINGS)

    def may_be_in(self, table: RowTable) -> bool:
        """Whether a table may hold a reading of the same series and time as one of these rows."""
        files = table.files(self.first, self.last + 1, self.staged_ids("sensor"))
        if not files:
            return False
        mine = np.concatenate([row_fingerprints(rows, READINGS_KEY) for rows in self._batches()])
        return holds_one_of(table, files, mine, to_numpy(self.rows["timestamp"]), READINGS_KEY)

    def staged_ids(self, kind: str) -> set[str]:
        """Return the devices or sensors (``kind``) of the rows."""
        return set(pc.unique(self.rows[kind]).dictionary.to_pylist())


def read_plain(
    sources: Sequence[PendingSource], settings: IngestSettings, latest: datetime, stack: ExitStack
) -> PlainRows | None:
    """Read source files if all of them are plain.

    Parameters
    ----------
    sources : sequence of PendingSource
    settings : IngestSettings
    latest : datetime
        Readings after it are in the future.
    stack : ExitStack
        Until it is closed, the rows can be read; it may hold temporary files of them.

    Returns
    -------
    PlainRows or None
        None where a file is not plain.
    """
    if any(one.selections != [Selection()] or one.file.format != "parquet" for one in sources):
        return None
    if settings.convert or settings.missing_values or settings.quality.column is not None:
        return None
    files = [source.file for source in sources]
    try:
        found: PlainRows | None = _long_rows(files, settings, latest, stack)
        if found is None:
            # An hour of long files does not wait for what reads others.
            from batch_scoring.ingestion.plain_wide import wide_rows

            found = wide_rows(files, settings, latest, MAX_ROWS)
    except (pa.ArrowException, OSError, InputError, ValueError):
        return None  # the other way says why
    if found is None or any(file.has_changed() for file in files):
        return None
    return found


def _long_rows(
    files: Sequence[SourceFile], settings: IngestSettings, latest: datetime, stack: ExitStack
) -> PlainRows | None:
    """Read files with a measurement a row: at once, or where they are many rows, in runs."""
    found = [open_long(file, settings) for file in files]
    opened = [one for one in found if one is not None]
    if len(opened) < len(found) or MAX_ROWS <= 0:
        return None
    if sum(one.n_rows for one in opened) > MAX_ROWS:
        from batch_scoring.ingestion.long_runs import rows_in_runs

        return rows_in_runs(opened, settings, latest, MAX_ROWS, stack)
    rows = pa.concat_tables([one.read() for one in opened]).unify_dictionaries().combine_chunks()
    keys = clean_keys(rows, settings, latest)
    if keys is None:
        return None
    order = np.lexsort(keys[::-1])
    series, time = (key[order] for key in keys)
    if ((series[1:] == series[:-1]) & (time[1:] == time[:-1])).any() or may_be_unset(series, time):
        return None
    day = time // DAY_US
    n_days = int(np.count_nonzero(np.bincount(day - day.min())))
    return LongRows(
        n_rows={n: one.n_rows for n, one in enumerate(opened)},
        n_missing={},
        first=int(time.min()),
        last=int(time.max()),
        by_month=has_sparse_days(n_days, day.size),
        rows=rows.take(to_arrow(order)),
    )
