"""Open a source file as a SQL relation of raw fields: one numbered row per reading, not validated yet.

A new format is mostly two entries in ``file_formats``: its suffixes in ``FORMATS``, and in ``CONVERSIONS``
a function that writes it as CSV, Parquet or JSON lines. Only a format that is read in place needs a function
in ``RELATIONS`` here. Its test is a ``@shape`` in tests/ingestion/shapes/packed.py; ``python -m
tests.format_reference`` then names it in docs/reference/formats.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scoring.core.errors import InputError
from batch_scoring.ingestion.column_kinds import kind_of
from batch_scoring.ingestion.columns import match_columns
from batch_scoring.ingestion.delimited import csv_relation, row_records
from batch_scoring.ingestion.envelopes import opened_records
from batch_scoring.ingestion.events import event_records
from batch_scoring.ingestion.json_files import json_relation
from batch_scoring.ingestion.json_paths import Leaf, match_leaves, sensor_names
from batch_scoring.ingestion.mixed_records import mixed_relation
from batch_scoring.ingestion.path_ids import FileIds, file_ids
from batch_scoring.ingestion.relations import RawRelation
from batch_scoring.ingestion.settings import IngestSettings
from batch_scoring.ingestion.shapes import find_shape, of_part, select_records
from batch_scoring.ingestion.sql import escape_glob, identifier, is_number, literal

if TYPE_CHECKING:
    import duckdb

SAMPLE_ROWS = 200
# What a scan adds to the columns of Parquet files: under a usual name it would stand for one of theirs.
FILE_NAME, FILE_NUMBER = "batch_scoring file name", "batch_scoring file number"
# Of each column, and of each field of one that holds objects: its dotted name, its type and its SQL.
Described = list[tuple[str, str, str]]


def parquet_scan(files: str) -> str:
    """Return the SQL function that reads Parquet files, listed as SQL literals."""
    return (
        f"read_parquet([{files}], file_row_number = true, filename = {literal(FILE_NAME)}, "
        "binary_as_string = true, hive_partitioning = false)"
    )


def raw_relation(
    connection: duckdb.DuckDBPyConnection,
    path: str,
    file_format: str,
    settings: IngestSettings,
    described: dict[str, Described],
    place: str = "",
) -> RawRelation | None:
    """Build the relation of a source file; None when the file is empty.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    path, file_format : str
    settings : IngestSettings
    described : dict
        The columns of the Parquet schemas met so far; added to.
    place : str, optional
        Where the file lies, if ``path`` is that of a copy: it may name device and sensor.

    Raises
    ------
    InputError
        When the format is not known, a column is missing, or the file cannot be read.
    duckdb.Error
        When a Parquet file is broken.
    """
    if file_format not in RELATIONS:
        raise InputError(f"{path}: format {file_format!r} is not known; expected {', '.join(RELATIONS)}")
    ids = file_ids(place or path, settings)
    return RELATIONS[file_format](connection, path, settings, ids, described)


def _parquet_relation(
    connection: duckdb.DuckDBPyConnection,
    path: str,
    settings: IngestSettings,
    ids: FileIds,
    described: dict[str, Described],
) -> RawRelation:
    # Many files have one schema, and DuckDB takes a millisecond to describe each.
    schema = _parquet_schema(path)
    if schema not in described:
        scan = parquet_scan(literal(escape_glob(path)))
        columns = f"* EXCLUDE (file_row_number, {identifier(FILE_NAME)})"
        described[schema] = list(_described(connection, scan, columns))
    names, types, fields = map(list, zip(*described[schema], strict=True))
    has_objects = fields != [identifier(name) for name in names]
    match = match_leaves if has_objects else match_columns
    shape = find_shape(names, settings, path, lambda: parquet_kinds(path, settings), ids, match)
    if has_objects and shape.sensors:
        leaves = {at: Leaf(tuple(names[at].split("."))) for at in shape.sensors}
        shape = replace(shape, sensors=of_part(sensor_names(leaves), ids))
    has_numbers = shape.sensors and all(is_number(types[at]) for at in shape.sensors)
    number = "DOUBLE" if has_numbers else "VARCHAR"
    columns = ", ".join(f"{field} AS column_{at}" for at, field in enumerate(fields))
    records = (
        f"SELECT {identifier(FILE_NUMBER)} AS source, file_row_number + 1 AS row, {columns} FROM source_rows"
    )
    select = partial(select_records, shape, lambda at: f"column_{at}", records, number=number)
    return RawRelation(
        select(),
        types[shape.roles["timestamp"]] if "timestamp" in shape.roles else "VARCHAR",
        number if shape.sensors else types[shape.value],
        width=len(shape.sensors) or 1,
        ids=ids.all if shape.is_fixed else {},
        kind="parquet",
        has_quality=shape.has_quality,
        timed=select if shape.sensors else None,
    )


def _described(
    connection: duckdb.DuckDBPyConnection, scan: str, columns: str, name: str = "", field: str = ""
) -> Iterator[tuple[str, str, str]]:
    """Yield name, type and SQL of columns, in place of one that holds objects those of its fields."""
    for inner, kind, *_ in connection.execute(f"DESCRIBE SELECT {columns} FROM {scan}").fetchall():
        path = f"{name}.{inner}" if name else inner
        sql = f"struct_extract({field}, {literal(inner)})" if field else identifier(inner)
        if kind.startswith("STRUCT(") and not kind.endswith("]"):
            yield from _described(connection, scan, f"unnest({sql})", path, sql)
        else:
            yield path, kind, sql


def without_objects(rows: pa.Table) -> pa.Table:
    """Return a table with the fields of objects as columns, by dotted names."""
    while any(map(pa.types.is_struct, rows.schema.types)):
        rows = rows.flatten()
    return rows


def _csv_relation(
    connection: duckdb.DuckDBPyConnection, path: str, settings: IngestSettings, ids: FileIds, _: object
) -> RawRelation | None:
    if settings.envelope != "json_text":
        return csv_relation(path, settings, ids)

    def opened() -> Iterator[pa.RecordBatch]:
        return opened_records(row_records(path, settings), settings, "json_text")

    return replace(mixed_relation(connection, opened, settings, ids), kind="lines")


def _parquet_schema(path: str) -> str:
    """Return a Parquet file's schema as text; the path of one that Arrow does not read."""
    try:
        # Its first line names the object.
        return str(pq.read_metadata(path).schema).partition("\n")[2]
    except (pa.ArrowException, OSError, ValueError):
        return path


def parquet_kinds(path: str, settings: IngestSettings) -> list[str]:
    """Return what each column of a Parquet file holds: by its type, and of text by some rows."""
    with pq.ParquetFile(path) as file:
        first = [*islice(file.iter_batches(SAMPLE_ROWS), 1)]
        rows = without_objects(pa.Table.from_batches(first, file.schema_arrow))
    return [_kind(column.type, column, settings) for column in rows.columns]


def _kind(kind: pa.DataType, values: pa.ChunkedArray, settings: IngestSettings) -> str:
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return "time"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return kind_of([text for text in values.to_pylist() if text is not None], settings)
    return "text"


# How a file of each format is opened.
RELATIONS: dict[str, Callable[..., RawRelation | None]] = {
    "csv": _csv_relation,
    "parquet": _parquet_relation,
    "json": lambda connection, path, settings, ids, _: json_relation(connection, path, settings, ids),
    "events": lambda connection, path, settings, ids, _: mixed_relation(
        connection, lambda: event_records(path), settings, ids
    ),
}
