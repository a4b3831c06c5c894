"""Read a sample as columns of texts, whatever its format, to look at; ingestion itself reads otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scoring.ingestion.envelopes import ENVELOPES, NOT_IN_IT, TABLES, envelope_of
from batch_scoring.ingestion.events import event_records
from batch_scoring.ingestion.inspection.columns import Column
from batch_scoring.ingestion.inspection.roles import Roles, choose_roles
from batch_scoring.ingestion.inspection.sample import read_head
from batch_scoring.ingestion.inspection.text_form import TextForm, text_form
from batch_scoring.ingestion.json_paths import Leaf, leaves_of
from batch_scoring.ingestion.json_tables import opened_texts
from batch_scoring.ingestion.settings import IngestSettings
from batch_scoring.ingestion.source_formats import without_objects

ROWS = 5_000  # of a sample, to look at


@dataclass(frozen=True)
class Table:
    """A sample as columns of texts.

    Attributes
    ----------
    what : str
        The format in words.
    columns : list of Column
    n_rows : int
    form : TextForm or None
        Of a text file.
    envelope : str or None
        The form of JSON that readings are wrapped in, where it is a known one.
    """

    what: str
    columns: list[Column]
    n_rows: int
    form: TextForm | None = None
    envelope: str | None = None

    @cached_property
    def roles(self) -> Roles:
        """The roles that the columns may have, chosen once."""
        return choose_roles(self.columns)


def read_table(path: str, file_format: str) -> Table | None:
    """Read a sample; None where it is empty, or of a format that is not looked into.

    Parameters
    ----------
    path : str
        Of a small file, see :func:`~batch_scoring.ingestion.inspection.sample.take_sample`.
    file_format : str
    """
    if file_format == "csv":
        return _text_table(path)
    if file_format == "json":
        return _json_table(read_head(path).decode("utf-8-sig", "replace"))
    if file_format == "events":
        table = _json_table(
            "\n".join(text for one in event_records(path) for text in one["line"].to_pylist())
        )
        return None if table is None else replace(table, what="events of a hub")
    if file_format == "parquet":
        return _arrow_table(without_objects(pq.read_table(path)), "Parquet")
    return None


def _text_table(path: str) -> Table | None:
    form = text_form(read_head(path))
    if form is None:
        return None
    # The first ones as they follow each other, the others spread: later days tell day and month apart.
    head, rest = form.rows[: ROWS // 2], form.rows[ROWS // 2 :]
    rows = head + rest[:: max(1, -(-2 * len(rest) // ROWS))]
    fields = zip(*rows, strict=True) if rows else iter([()] * len(form.names))
    columns = [_column(name, texts) for name, texts in zip(form.names, fields, strict=True)]
    records = [dict(zip(form.names, row, strict=True)) for row in rows]
    if records and opened_texts(records[0]) is not None:
        return Table("text", _opened_columns("json_text", records), len(form.rows), form, "json_text")
    return Table("text", columns, len(form.rows), form)


def _json_table(text: str) -> Table | None:
    values = list(json_values(text))
    if len(values) == 1 and isinstance(values[0], list):
        what, records = "JSON, one array", values[0]
    elif len(values) == 1 and "\n" in text.strip():
        what, records = "JSON, one object", values
    else:
        what, records = "JSON, one object a line", values
    if not records:
        return None
    envelope = envelope_of(records[0])
    if envelope in TABLES:
        return Table(what, _opened_columns(envelope, records), len(records), envelope=envelope)
    leaves = leaves_of(json.dumps(record) for record in records[:ROWS])
    if envelope is None and _has_list_in_list(leaves):
        return Table(what, _opened_columns("nested", records), len(records), envelope="nested")
    return Table(what, _leaf_columns(leaves), len(records), envelope=envelope)


def _opened_columns(envelope: str, records: Sequence[Any]) -> list[Column]:
    """Return the columns of what an envelope makes of records."""
    # A document may be a list itself: of such lists each is one record.
    documents = ([record] if isinstance(record, list) else record for record in records)
    return _leaf_columns(leaves_of(islice(_opened(envelope, documents), ROWS)))


def _opened(envelope: str, documents: Iterable[Any]) -> Iterator[str]:
    for document in documents:
        with suppress(*NOT_IN_IT):  # such a one is refused
            yield from ENVELOPES[envelope](document, IngestSettings())


def _leaf_columns(leaves: Sequence[Leaf]) -> list[Column]:
    return [_column(leaf.name, leaf.texts) for leaf in leaves if leaf.texts]


def _has_list_in_list(leaves: Sequence[Leaf]) -> bool:
    """Whether there is a list within the items of a list, which is not read without an envelope."""
    inner = [leaf for leaf in leaves if leaf.item_keys != leaf.keys and not leaf.texts]
    has_more = {leaf.keys[:n] for leaf in leaves for n in range(len(leaf.keys))}
    return any(leaf.keys not in has_more for leaf in inner)


def json_values(text: str) -> Iterator[Any]:
    """Yield the JSON values of a text that stand one after the other; what is cut or broken is left out."""
    decoder = json.JSONDecoder()
    place = 0
    while place < len(text):
        rest = text[place : place + 1]
        if rest.isspace():
            place += 1
            continue
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            place = text.find("\n", place) + 1
            if not place:
                return
            continue
        yield value


def _arrow_table(table: pa.Table, what: str) -> Table:
    rows = table.slice(0, ROWS)
    columns = [
        _column(name, map(_as_text, _values(rows.column(place))), str(table.schema.types[place]))
        for place, name in enumerate(table.column_names)
    ]
    return Table(what, columns, rows.num_rows)


def _values(column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_timestamp(column.type):
        # With nanoseconds, Arrow would make the times those of pandas.
        column = pc.strftime(column, format="%Y-%m-%dT%H:%M:%S" + ("Z" if column.type.tz else ""))
    listed: list[Any] = column.to_pylist()
    return listed


def _column(name: str, texts: Iterable[str], type: str = "") -> Column:
    stripped = [text.strip() for text in texts]
    filled = tuple(text for text in stripped if text)
    return Column(name, filled, len(stripped) - len(filled), type)


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, (bool, list, dict)) else str(value)
