"""Build the relation of records of JSON that senders name differently, each by the names that it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from batch_scoring.event_hub.properties import DEVICE, ENQUEUED
from batch_scoring.ingestion.columns import matching_names
from batch_scoring.ingestion.json_paths import (
    IS_OBJECT,
    ITEMS,
    STRUCTURE,
    Leaf,
    add_structures,
    extracted,
    is_nested,
    json_path,
    match_leaves,
    sensor_names,
)
from batch_scoring.ingestion.path_ids import FileIds
from batch_scoring.ingestion.relations import BatchReader, RawRelation, numbered_lines
from batch_scoring.ingestion.settings import ROLES, IngestSettings
from batch_scoring.ingestion.shapes import FIXED, quality_column
from batch_scoring.ingestion.sql import literal

if TYPE_CHECKING:
    import duckdb

# What IoT Hub states of a message beside its body; a body that states it itself counts first.
ANNOTATED = {"device": DEVICE, "timestamp": ENQUEUED}
PROPERTIES = "properties"


def mixed_relation(
    connection: duckdb.DuckDBPyConnection,
    batches: Callable[[], Iterator[pa.RecordBatch]],
    settings: IngestSettings,
    ids: FileIds,
) -> RawRelation:
    """Build the relation of records; no content of theirs is an error of the file.

    A record with neither sensor nor value is wide: each of its numbers is a sensor's.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    batches : callable
        Yields the records, schema ``lines.LINES``.
    settings : IngestSettings
    ids : FileIds
    """
    lines = BatchReader(batches)
    forms = [
        [leaf for leaf in form if ITEMS not in leaf.keys] for form in _forms(connection, lines, settings)
    ]
    leaves = _joined(forms)
    roles = {role: [] if role in ids.given else _role_leaves(leaves, role, settings) for role in ROLES}
    fields = [f"file_ids.{role}" if role in ids.given else _first_of(roles[role]) for role in ROLES]
    place = quality_column([leaf.name for leaf in leaves], settings)
    roles["quality"] = [] if place == FIXED else [leaves[place]]
    fields += [_first_of(found) for found in [roles["quality"]] if found]
    sensors = _sensors(leaves, roles, settings)
    names = ", ".join(map(literal, _names(sensors, forms)))
    cells = extracted("text", sensors)
    width = len(sensors) or 1
    origin = "(SELECT source, row, line AS text FROM source_lines)"
    origin += " JOIN file_ids USING (source)" if ids.given else ""
    is_good = f"roles IS NOT NULL AND NOT ({is_nested('roles[2]')} OR {is_nested('roles[3]')})"
    found = f"CASE WHEN {IS_OBJECT} THEN [{', '.join(fields)}] END AS roles"
    parsed = f"SELECT *, {is_good} AS is_good FROM (SELECT source, row, text, {found} FROM {origin})"
    time, device, sensor, value = (f"CASE WHEN is_good THEN roles[{n}] END" for n in (1, 2, 3, 4))
    malformed = "CASE WHEN NOT is_good THEN text END AS malformed"
    ends = f"{time} AS raw_timestamp, {device} AS device"
    ends += ", CASE WHEN is_good THEN roles[5] END AS raw_quality" if roles["quality"] else ""
    has_quality = bool(roles["quality"])
    if not sensors:
        picked = f"{ends}, {sensor} AS sensor, {value} AS raw_value, {malformed}"
        sql = f"SELECT source, row, {picked} FROM ({parsed})"
        return RawRelation(sql, lines=lines, ids=ids.given, kind="events", has_quality=has_quality)
    has_none = "is_good AND roles[3] IS NULL AND roles[4] IS NULL"
    has_cells = "len(list_filter(cells, lambda cell: cell IS NOT NULL)) > 0"
    with_cells = f"SELECT *, CASE WHEN {has_none} THEN {cells} END AS cells FROM ({parsed})"
    wide = f"SELECT *, COALESCE({has_cells}, false) AS is_wide FROM ({with_cells})"
    spread = (
        f"SELECT *, unnest(CASE WHEN is_wide THEN [{names}] ELSE [NULL] END) AS name, "
        "unnest(CASE WHEN is_wide THEN cells ELSE [NULL] END) AS cell, "
        f"unnest(CASE WHEN is_wide THEN range(1, {width + 1}) ELSE [1] END) AS number FROM ({wide})"
    )
    sql = (
        f"SELECT source, (row - 1) * {width} + number AS row, {ends}, CASE WHEN is_wide THEN name ELSE "
        f"{sensor} END AS sensor, CASE WHEN is_wide THEN cell ELSE {value} END AS raw_value, {malformed} "
        f"FROM ({spread}) WHERE NOT is_wide OR cell IS NOT NULL"
    )
    return RawRelation(sql, lines=lines, width=width, ids=ids.given, kind="events", has_quality=has_quality)


def _forms(
    connection: duckdb.DuckDBPyConnection, lines: BatchReader, settings: IngestSettings
) -> list[list[Leaf]]:
    """List what the records hold, by form; only their keys where these alone state every role of each."""

    def distinct(what: str) -> list[Any]:
        reader = BatchReader(lines.batches)
        connection.register("event_lines", numbered_lines([(0, reader)]))
        try:
            found = connection.execute(
                f"SELECT DISTINCT {what} FROM (SELECT line AS text FROM event_lines) WHERE {IS_OBJECT}"
            ).fetchall()
        except Exception as error:
            raise reader.error or error from None
        finally:
            connection.unregister("event_lines")
        return [one for (one,) in found]

    keys = distinct("json_keys(text)")
    if all(matching_names(one, role, settings) for one in keys for role in ROLES):
        return [[Leaf((key,)) for key in sorted({key for one in keys for key in one})]]
    return [add_structures([], [structure]) for structure in sorted(distinct(STRUCTURE))]


def _joined(forms: Sequence[Sequence[Leaf]]) -> list[Leaf]:
    """List each leaf once; of one that is a number in some form, the number."""
    found: dict[tuple[str, ...], Leaf] = {}
    for leaf in (leaf for form in forms for leaf in form):
        if leaf.keys not in found or (leaf.texts and not found[leaf.keys].texts):
            found[leaf.keys] = leaf
    return list(found.values())


def _names(sensors: Sequence[Leaf], forms: Sequence[Sequence[Leaf]]) -> list[str]:
    """Name sensors by the records of their form: which other records share the file is chance."""
    wanted = {leaf.keys for leaf in sensors}
    names: dict[tuple[str, ...], str] = {}
    for form in forms:
        own = dict(enumerate(leaf for leaf in form if leaf.keys in wanted))
        for at, name in sensor_names(own).items():
            names[own[at].keys] = max(names.get(own[at].keys, ""), name, key=len)
    return [names[leaf.keys] for leaf in sensors]


def _role_leaves(leaves: list[Leaf], role: str, settings: IngestSettings) -> list[Leaf]:
    """List the leaves that may state a role, best first."""
    by_name = {leaf.name: leaf for leaf in leaves}
    found = [by_name[name] for name in matching_names(list(by_name), role, settings)]
    if not found:
        place = match_leaves(list(by_name), settings).get(role)
        found = [] if place is None else [leaves[place]]
    annotated = by_name.get(ANNOTATED.get(role, ""))
    return found + ([annotated] if annotated else [])


def _first_of(leaves: list[Leaf]) -> str:
    """Extract the first existing leaf of an object as text; NULL when none exists."""
    found = [f"json_extract_string(text, {literal(json_path(leaf.keys))})" for leaf in leaves]
    return f"COALESCE({', '.join([*found, 'CAST(NULL AS VARCHAR)'])})"


def _sensors(leaves: list[Leaf], roles: Mapping[str, list[Leaf]], settings: IngestSettings) -> list[Leaf]:
    if settings.shape == "long":
        return []
    taken = {leaf.keys for found in roles.values() for leaf in found}
    others = [pattern.casefold() for pattern in settings.wide.not_sensors]
    patterns = settings.wide.sensors
    return [
        leaf
        for leaf in leaves
        if leaf.keys not in taken
        and not leaf.keys[0].startswith("iothub-")
        and leaf.keys[0] != PROPERTIES
        and not any(fnmatchcase(leaf.name.casefold(), pattern) for pattern in others)
        and (bool(leaf.texts) if patterns == ["*"] else any(fnmatchcase(leaf.name, one) for one in patterns))
    ]
