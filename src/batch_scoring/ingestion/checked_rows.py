"""The SQL that reads some files of one form and checks their rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from batch_scoring.ingestion.numbers import converted, is_missing, value_of
from batch_scoring.ingestion.relations import RawRelation
from batch_scoring.ingestion.settings import IngestSettings
from batch_scoring.ingestion.source_formats import FILE_NAME, FILE_NUMBER, parquet_scan
from batch_scoring.ingestion.sql import escape_glob, identifier, literal, reason_of
from batch_scoring.ingestion.times import time_of

if TYPE_CHECKING:
    from batch_scoring.ingestion.source_files import SourceFile


@dataclass(frozen=True)
class OpenedFile:
    """A source file that is being read: its number among the staged rows, where it lies, what it is."""

    number: int
    source: SourceFile
    path: str
    relation: RawRelation


def checked_rows(relation: RawRelation, settings: IngestSettings, latest: datetime, where: str) -> str:
    """Return the query of the rows of files of one form as they are staged, each with its reason or NULL."""
    timestamp = time_of("raw_timestamp", relation.timestamp_type, settings.timezone, settings.time_formats)
    value = value_of("raw_value", relation.value_type, settings)
    missing = is_missing("raw_value", relation.value_type, settings)
    if relation.timed is None:
        parsed = f"SELECT *, {timestamp} AS timestamp, {value} AS value FROM ({relation.sql}) WHERE {where}"
    else:
        parsed = f"SELECT *, {value} AS value FROM ({relation.timed(timestamp=timestamp)}) WHERE {where}"
    if settings.convert:
        unit = converted(settings.conversions)
        parsed = f"SELECT * REPLACE ({unit} AS value), {missing} AS is_missing FROM ({parsed})"
        missing = "is_missing"
    # The raw text of a clean row is kept only where the typed value does not give it back.
    raw_timestamp = _kept_text("raw_timestamp", relation.timestamp_type)
    raw_value = _kept_text("raw_value", relation.value_type)
    bad = _is_bad(settings.quality.words) if relation.has_quality else "false"
    reason = reason_of(settings.min_time, latest, settings.ranges, missing, bad)
    return (
        f"SELECT source, row, timestamp, device, sensor, value, {raw_timestamp}, "
        f"COALESCE(malformed, {raw_value}), reason FROM (SELECT *, {reason} AS reason FROM ({parsed}))"
    )


def _is_bad(good: Sequence[str]) -> str:
    """Whether ``raw_quality`` is none of these texts, in lower case; of numbers, their value counts."""
    text = "lower(trim(CAST(raw_quality AS VARCHAR)))"
    conditions = [
        f"{text} = {literal(one)} OR TRY_CAST({text} AS DOUBLE) = TRY_CAST({literal(one)} AS DOUBLE)"
        for one in good
    ]
    return f"NOT COALESCE({' OR '.join(conditions)}, false)"


def _kept_text(column: str, sql_type: str) -> str:
    if sql_type == "VARCHAR":
        return column
    return f"CASE WHEN reason IS NOT NULL THEN CAST({column} AS VARCHAR) END"


def fixed_ids(opened: Sequence[OpenedFile]) -> pa.Table:
    """Return the device and the sensor of whole files by ``source``, as relations read them."""
    ids = {
        role: pa.array([one.relation.ids.get(role) for one in opened], pa.string())
        for role in ("device", "sensor")
    }
    return pa.table({"source": pa.array([one.number for one in opened], pa.int32()), **ids})


def scan_files(opened: Sequence[OpenedFile]) -> str:
    """Scan some Parquet files of one form, or a JSON array, with the number of each row's file."""
    if opened[0].relation.kind != "parquet":
        return f"SELECT {opened[0].number} AS source"
    name, number = identifier(FILE_NAME), identifier(FILE_NUMBER)
    files = ", ".join(literal(escape_glob(one.path)) for one in opened)
    scan = parquet_scan(files)
    if len(opened) == 1:
        return f"SELECT {opened[0].number} AS {number}, * FROM {scan}"
    numbers = ", ".join(f"({literal(one.path)}, {one.number})" for one in opened)
    return (
        f"SELECT {number}, rows.* FROM {scan} AS rows "
        f"JOIN (VALUES {numbers}) AS files({name}, {number}) USING ({name})"
    )
