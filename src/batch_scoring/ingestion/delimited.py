"""Open a file of delimited text as a SQL relation: comments, header, delimiter, and where the data begin."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

import pyarrow.compute as pc

from batch_scoring.core.errors import InputError
from batch_scoring.ingestion.column_kinds import kinds_of
from batch_scoring.ingestion.columns import match_columns, split_header, split_line
from batch_scoring.ingestion.lines import MAX_LINE_BYTES, csv_record, read_lines
from batch_scoring.ingestion.path_ids import FileIds
from batch_scoring.ingestion.relations import BatchReader, RawRelation
from batch_scoring.ingestion.settings import IngestSettings
from batch_scoring.ingestion.shapes import find_shape, select_records
from batch_scoring.ingestion.sql import literal

SAMPLE_LINES = 200
# A title and what else stands above a header have fewer lines.
_MAX_ABOVE = 50
# What files begin with that hold no table, or none with times, and what to do.
_NO_TABLES = {
    ("<?xml", "<!doctype", "<html", "<table"): "holds XML or HTML, which is no table of text; save it as CSV",
    ("labview measurement",): "counts the times from the Date and Time in its head; save it with a column of "
    "whole times, such as 2026-03-02T00:00:00Z",
}
# What InfluxDB writes above each of its tables.
_ANNOTATIONS = ("#group", "#datatype", "#default")


_FEW_LINES = 20


@dataclass(frozen=True)
class Head:
    """What the first lines of a file of delimited text say.

    Attributes
    ----------
    delimiter : str
        A space stands for any white space.
    names : list of str
    first_row : int
        The line that data begin at, from 1.
    comment : str
        What a line of the data begins with that is none; empty where there are no such lines.
    header_row : int or None
        The last line of the header; None where there is none.
    lines : list of str
        Some of the first records.
    is_annotated : bool
        Whether InfluxDB wrote the comments above each table.
    """

    delimiter: str
    names: list[str]
    first_row: int
    comment: str = ""
    header_row: int | None = None
    lines: list[str] = field(default_factory=list, repr=False)
    is_annotated: bool = False

    @property
    def records(self) -> list[list[str]]:
        """The fields of some of the first records."""
        return [split_line(line, self.delimiter) for line in self.lines]

    @property
    def is_spaced(self) -> bool:
        """Whether a blank that is part of no name follows each delimiter, of header or first records."""
        first = [split_line(line, self.delimiter)[1:] for line in self.lines[:_FEW_LINES]]
        fields = [text for record in first for text in record if text]
        in_rows = bool(fields) and all(text.startswith(" ") for text in fields)
        return any(name.startswith(" ") for name in self.names[1:]) or in_rows

    def kinds(self, settings: IngestSettings) -> list[str]:
        """Return what each column holds, as far as the first records show."""
        return kinds_of(self.records, len(self.names), settings)


def read_head(path: str, settings: IngestSettings) -> Head | None:
    """Read what the first lines of a file say; None when it has no lines with text.

    Raises
    ------
    InputError
        When the file cannot be read as text, or a header line cannot be split.
    """
    lines = _first_lines(path, settings)[settings.skip_lines :]
    numbered = [(settings.skip_lines + n, line) for n, line in enumerate(lines, 1) if line.strip()]
    mark = settings.comment
    plain = [(row, line) for row, line in numbered if not (mark and line.startswith(mark))]
    notes = [(row, line) for row, line in numbered if mark and line.startswith(mark)]
    if not numbered:
        return None
    if (sentence := no_table(numbered[0][1])) is not None:
        raise InputError(f"{path}: {sentence}")
    if settings.header == "none":
        return _without_header(path, plain, settings, notes)
    at = _header_place(plain, settings, path)
    named = _in_comment(plain, notes, at, settings, path)
    if named is not None:
        delimiter, names = named
        data = plain
        return Head(delimiter, names, data[0][0] if data else notes[-1][0] + 1, mark, None, _texts(data))
    if not plain:
        return None
    height = settings.header if isinstance(settings.header, int) else 1
    at = 0 if height > 1 else at
    header, data = plain[at : at + height], plain[at + height :]
    delimiter, names = split_header(header[-1][1], settings, path)
    if height > 1:
        names = stacked([split_line(line, delimiter, path) for _, line in header])
    elif are_row_names(names, [split_line(line, delimiter, path) for line in _texts(data)]):
        names = ["", *names]
    elif have_an_end(names, [split_line(line, delimiter, path) for line in _texts(data)]):
        names = [*names, ""]
    elif not match_columns(names, settings) and _has_only_data(names):
        return _without_header(path, plain, settings, notes)
    above = any(row < header[-1][0] for row, _ in notes)
    is_annotated = any(line.startswith(_ANNOTATIONS) for _, line in notes)
    body_mark = mark if above else ""
    return Head(delimiter, names, header[-1][0] + 1, body_mark, header[-1][0], _texts(data), is_annotated)


def no_table(line: str) -> str | None:
    """Say what to do with a text that begins with a line as no table does; None for all others."""
    folded = line.lstrip("\ufeff ").lower()
    return next((said for beginnings, said in _NO_TABLES.items() if folded.startswith(beginnings)), None)


def _first_lines(path: str, settings: IngestSettings) -> list[str]:
    """Return some of the first lines; a line that ends within quotes goes on with the next."""
    lines: list[str] = []
    wanted = settings.skip_lines + _MAX_ABOVE + SAMPLE_LINES
    for batch in read_lines(path, block_bytes=MAX_LINE_BYTES, encoding=settings.encoding):
        lines += [line.rstrip("\r\n") for line in batch["line"].slice(0, wanted - len(lines)).to_pylist()]
        if len(lines) >= wanted:
            break
    return lines


def _header_place(plain: Sequence[tuple[int, str]], settings: IngestSettings, path: str) -> int:
    """Return which of the lines is the header: of the first ones, the one that names the most roles."""
    best, place = 0, -1
    for at, (_, line) in enumerate(plain[:_MAX_ABOVE]):
        found = len(match_columns(split_header(line, settings, path)[1], settings))
        if found > best:
            best, place = found, at
        if best > 1:
            break  # a title names no two of them
    if place >= 0:
        return place
    # Nothing is named: a title has fewer fields than the lines below it.
    widths = [len(split_header(line, settings, path)[1]) for _, line in plain[: _MAX_ABOVE + 1]]
    return next((at for at, (one, other) in enumerate(pairwise(widths)) if one == other > 1), 0)


def _in_comment(
    plain: Sequence[tuple[int, str]],
    notes: Sequence[tuple[int, str]],
    at: int,
    settings: IngestSettings,
    path: str,
) -> tuple[str, list[str]] | None:
    """Return delimiter and names of a header that is a comment itself, such as ``# time,device,value``."""
    if not notes or not settings.comment:
        return None
    first = plain[0][0] if plain else notes[-1][0] + 1
    above = [line for row, line in notes if row < first]
    best = split_header(plain[at][1], settings, path)[1] if plain else []
    for line in reversed(above):
        delimiter, names = split_header(line.lstrip(settings.comment).strip(), settings, path)
        if len(match_columns(names, settings)) > max(1, len(match_columns(best, settings))):
            return delimiter, names
    return None


def _without_header(
    path: str, plain: Sequence[tuple[int, str]], settings: IngestSettings, notes: Sequence[tuple[int, str]]
) -> Head | None:
    if not plain:
        return None
    first, line = plain[0]
    delimiter = split_header(line, settings, path)[0]
    width = len(split_line(line, delimiter, path))
    above = any(row < first for row, _ in notes)
    names = [f"column_{number}" for number in range(1, width + 1)]
    return Head(delimiter, names, first, settings.comment if above else "", None, _texts(plain))


def _has_only_data(fields: Sequence[str]) -> bool:
    """Whether the fields of a line are numbers and times: names are not."""
    kinds = kinds_of([fields], len(fields))
    return "text" not in kinds and any(kind in ("number", "time") for kind in kinds)


def stacked(rows: list[list[str]]) -> list[str]:
    """Join the lines of a header to names; above the last one, a name holds until the next.

    Parameters
    ----------
    rows : list of list of str
        The fields of each line.

    Examples
    --------
    >>> stacked([["", "Pump 1", ""], ["time", "temp", "press"]])
    ['time', 'Pump 1 temp', 'Pump 1 press']
    """
    width = max(map(len, rows))
    spread = []
    for row in rows[:-1]:
        names, last = [], ""
        for name in row + [""] * (width - len(row)):
            last = name.strip() or last
            names.append(last)
        spread.append(names)
    spread.append([name.strip() for name in rows[-1]] + [""] * (width - len(rows[-1])))
    return [" ".join(dict.fromkeys(part for part in parts if part)) for parts in zip(*spread, strict=True)]


def are_row_names(names: Sequence[str], records: Sequence[Sequence[str]]) -> bool:
    """Whether each record has one field more than there are names, a number that counts the rows.

    R writes its tables so: the header says nothing of the names of the rows.

    Examples
    --------
    >>> are_row_names(["date", "temp"], [["1", "2026-03-01", "20.5"], ["2", "2026-03-02", "21"]])
    True
    """
    counted = [record[0] for record in records if len(record) == len(names) + 1]
    if len(names) < 2 or len(counted) < max(2, len(records)) or not all(map(str.isdecimal, counted)):
        return False
    first = int(counted[0])
    return [int(one) for one in counted] == list(range(first, first + len(counted)))


def have_an_end(names: Sequence[str], records: Sequence[Sequence[str]]) -> bool:
    """Whether each record ends with a delimiter, and so has an empty field more than there are names."""
    return bool(records) and all(len(one) == len(names) + 1 and not one[-1].strip() for one in records)


def _texts(numbered: Sequence[tuple[int, str]]) -> list[str]:
    return [line for _, line in numbered[:SAMPLE_LINES]]


def csv_relation(path: str, settings: IngestSettings, ids: FileIds) -> RawRelation | None:
    """Build the relation of a file of delimited text; None when it has no lines.

    Parameters
    ----------
    path : str
    settings : IngestSettings
    ids : FileIds

    Raises
    ------
    InputError
        When a column is missing, or the file cannot be read.
    """
    head = read_head(path, settings)
    if head is None:
        return None
    shape = find_shape(head.names, settings, path, lambda: head.kinds(settings), ids)
    tables = _tables(path, head, settings)
    if len(tables) > 1 and shape.sensors:
        raise InputError(
            f"{path}: line {tables[1][0]} begins a second table with other columns; where a column is a "
            "sensor, write each table to its own file, or one row a measurement"
        )
    width = _by_table([str(len(names)) for _, names in tables], tables)

    is_spaced = head.is_spaced

    def field(position: int) -> str:
        wanted = [position, *(_position(head.names[position], *table, path) for table in tables[1:])]
        text = f"CASE WHEN well_formed THEN {_by_table([f'fields[{at + 1}]' for at in wanted], tables)} END"
        return f"trim({text})" if is_spaced else text

    is_data = "text <> ''" + (f" AND NOT starts_with(text, {literal(head.comment)})" if head.comment else "")
    if len(tables) > 1:
        is_data += f" AND row NOT IN ({', '.join(str(row) for row, _ in tables[1:])})"
    records = (
        rf"SELECT source, row, rtrim(line, chr(13) || chr(10)) AS text FROM source_lines WHERE {is_data}"
    )
    parsed = (
        f"SELECT source, row, text, fields, COALESCE(len(fields) = {width}, false) AS well_formed FROM ("
        f"SELECT source, row, text, {_csv_fields('text', head.delimiter)} AS fields FROM ({records}))"
    )
    malformed = "CASE WHEN NOT well_formed THEN text END"
    select = partial(select_records, shape, field, parsed, malformed=malformed)
    is_record = None if head.delimiter == " " else csv_record(head.delimiter, len(head.names))
    lines = BatchReader(
        lambda: read_lines(path, head.first_row, encoding=settings.encoding, is_record=is_record)
    )
    return RawRelation(
        select(),
        lines=lines,
        width=len(shape.sensors) or 1,
        ids=ids.all if shape.is_fixed else {},
        has_quality=shape.has_quality,
        timed=select if shape.sensors else None,
    )


def row_records(path: str, settings: IngestSettings) -> Iterator[str]:
    """Yield the rows of a file of delimited text as objects of JSON, with the names of its columns as keys.

    A row of another width has the keys that it has fields for.
    """
    head = read_head(path, settings)
    if head is None:
        return
    is_record = None if head.delimiter == " " else csv_record(head.delimiter, len(head.names))
    for batch in read_lines(path, head.first_row, encoding=settings.encoding, is_record=is_record):
        for line in batch["line"].to_pylist():
            text = line.rstrip("\r\n")
            if text and not (head.comment and text.startswith(head.comment)):
                fields = split_line(text, head.delimiter, path)
                yield json.dumps(dict(zip(head.names, fields, strict=False)), ensure_ascii=False)


def _tables(path: str, head: Head, settings: IngestSettings) -> list[tuple[int, list[str]]]:
    """List the tables of a file, one where it is not annotated: the line of each header, and its names."""
    tables = [(head.header_row or 0, head.names)]
    if not head.comment or head.header_row is None or not head.is_annotated:
        return tables
    is_above = False
    for batch in read_lines(path, head.first_row, encoding=settings.encoding):
        texts = batch["line"]
        marked = pc.starts_with(texts, head.comment)
        if not (is_above or pc.any(marked).as_py()):
            continue
        for row, line in zip(batch["row"].to_pylist(), texts.to_pylist(), strict=True):
            if line.startswith(head.comment):
                is_above = True
            elif is_above and line.strip():
                is_above = False
                tables.append((row, split_line(line.rstrip("\r\n"), head.delimiter, path)))
    return tables


def _by_table(expressions: list[str], tables: list[tuple[int, list[str]]]) -> str:
    """Return the expression of the table that a row lies in."""
    if len(set(expressions)) == 1:
        return expressions[0]
    pairs = list(zip(expressions, tables[1:], strict=False))
    cases = "".join(f" WHEN row < {row} THEN {one}" for one, (row, _) in pairs)
    return f"CASE{cases} ELSE {expressions[-1]} END"


def _position(name: str, row: int, names: list[str], path: str) -> int:
    if name not in names:
        raise InputError(
            f"{path}: the table from line {row} on has no column {name!r}; write it to its own file"
        )
    return names.index(name)


def _csv_fields(text: str, delimiter: str) -> str:
    """Parse a CSV line into a list of fields; NULL when its quotes do not match."""
    if delimiter == " ":
        return rf"string_split_regex(trim({text}), '\s+')"
    mark = {"\t": r"\t"}.get(delimiter, re.escape(delimiter))
    one = rf'"(?:[^"]|"")*"|[^{mark}"]*'
    every = rf"regexp_extract_all({literal(delimiter)} || {text}, {literal(f'{mark}({one})')}, 1)"
    unquoted = (
        "list_transform(" + every + ", lambda field: CASE WHEN starts_with(field, '\"') "
        "THEN replace(substr(field, 2, length(field) - 2), '\"\"', '\"') ELSE field END)"
    )
    is_valid = f"regexp_full_match({text}, {literal(f'(?:{one})(?:{mark}(?:{one}))*')})"
    return (
        f"CASE WHEN NOT contains({text}, '\"') THEN string_split({text}, {literal(delimiter)}) "
        f"WHEN {is_valid} THEN {unquoted} END"
    )
