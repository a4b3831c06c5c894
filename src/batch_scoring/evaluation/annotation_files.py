"""Read user-supplied annotations (CSV, JSON lines, Parquet); errors name file, row and column."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import read_time
from batch_scoring.core.system_errors import system_error
from batch_scoring.plant.devices import ALL

LABEL_FORMATS = (".csv", ".jsonl", ".ndjson", ".json", ".parquet", ".pq")

# The columns that say when, and whether the second one lies in the interval.
BEGIN, END = ("start", "first"), ("end", "last")
# Columns of other files that say how times are meant, which would be taken for UTC.
_ZONES = frozenset(("timezone", "time_zone", "time zone", "tz", "utc_offset"))
# A date with points has the day first, wherever it is written.
_WITH_POINTS = re.compile(r"(\d\d?)\.(\d\d?)\.(\d{4})(?:,? +(\d\d?)(:\d\d(?::\d\d)?)(?: Uhr)?)?")
# Those of a file without a header.
_TIMES = ("start", "end")


@dataclass(frozen=True)
class WrittenRow:
    """One row and where it stands.

    Attributes
    ----------
    where : str
        The file and the row, for messages: the line of a text file, the row of a Parquet file, from 1.
    values : mapping of str to Any
        By column, names in lower case.
    zone : str
        The IANA time zone of times without an offset.
    """

    where: str
    values: Mapping[str, Any]
    zone: str = "UTC"

    def text(self, column: str) -> str:
        """Return a text that must not be empty; numbers become text."""
        value = self.values.get(column)
        if isinstance(value, bool) or not isinstance(value, (str, int, float)) or not str(value).strip():
            raise InputError(f"{self.where}, column {column!r}: expected a text, got {value!r}")
        return str(value)

    def optional_text(self, column: str) -> str | None:
        """Return a text; None where it is empty or there is no such column."""
        return None if self._is_empty(column) else self.text(column)

    def optional_time(self, column: str) -> datetime | None:
        """Return a time, UTC; None where it is empty or there is no such column."""
        return None if self._is_empty(column) else self._time(column, self.zone)

    def _is_empty(self, column: str) -> bool:
        return not str("" if (value := self.values.get(column)) is None else value).strip()

    def interval(self) -> tuple[datetime, datetime]:
        """Return the interval, half-open and UTC, from ``start`` or ``first`` and ``end`` or ``last``."""
        zone = self.zone
        for column in _ZONES & self.values.keys():
            stated = str(self.values[column] or "").strip()
            if stated.upper() in ("UTC", "Z"):
                zone = "UTC"
            elif stated not in ("", zone):
                raise InputError(
                    f"{self.where}, column {column!r}: {self.values[column]!r} is not read; expected times "
                    "with their offset, such as 2026-01-05T10:00+01:00"
                )
        begin = next(name for name in BEGIN if name in self.values)
        stop = next(name for name in END if name in self.values)
        # A date without a time is that whole day.
        is_day = stop == "last" and _is_date(self.values[stop])
        start, end = self._time(begin, zone), self._time(stop, zone, timedelta(days=int(is_day)))
        if stop == "last" and not is_day:
            end += timedelta(microseconds=1)
        if end <= start:
            raise InputError(
                f"{self.where}, column {stop!r}: {self.values[stop]} is not after {begin!r}, "
                f"{self.values[begin]}; `end` is the first moment after an event, `last` the last one in it"
            )
        return start, end

    def _time(self, column: str, zone: str, later: timedelta = timedelta(0)) -> datetime:
        """Return a time, UTC; ``later`` by the clocks of the zone where it has no offset."""
        value, where = _iso(self.values[column]), f"{self.where}, column {column!r}"
        if value is None or isinstance(value, (int, float)):
            raise InputError(f"{where}: expected a time, got {value!r}")
        try:
            time = read_time(value, where) + later
            if zone == "UTC" or _has_offset(value):
                return time
            local = time.replace(tzinfo=ZoneInfo(zone))
            first, second = (local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
        except OverflowError:
            raise InputError(
                f"{where}: {value} is not valid; expected a time of the years 2 to 9998, such as 2026-01-05"
            ) from None
        # A day begins with its first moment, also where clocks change at midnight.
        if first != second and not _is_date(value):
            what = "comes twice" if first < second else "is left out"
            raise InputError(
                f"{where}: {value} {what} in {zone}, where clocks change; expected a time with its offset, "
                f"such as {first.astimezone(ZoneInfo(zone)).isoformat(timespec='minutes')}"
            )
        return first


def _iso(value: Any) -> Any:
    """Return a date with points, and its time of day, as ISO 8601; all else as it is.

    Examples
    --------
    >>> _iso("2.3.2026"), _iso("02.03.2026 6:00 Uhr"), _iso("2026-03-02T06:00Z")
    ('2026-03-02', '2026-03-02T06:00', '2026-03-02T06:00Z')
    """
    found = _WITH_POINTS.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        return value
    day, month, year, hour, rest = found.groups()
    return f"{year}-{month:0>2}-{day:0>2}" + ("" if hour is None else f"T{hour:0>2}{rest}")


def _is_date(value: Any) -> bool:
    return len(str(value).strip()) <= len("2026-01-05")


def _has_offset(value: Any) -> bool:
    time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
    return time.tzinfo is not None


def read_rows(
    path: Path, required: Sequence[tuple[str, ...]], name: str | None = None, zone: str = "UTC"
) -> Iterator[WrittenRow]:
    """Read the rows of a file.

    A CSV file whose first line begins with a digit has no header: its columns are ``start`` and ``end``,
    and its rows are of all sensors of the device that the file is named after.

    Parameters
    ----------
    path : Path
        Its ending gives the format: ``.csv``, separated by commas, semicolons or tabs, ``.jsonl`` (one
        object a line) or ``.parquet``.
    required : sequence of tuples of str
        Of each tuple the file must have one column.
    name : str, optional
        The path or URL by which people know the file, where ``path`` is a copy of it.
    zone : str
        The IANA time zone of times without an offset.

    Raises
    ------
    InputError
        When the file does not exist, has another format, cannot be read, or lacks a column.
    """
    name = str(path) if name is None else name
    suffix = path.suffix.lower()
    if suffix not in LABEL_FORMATS:
        raise InputError(
            f"{name}: the format is not supported; its name must end in {', '.join(LABEL_FORMATS)}"
        )
    try:
        for where, values in _READERS.get(suffix, _read_json_lines)(path, name):
            row = {str(column).strip().lower(): value for column, value in values.items()}
            if not row.get("", True):  # a spreadsheet ends each line with delimiters
                del row[""]
            _require_columns(f"{name}: {where}", row, required)
            if any(str("" if value is None else value).strip() for value in row.values()):
                yield WrittenRow(f"{name}: {where}", row, zone)
    except FileNotFoundError:
        raise InputError(f"{name}: there is no such file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: is not in UTF-8 ({error}); save it in UTF-8") from None
    except (OSError, csv.Error, pa.ArrowException) as error:
        raise system_error(error, Path(name)) or InputError(
            f"{name}: cannot be read as {suffix} ({error})"
        ) from error


def read_table(
    path: Path,
    schema: pa.Schema,
    required: Sequence[tuple[str, ...]],
    read: Callable[[WrittenRow], Sequence[Any]],
    name: str | None = None,
    zone: str = "UTC",
) -> pa.Table:
    """Read the rows of a file into a table, in the order of the file.

    Parameters
    ----------
    path, required, name, zone
        See :func:`read_rows`.
    schema : pyarrow.Schema
    read : callable
        The values of a row, in the order of the schema.

    Raises
    ------
    InputError
        Naming the file, the row and the column.
    """
    rows = [read(row) for row in read_rows(path, required, name, zone)]
    columns = zip(*rows, strict=True) if rows else [[] for _ in schema]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def _read_csv(path: Path, name: str) -> Iterator[tuple[str, dict[Any, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        delimiter = _delimiter(first)
        file.seek(0)
        # No column's name begins with a digit, and every time does.
        has_header = not first.lstrip(' "')[:1].isdigit()
        # A blank after a comma is not part of an id: with it, the id would match nothing.
        reader = csv.DictReader(
            file, None if has_header else _TIMES, strict=True, delimiter=delimiter, skipinitialspace=True
        )
        header = "the header" if has_header else "the two times of a file without a header"
        fixed = {} if has_header else {"device": Path(name).stem, "sensor": ALL}
        if has_header and reader.fieldnames:
            # A row of nothing: the names are checked where no row follows, too.
            yield f"line {reader.line_num}", dict.fromkeys(reader.fieldnames, "")
        for values in reader:
            where = f"line {reader.line_num}"
            if None in values or None in values.values():
                raise InputError(
                    f"{name}: {where} has {'more' if None in values else 'fewer'} fields than {header}; "
                    f"put fields with a {delimiter!r} in double quotes"
                )
            yield where, fixed | values


def _delimiter(header: str) -> str:
    """Return what separates the columns: the most frequent of comma, semicolon and tab."""
    return max(",;\t", key=header.count)


def _read_json_lines(path: Path, name: str) -> Iterator[tuple[str, dict[Any, Any]]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                values = json.loads(line)
            except ValueError as error:
                raise InputError(f"{name}: line {number} is not JSON ({error})") from None
            if not isinstance(values, dict):
                raise InputError(f"{name}: line {number} is not a JSON object; write one object a line")
            yield f"line {number}", values


def _read_parquet(path: Path, name: str) -> Iterator[tuple[str, dict[Any, Any]]]:
    with pq.ParquetFile(path, pre_buffer=False) as file:
        rows = (values for batch in file.iter_batches() for values in batch.to_pylist())
        for number, values in enumerate(rows, 1):
            yield f"row {number}", values


_READERS = {".csv": _read_csv, ".parquet": _read_parquet, ".pq": _read_parquet}


def _require_columns(where: str, row: Mapping[str, Any], required: Sequence[tuple[str, ...]]) -> None:
    for names in required:
        if not any(name in row for name in names):
            raise InputError(
                f"{where}: there is no column {' or '.join(map(repr, names))}; there are "
                f"{', '.join(row) or 'none'}; name the columns {', '.join(one[0] for one in required)}"
            )
