"""Open files of JSON as SQL relations: an object a line, one array, or a document with a list in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.ingestion.column_kinds import kind_of
from batch_scoring.ingestion.envelopes import AS_USUAL, envelope_by_itself, opened_records
from batch_scoring.ingestion.json_paths import (
    IS_OBJECT,
    STRUCTURE,
    Leaf,
    add_structures,
    extracted,
    is_nested,
    json_path,
    leaves_of,
    match_leaves,
    sensor_names,
)
from batch_scoring.ingestion.lines import LINES, MAX_LINE_BYTES, read_lines
from batch_scoring.ingestion.mixed_records import mixed_relation
from batch_scoring.ingestion.path_ids import FileIds
from batch_scoring.ingestion.relations import BatchReader, RawRelation, numbered_lines
from batch_scoring.ingestion.settings import IngestSettings
from batch_scoring.ingestion.shapes import Shape, find_shape, of_part, select_records
from batch_scoring.ingestion.sql import escape_glob, literal
from batch_scoring.ingestion.text_bytes import open_text, without_compression

if TYPE_CHECKING:
    import duckdb

SAMPLE_LINES = 1000
# A document is held in memory as a whole, and its values once more.
MAX_DOCUMENT_BYTES = 64 << 20
# No line has more items.
_ITEMS_A_LINE = 1 << 24
LINE_RECORDS = (
    r"SELECT source, row, rtrim(line, chr(13) || chr(10)) AS text FROM source_lines WHERE text <> ''"
)


def json_relation(
    connection: duckdb.DuckDBPyConnection, path: str, settings: IngestSettings, ids: FileIds
) -> RawRelation | None:
    """Build the relation of a file of JSON; None when it is empty.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    path : str
    settings : IngestSettings
    ids : FileIds

    Raises
    ------
    InputError
        When a column is missing, or the file cannot be read.
    """
    sample = _first_lines(path, settings)
    if sample == []:
        return None
    envelope = settings.envelope or (envelope_by_itself(sample[0]) if sample else None)
    if envelope is not None:
        is_document = sample is None or sample == ["["]

        def opened() -> Iterator[pa.RecordBatch]:
            texts = [_document(path, settings)] if is_document else _lines(path, settings)
            return opened_records(texts, settings, envelope)

        named = replace(settings, columns={}) if envelope in AS_USUAL else settings
        return replace(mixed_relation(connection, opened, named, ids), kind="lines")
    if sample is None:
        text = _document(path, settings)
        reader = BatchReader(lambda: _one_record(text))
        return _relation(connection, RawRelation(LINE_RECORDS, lines=reader), [text], path, settings, ids, 1)
    if sample[0].lstrip().startswith("[") and _is_whole(path):
        scan = f"read_json_objects([{literal(escape_glob(path))}], format = 'array')"
        found = connection.execute(f"SELECT json FROM {scan} LIMIT {SAMPLE_LINES}").fetchall()
        records = (
            f"SELECT source, row_number() OVER () AS row, CAST(json AS VARCHAR) AS text "
            f"FROM {scan}, source_rows"
        )
        texts = [text for (text,) in found]
        return _relation(connection, RawRelation(records, kind="array"), texts, path, settings, ids)
    reader = BatchReader(lambda: read_lines(path, encoding=settings.encoding))
    return _relation(connection, RawRelation(LINE_RECORDS, lines=reader), sample, path, settings, ids)


def _relation(
    connection: duckdb.DuckDBPyConnection,
    records: RawRelation,
    sample: Sequence[str],
    path: str,
    settings: IngestSettings,
    ids: FileIds,
    items_a_record: int = _ITEMS_A_LINE,
) -> RawRelation:
    """Build the relation of records of JSON, given the query of their texts."""
    leaves = leaves_of(sample)
    shape = _shape(leaves, path, settings, ids)
    if shape.sensors:
        # Other devices have other sensors: a sample does not show all of them.
        leaves = add_structures(leaves, _structures(connection, records))
        shape = _shape(leaves, path, settings, ids)
        names = sensor_names({at: leaves[at] for at in shape.sensors})
        shape = replace(shape, sensors=of_part(names, ids))
    places = {*shape.roles.values(), *shape.sensors, *(p for p in shape.time if isinstance(p, int))}
    used = sorted(places | ({shape.quality} if shape.has_quality else set()))
    lists = {leaves[at].list_keys for at in used} - {()}
    if len(lists) > 1:
        named = " and ".join(sorted(".".join(keys) for keys in lists))
        raise InputError(f"{path}: readings lie in several lists ({named}); name one in ingest.columns")
    own = [at for at in used if not leaves[at].list_keys]
    inner = [at for at in used if leaves[at].list_keys]
    fields = extracted("text", [leaves[at] for at in own])
    row, items = "row", 1
    if lists:
        row, items = f"((row - 1) * {items_a_record} + item_number)", items_a_record
        of_item = extracted("text", [leaves[at] for at in inner])
        objects = _items(records.sql, next(iter(lists)), fields)
        found = f"SELECT *, CASE WHEN whole IS NULL THEN list_concat(own, {of_item}) END AS fields"
    else:
        objects = f"SELECT *, CAST(NULL AS VARCHAR) AS whole FROM ({records.sql})"
        found = f"SELECT *, CASE WHEN {IS_OBJECT} THEN {fields} END AS fields"
    place = {at: f"fields[{number}]" for number, at in enumerate([*own, *inner], 1)}
    is_id = [is_nested(place[at]) for at in (shape.device, shape.sensor) if at in place]
    bad = ["fields IS NULL", *is_id]
    if shape.sensors:
        # What holds no sensor's value is refused rather than lost: a key may be new, or too deep to be seen.
        cells = ", ".join(place[at] for at in shape.sensors)
        bad.append(f"len(list_filter([{cells}], lambda cell: cell IS NOT NULL)) = 0")
    is_bad = " OR ".join(bad)
    parsed = f"SELECT *, NOT ({is_bad}) AS well_formed FROM ({found} FROM ({objects}))"
    sql = select_records(
        shape,
        lambda at: f"CASE WHEN well_formed THEN {place[at]} END",
        parsed,
        malformed="CASE WHEN NOT well_formed THEN COALESCE(whole, text) END",
        row=row,
    )
    width = (items if lists else 1) * (len(shape.sensors) or 1)
    has_quality = shape.has_quality
    return replace(
        records, sql=sql, width=width, ids=ids.all if shape.is_fixed else {}, has_quality=has_quality
    )


def _shape(leaves: Sequence[Leaf], path: str, settings: IngestSettings, ids: FileIds) -> Shape:
    names = [leaf.name for leaf in leaves]
    time = match_leaves(names, settings).get("timestamp")
    in_list = () if time is None else leaves[time].list_keys

    def kinds() -> list[str]:
        # Where each time is in a list, what is not there holds for all of them, such as a name.
        is_reading = [leaf.texts and (not in_list or leaf.list_keys == in_list) for leaf in leaves]
        pairs = zip(leaves, is_reading, strict=True)
        return [kind_of(leaf.texts, settings) if counts else "nested" for leaf, counts in pairs]

    shape = find_shape(names, settings, path, kinds, ids, match_leaves)
    if not shape.sensors:
        return shape
    # Sensors of the object itself, else of one list.
    there = [leaves[at].list_keys for at in shape.sensors]
    wanted = () if () in there else max(there, key=there.count)
    return replace(
        shape, sensors={at: name for at, name in shape.sensors.items() if leaves[at].list_keys == wanted}
    )


def _items(records: str, keys: tuple[str, ...], fields: str) -> str:
    """Return the query of each item of a list in the records, with the fields that are not the item's.

    A record without any item is one item, NULL. What is no object is one item with its text as ``whole``.
    Only here is the record itself parsed: it may be a document with all items.
    """
    found = f"json_extract(text, {literal(json_path(keys) + '[*]')})"
    known = f"SELECT source, row, text, {IS_OBJECT} AS is_object FROM ({records})"
    parsed = (
        f"SELECT source, row, CASE WHEN is_object THEN {fields} END AS own, "
        f"CASE WHEN is_object THEN {found} END AS found, CASE WHEN NOT is_object THEN text END AS whole "
        f"FROM ({known})"
    )
    return (
        "SELECT source, row, own, whole, CAST(unnest(items) AS VARCHAR) AS text, "
        "unnest(range(1, len(items) + 1)) AS item_number FROM (SELECT *, "
        f"CASE WHEN len(found) > 0 THEN found ELSE [NULL] END AS items FROM ({parsed}))"
    )


def _structures(connection: duckdb.DuckDBPyConnection, records: RawRelation) -> list[str]:
    """List the structures that the records of a file have."""
    if records.lines is None:
        connection.execute("CREATE OR REPLACE TEMP VIEW source_rows AS SELECT 0 AS source")
    else:
        reader = BatchReader(records.lines.batches)
        connection.register("source_lines", numbered_lines([(0, reader)]))
    try:
        found = connection.execute(
            f"SELECT DISTINCT {STRUCTURE} FROM ({records.sql}) WHERE {IS_OBJECT}"
        ).fetchall()
    except Exception as error:
        raise (reader.error if records.lines is not None else None) or error from None
    finally:
        if records.lines is not None:
            connection.unregister("source_lines")
    return [structure for (structure,) in found]


def _lines(path: str, settings: IngestSettings) -> Iterator[str]:
    for batch in read_lines(path, encoding=settings.encoding):
        yield from filter(None, (line.strip() for line in batch["line"].to_pylist()))


def _is_whole(path: str) -> bool:
    return without_compression(path).lower().endswith(".json")


def _first_lines(path: str, settings: IngestSettings) -> list[str] | None:
    """Return the first lines with text; None where the file is one document over several lines."""
    if _is_whole(path):
        with open_text(path, settings.encoding) as file:
            start = file.read(MAX_LINE_BYTES).decode("utf-8-sig", "replace").lstrip()
        if start.startswith("["):
            return [start[:1]]
        lines = [line for line in start.split("\n", 3)[:2] if line.strip()]
        is_cut = len(start) > MAX_LINE_BYTES // 4 and "\n" not in start
        if start.startswith("{") and (is_cut or not any(map(_is_json_object, lines))):
            return None
    lines = []
    for batch in read_lines(path, block_bytes=MAX_LINE_BYTES, encoding=settings.encoding):
        lines += [line for line in batch["line"].slice(0, SAMPLE_LINES).to_pylist() if line.strip()]
        if len(lines) >= SAMPLE_LINES:
            break
    return lines[:SAMPLE_LINES]


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except RecursionError:
        return True
    except ValueError:
        return False


def _document(path: str, settings: IngestSettings) -> str:
    with open_text(path, settings.encoding) as file:
        content = file.read(MAX_DOCUMENT_BYTES + 1)
    if len(content) > MAX_DOCUMENT_BYTES:
        raise InputError(
            f"{path}: one object of more than {MAX_DOCUMENT_BYTES >> 20} MB; write one object a line (.jsonl)"
        )
    try:
        text = content.decode("utf-8-sig")
        json.loads(text)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start + 1} is not UTF-8; name its ingest.encoding") from None
    except RecursionError:
        raise InputError(f"{path}: objects lie too deep in each other; write one object a line") from None
    except ValueError as error:
        raise InputError(
            f"{path}: not valid JSON ({error}); expected an object, an array, or an object a line"
        ) from None
    return text


def _one_record(text: str) -> Iterator[pa.RecordBatch]:
    yield pa.record_batch([pa.array([1], pa.int64()), pa.array([text], pa.string())], schema=LINES)
