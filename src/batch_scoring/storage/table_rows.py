"""Read the rows of a version of a Delta table.

``deltalake`` reads the log. The files are read here, because every step streams rows in the order of sensor,
device and time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from html import escape
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scoring.core.errors import InputError
from batch_scoring.core.moments import microseconds
from batch_scoring.core.parameters import read_time
from batch_scoring.core.system_errors import system_error
from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.parquet import open_parquet
from batch_scoring.storage.table_version import TableVersion, as_set
from batch_scoring.tables.arrow_arrays import are_among, empty_table, strings, to_arrow, to_numpy
from batch_scoring.tables.device_ranges import BATCH_ROWS, group_bounds, read_batches, read_pieces, row_groups
from batch_scoring.tables.schemas import TIMESTAMP

# Of times in microseconds; a null is before the first.
_FIRST, _LAST = -(2**63) + 1, 2**63 - 1
_HOW = "rows: .to_pandas(), .to_polars() or .read() (Arrow), with sensors=, devices=, start=, end=, columns="


class TableRows(TableVersion):
    """A version of a Delta table whose rows are read on demand.

    The parameters are those of :class:`~batch_scoring.storage.table_version.TableVersion`.
    """

    def distinct(self, column: str, files: Iterable[DataFile] | None = None) -> list[str]:
        """List the texts of a column, in some files or all, sorted as UTF-8 bytes.

        Files and row groups that hold one text only are not read.
        """
        found: set[str] = set()
        for file in self._files if files is None else files:
            low, high = file.bounds.get(column, (None, None))
            if low is not None and low == high:
                found.add(low)
                continue
            opened = self.open(file)
            if column not in opened.schema_arrow.names:
                continue
            bounds = group_bounds(opened, column)
            found.update(one[0] for one in bounds if one is not None and one[0] == one[1])
            mixed = [place for place, one in enumerate(bounds) if one is None or one[0] != one[1]]
            for rows in read_batches(opened, [column], groups=mixed):
                found.update(text for text in pc.unique(rows[column]).to_pylist() if text is not None)
        return sorted(found, key=str.encode)

    def open(self, file: DataFile, encoded: Sequence[str] = ()) -> pq.ParquetFile:
        """Open a file; only its footer is read. Columns in ``encoded`` are read as dictionaries.

        A file written before the table gained a column lacks it.

        Raises
        ------
        InputError
            When the file is gone or damaged.
        """
        missing = f"this file of a table is gone; {self.if_damaged}"
        opened = open_parquet(self.folder, file.name, self.if_damaged, missing, encoded)
        with self._naming(file):
            found = opened.schema_arrow
            if opened.metadata.num_rows != file.rows or not set(found.names) <= set(self.schema.names):
                raise ValueError("not the rows or columns of this table")
            for column, kind in zip(found.names, found.types, strict=True):
                wanted = self.schema.field(column).type
                found_kind = kind.value_type if column in encoded else kind
                if found_kind != wanted and not pa.types.is_nested(wanted):
                    raise ValueError(f"column {column!r} has the type {kind}")
        return opened

    @contextmanager
    def _naming(self, file: DataFile) -> Iterator[None]:
        """Name a file that cannot be read: a footer has no checksum, so anything may be wrong with it."""
        try:
            yield
        except (pa.ArrowException, OSError, KeyError, ValueError) as error:
            place = self.folder.path(file.name)
            raise system_error(error, place) or InputError(
                f"{place}: damaged ({error}); {self.if_damaged}"
            ) from error

    def batches(
        self,
        file: DataFile,
        columns: Sequence[str] | None = None,
        sensors: Iterable[str] | None = None,
        devices: Iterable[str] | None = None,
        rows: int = BATCH_ROWS,
        encoded: Sequence[str] = (),
    ) -> Iterator[pa.Table]:
        """Read a file's rows of these sensors and devices in their order, about ``rows`` at a time.

        Columns in ``encoded`` may come as dictionaries: texts that repeat take a fifth of the time. Columns
        that the table gained after the file was written are null.
        """
        asked = {"sensor": sensors, "device": devices}
        wanted = {name: sorted(ids) for name, ids in asked.items() if ids is not None}
        opened = self.open(file, encoded if file.is_own else ())
        with self._naming(file):
            names = list(columns) if columns is not None else self.schema.names
            groups = list(range(opened.num_row_groups))
            for name, ids in wanted.items():
                groups = row_groups(opened, name, ids, groups)
            stored = set(opened.schema_arrow.names)
            needed = [name for name in dict.fromkeys([*names, *wanted]) if name in stored]
            later = [self.schema.field(name) for name in names if name not in stored]
            among = {name: strings(ids) for name, ids in wanted.items()}
            pieces = (
                read_pieces(opened, needed, rows, groups) if file.is_own else self._sorted(opened, needed)
            )
            for batch in pieces:
                kept = only(batch, among)
                for one in later:
                    kept = kept.append_column(one, pa.nulls(kept.num_rows, one.type))
                if kept.num_rows:
                    yield kept.select(names)

    def _sorted(self, opened: pq.ParquetFile, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Read a file of another program, whose rows may be in any order."""
        order = [name for name in ("sensor", "device", self.time) if name in self.schema.names]
        rows = opened.read(list(dict.fromkeys([*columns, *order])))
        yield rows.sort_by([(name, "ascending") for name in order]) if order else rows

    def read(
        self,
        columns: Sequence[str] | None = None,
        start: int | datetime | str | None = None,
        end: int | datetime | str | None = None,
        sensors: Iterable[str] | None = None,
        devices: Iterable[str] | None = None,
    ) -> pa.Table:
        """Read the rows of these times, sensors and devices into memory, by day and time of their files.

        Parameters
        ----------
        columns : sequence of str, optional
        start, end : int, datetime or str, optional
            Times in ``[start, end)``: microseconds since the epoch, or UTC, such as ``"2026-01-12"``.
        sensors, devices : iterable of str, optional
        """
        wanted = (as_set(sensors), as_set(devices))
        start, end = _microseconds(start, "start"), _microseconds(end, "end")
        needed = list(columns) if columns is not None else self.schema.names
        schema = pa.schema([self.schema.field(name) for name in needed if self.exists])
        tables = [empty_table(schema)]
        is_part = start is not None or end is not None
        low, high = _FIRST if start is None else start, _LAST if end is None else end
        extra = [str(self.time)] if is_part and self.time not in needed else []
        for file in self.files(start, end, *wanted):
            for batch in self.batches(file, [*needed, *extra], *wanted):
                rows = batch
                if is_part:
                    time = to_numpy(batch[str(self.time)].cast(TIMESTAMP), null=_FIRST - 1)
                    rows = batch.filter(to_arrow((time >= low) & (time < high)))
                tables.append(rows.select(needed).cast(schema))
        return pa.concat_tables(tables)

    def head(self, rows: int = 5) -> pa.Table:
        """Read the first rows, in the order of their files; no more of them than it takes."""
        found = empty_table(self.schema)
        for file in self._files:
            for batch in self.batches(file, rows=max(rows, 1)):
                found = pa.concat_tables([found, batch.slice(0, rows - found.num_rows).cast(self.schema)])
                if found.num_rows == rows:
                    return found
        return found

    def __repr__(self) -> str:
        place = self.folder.path()
        try:
            if not self.exists:
                return f"Delta table in {place}, not written yet"
            columns = ", ".join(self.schema.names)
            return (
                f"Delta table in {place}, version {self.version}, {self.num_rows:,} rows: {columns}\n{_HOW}"
            )
        except (InputError, OSError) as error:  # a debugger shows a table that cannot be read, too
            return f"Delta table in {place}, which cannot be read: {error}"

    def _repr_html_(self) -> str:
        """Show a notebook what the table is and its first rows."""
        about, first = f"<p>{escape(repr(self))}</p>", None
        with suppress(InputError, OSError):
            first = self.head() if self.exists else None
        return about if first is None else about + _html(first)

    def to_pandas(self, **wanted: Any) -> Any:
        """Read rows as a pandas data frame; see :meth:`read`."""
        return self.read(**wanted).to_pandas()

    def to_polars(self, **wanted: Any) -> Any:
        """Read rows as a Polars data frame; see :meth:`read`."""
        import polars

        return polars.from_arrow(self.read(**wanted))


def only(rows: pa.Table, wanted: Mapping[str, pa.Array]) -> pa.Table:
    """Keep the rows whose texts are wanted, column by column."""
    for name, texts in wanted.items():
        is_wanted = are_among(rows[name], texts)
        rows = rows if is_wanted.all() else rows.filter(to_arrow(is_wanted))
    return rows


def _html(rows: pa.Table) -> str:
    def line(cells: Iterable[Any], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(_cell(cell))}</{tag}>" for cell in cells) + "</tr>"

    columns = [column.to_pylist() for column in rows.columns]
    lines = [line(rows.column_names, "th"), *(line(row, "td") for row in zip(*columns, strict=True))]
    return f"<table>{''.join(lines)}</table>"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value)


def _microseconds(time: int | datetime | str | None, where: str) -> int | None:
    return time if time is None or isinstance(time, int) else microseconds(read_time(time, where))
