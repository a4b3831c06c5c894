"""Open a source file as a SQL relation of raw fields: one numbered row per record, not validated yet.

A new format is its suffixes in ``FORMATS``, and a function in ``_RELATIONS`` that opens a file of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scoring.core.errors import InputError
from batch_scoring.ingestion.columns import matching_names, require_columns, split_header
from batch_scoring.ingestion.events import event_records
from batch_scoring.ingestion.lines import LINES, first_line, read_lines
from batch_scoring.ingestion.settings import ROLES, IngestSettings
from batch_scoring.ingestion.sql import escape_glob, identifier, literal

if TYPE_CHECKING:
    import duckdb

# File format by the suffix of the name.
FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".avro": "events",  # of Event Hubs Capture
}
SAMPLE_LINES = 1000
_BATCH_LINES = 20_000
# Of each column what DuckDB's DESCRIBE says: first its name and its type.
Described = list[tuple[str, ...]]
_NUMBERED = pa.schema([pa.field("source", pa.int32()), *LINES])


@dataclass(frozen=True)
class RawRelation:
    """A source file as SQL to select from.

    Attributes
    ----------
    sql : str
        A query of ``source_lines`` or ``source_rows`` with the columns ``source`` (number of the file),
        ``row`` (bigint, from 1), ``raw_timestamp``, ``device``, ``sensor`` (both text), ``raw_value`` and
        ``malformed`` (the text of a record that cannot be read, else NULL). The same for all files of one
        form.
    timestamp_type, value_type : str
        The DuckDB types of ``raw_timestamp`` and ``raw_value``.
    lines : BatchReader or None
        What the query reads under the name ``source_lines``, when the file is text or events.
    """

    sql: str
    timestamp_type: str = "VARCHAR"
    value_type: str = "VARCHAR"
    lines: BatchReader | None = None


@dataclass
class BatchReader:
    """Batches for DuckDB, which swallows the errors of what it reads; they are kept.

    Attributes
    ----------
    batches : callable
        Yields record batches of schema ``lines.LINES``: ``row``, int64, the number of the record from 1, and
        ``line``, string, its text. What cannot be read raises InputError with the file's path, never
        ArrowException: of that, DuckDB would show its own words.
    error : InputError or None
    n_bytes : int
        Bytes read so far.
    """

    batches: Callable[[], Iterator[pa.RecordBatch]]
    error: InputError | None = field(default=None, init=False)
    n_bytes: int = field(default=0, init=False)

    def read(self) -> Iterator[pa.RecordBatch]:
        """Read the batches, once."""
        try:
            for batch in self.batches():
                self.n_bytes += batch.nbytes
                yield batch
        except InputError as error:
            self.error = error
            raise


def numbered_lines(readers: Iterable[tuple[int, BatchReader]]) -> pa.RecordBatchReader:
    """Read the lines of several files one after the other, each with the number of its file."""

    def batches() -> Iterator[pa.RecordBatch]:
        # DuckDB takes the time of thousands of lines for each batch.
        held: list[pa.RecordBatch] = []
        n_held = 0
        for number, reader in readers:
            for batch in reader.read():
                numbers = pa.repeat(pa.scalar(number, pa.int32()), batch.num_rows)
                held.append(pa.record_batch([numbers, *batch.columns], schema=_NUMBERED))
                n_held += batch.num_rows
                if n_held >= _BATCH_LINES:
                    yield pa.concat_batches(held)
                    held, n_held = [], 0
        if held:
            yield pa.concat_batches(held)

    return pa.RecordBatchReader.from_batches(_NUMBERED, batches())


def parquet_scan(files: str) -> str:
    """Return the SQL function that reads Parquet files, listed as SQL literals."""
    return (
        f"read_parquet([{files}], file_row_number = true, filename = true, binary_as_string = true, "
        "hive_partitioning = false)"
    )


def raw_relation(
    connection: duckdb.DuckDBPyConnection,
    path: str,
    file_format: str,
    settings: IngestSettings,
    described: dict[str, Described],
) -> RawRelation | None:
    """Build the relation of a source file; None when the file is empty.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    path, file_format : str
    settings : IngestSettings
    described : dict
        The columns of the Parquet schemas met so far; added to.

    Raises
    ------
    InputError
        When the format is not known, a column is missing, or the file cannot be read.
    duckdb.Error
        When a Parquet file is broken.
    """
    if file_format not in _RELATIONS:
        raise InputError(f"{path}: format {file_format!r} is not known; expected {', '.join(_RELATIONS)}")
    return _RELATIONS[file_format](connection, path, settings, described)


def _parquet_relation(
    connection: duckdb.DuckDBPyConnection,
    path: str,
    settings: IngestSettings,
    described: dict[str, Described],
) -> RawRelation:
    # Many files have one schema, and DuckDB takes a millisecond to describe each.
    schema = _parquet_schema(path)
    if schema not in described:
        scan = parquet_scan(literal(escape_glob(path)))
        described[schema] = connection.execute(
            f"DESCRIBE SELECT * EXCLUDE (file_row_number, filename) FROM {scan}"
        ).fetchall()
    names, types = [row[0] for row in described[schema]], [row[1] for row in described[schema]]
    positions = require_columns(names, settings, path)
    column = {role: identifier(names[position]) for role, position in positions.items()}
    sql = (
        f"SELECT source, file_row_number + 1 AS row, {column['timestamp']} AS raw_timestamp, "
        f"CAST({column['device']} AS VARCHAR) AS device, CAST({column['sensor']} AS VARCHAR) AS sensor, "
        f"{column['value']} AS raw_value, CAST(NULL AS VARCHAR) AS malformed FROM source_rows"
    )
    return RawRelation(sql, types[positions["timestamp"]], types[positions["value"]])


def _parquet_schema(path: str) -> str:
    """Return a Parquet file's schema as text; the path of one that Arrow does not read."""
    try:
        # Its first line names the object.
        return str(pq.read_metadata(path).schema).partition("\n")[2]
    except (pa.ArrowException, OSError, ValueError):
        return path


def _csv_relation(
    _: duckdb.DuckDBPyConnection, path: str, settings: IngestSettings, __: dict[str, Described]
) -> RawRelation | None:
    header = first_line(path)
    if header is None:
        return None
    delimiter, names = split_header(header, settings)
    positions = require_columns(names, settings, path)
    return _line_relation(
        path, 2, _csv_fields("text", delimiter), len(names), [positions[role] for role in ROLES]
    )


def _json_relation(
    connection: duckdb.DuckDBPyConnection, path: str, settings: IngestSettings, _: dict[str, Described]
) -> RawRelation | None:
    """Build the relation of a file of one object a line, or of one array of objects."""
    header = first_line(path)
    if header is None:
        return None
    if header.lstrip().startswith("[") and path.lower().removesuffix(".gz").endswith(".json"):
        return _json_array_relation(connection, path, settings)
    names = _json_names(_first_lines(path))
    fields = _json_fields("text", require_columns(names, settings, path), names)
    return _line_relation(path, 1, fields, len(ROLES), list(range(len(ROLES))))


def _json_array_relation(
    connection: duckdb.DuckDBPyConnection, path: str, settings: IngestSettings
) -> RawRelation:
    scan = f"read_json_objects([{literal(escape_glob(path))}], format = 'array')"
    sample = connection.execute(f"SELECT json FROM {scan} LIMIT {SAMPLE_LINES}").fetchall()
    names = _json_names([text for (text,) in sample])
    fields = _json_fields("text", require_columns(names, settings, path), names)
    records = (
        f"SELECT source, row_number() OVER () AS row, CAST(json AS VARCHAR) AS text FROM {scan}, source_rows"
    )
    return RawRelation(_select_fields(records, fields, len(ROLES), list(range(len(ROLES)))))


def _events_relation(
    connection: duckdb.DuckDBPyConnection, path: str, settings: IngestSettings, _: dict[str, Described]
) -> RawRelation:
    """Build the relation of stored events; no content of theirs is an error of the file.

    Each record is read with the names that it has itself: senders differ, and which of them share
    a file is chance.
    """
    lines = BatchReader(lambda: event_records(path))
    connection.register("event_lines", numbered_lines([(0, lines)]))
    try:
        keys = connection.execute(
            "SELECT DISTINCT unnest(json_keys(line)) FROM event_lines "
            "WHERE CASE WHEN json_valid(line) THEN json_type(line) = 'OBJECT' END"
        ).fetchall()
    except Exception as error:
        raise lines.error or error from None
    finally:
        connection.unregister("event_lines")
    names = {role: matching_names([key for (key,) in keys], role, settings) for role in ROLES}
    fields = (
        f"CASE WHEN json_valid(text) THEN CASE WHEN json_type(text) = 'OBJECT' "
        f"THEN [{', '.join(_first_json_field('text', names[role]) for role in ROLES)}] END END"
    )
    records = "SELECT source, row, line AS text FROM source_lines"
    return RawRelation(_select_fields(records, fields, len(ROLES), list(range(len(ROLES)))), lines=lines)


# How a file of each format is opened.
_RELATIONS = {
    "csv": _csv_relation,
    "parquet": _parquet_relation,
    "json": _json_relation,
    "events": _events_relation,
}


def _line_relation(path: str, first_row: int, fields: str, width: int, positions: list[int]) -> RawRelation:
    """Build the relation of a file of lines; empty lines are skipped."""
    records = (
        r"SELECT source, row, rtrim(line, chr(13) || chr(10)) AS text FROM source_lines WHERE text <> ''"
    )
    return RawRelation(
        _select_fields(records, fields, width, positions),
        lines=BatchReader(lambda: read_lines(path, first_row)),
    )


def _select_fields(records: str, fields: str, width: int, positions: list[int]) -> str:
    picked = [f"CASE WHEN well_formed THEN fields[{position + 1}] END" for position in positions]
    return (
        f"SELECT source, row, {picked[0]} AS raw_timestamp, {picked[1]} AS device, {picked[2]} AS sensor, "
        f"{picked[3]} AS raw_value, CASE WHEN NOT well_formed THEN text END AS malformed FROM ("
        f"SELECT source, row, text, fields, COALESCE(len(fields) = {width}, false) AS well_formed FROM ("
        f"SELECT source, row, text, {fields} AS fields FROM ({records})))"
    )


def _csv_fields(text: str, delimiter: str) -> str:
    """Parse a CSV line into a list of fields; NULL when its quotes do not match. A record is one line."""
    mark = {"|": r"\|", "\t": r"\t"}.get(delimiter, delimiter)
    one = rf'"(?:[^"]|"")*"|[^{mark}"]*'
    every = rf"regexp_extract_all({literal(delimiter)} || {text}, '{mark}({one})', 1)"
    unquoted = (
        "list_transform(" + every + ", lambda field: CASE WHEN starts_with(field, '\"') "
        "THEN replace(substr(field, 2, length(field) - 2), '\"\"', '\"') ELSE field END)"
    )
    is_valid = f"regexp_full_match({text}, '(?:{one})(?:{mark}(?:{one}))*')"
    return (
        f"CASE WHEN NOT contains({text}, '\"') THEN string_split({text}, {literal(delimiter)}) "
        f"WHEN {is_valid} THEN {unquoted} END"
    )


def _json_fields(text: str, positions: dict[str, int], names: list[str]) -> str:
    """Extract the four fields of a JSON object as a list of texts, numbers as they are written."""
    listed = ", ".join(literal(_json_path(names[positions[role]])) for role in ROLES)
    return (
        f"CASE WHEN json_valid({text}) THEN CASE WHEN json_type({text}) = 'OBJECT' "
        f"THEN json_extract_string({text}, [{listed}]) END END"
    )


def _first_json_field(text: str, names: list[str]) -> str:
    """Extract the first existing field of a JSON object as text; NULL when none exists."""
    found = [f"json_extract_string({text}, {literal(_json_path(name))})" for name in names]
    return f"COALESCE({', '.join([*found, 'CAST(NULL AS VARCHAR)'])})"


def _json_path(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'$."{escaped}"'


def _first_lines(path: str) -> list[str]:
    lines: list[str] = []
    for batch in read_lines(path, block_bytes=1 << 20):
        lines += batch.column("line").slice(0, SAMPLE_LINES - len(lines)).to_pylist()
        if len(lines) >= SAMPLE_LINES:
            break
    return lines


def _json_names(texts: list[str]) -> list[str]:
    """List the keys of the objects among some texts, in the order they are first seen."""
    names: dict[str, None] = {}
    for text in texts:
        try:
            parsed: Any = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(parsed, dict):
            names.update(dict.fromkeys(parsed))
    return list(names)
