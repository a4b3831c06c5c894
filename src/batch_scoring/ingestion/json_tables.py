"""Find tables in JSON: lists of columns, rows or points, lists in lists, and JSON within texts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from batch_scoring.ingestion.column_kinds import kind_of
from batch_scoring.ingestion.columns import matching_names
from batch_scoring.ingestion.settings import IngestSettings

Record = dict[str, Any]

_USUAL = IngestSettings()
# Tables lie below few keys: what is deeper is data.
_MAX_DEPTH = 6
# Of the keys of an object, as many tell what they are.
_SAMPLE_KEYS = 100
INDEX = "index"
_CELLS = ("values", "data", "rows", "dataset")
# What names a series beside its points, best first.
_SERIES_NAMES = ("target", "metric", "__name__", "name", "label", "id")
# Seconds since 1970 of 1990 to 2100, and what else they may be counted in.
_FIRST_SECOND, _LAST_SECOND = 631_152_000, 4_102_444_800
_SCALES = (1, 10**3, 10**6, 10**9)


def tables_of_columns(document: Mapping[str, Any]) -> Iterator[Record]:
    """Yield the tables of an object that has a list, or an object with the same keys, for each column.

    Parameters
    ----------
    document : mapping
        It, an object in it, or one in a list in it, holds the columns. Texts beside these are the same in
        each row.

    Yields
    ------
    dict of str to list
        The columns, all of one length.

    Examples
    --------
    >>> list(tables_of_columns({"station": "a", "hourly": {"time": [1, 2], "temp": [20.5, 21]}}))
    [{'time': [1, 2], 'temp': [20.5, 21], 'station': ['a', 'a']}]
    """
    keyed = _keyed_columns(document)
    if keyed is not None:
        yield keyed
        return
    inner = [value for value in document.values() if isinstance(value, dict)]
    items = [item for value in document.values() if _is_list_of_objects(value) for item in value]
    texts = _texts_beside(document)
    for one in (document, *inner, *items):
        lists = {name: value for name, value in one.items() if isinstance(value, list)}
        lengths = {len(value) for value in lists.values()}
        n = min(lengths, default=0)
        if len(lists) > 1 and lengths == {n} and n > 1 and all(map(_is_flat, lists.values())):
            yield lists | {name: [value] * n for name, value in (texts | _texts_beside(one)).items()}


def tables_of_rows(document: Any, depth: int = 0) -> Iterator[Record]:
    """Yield the tables in a document that are written as the names of columns beside a list of rows.

    Parameters
    ----------
    document
        Any JSON. A table is an object with ``columns`` and ``values``, ``data``, ``rows`` or ``dataset``; its
        ``tags`` are the same in each row, and an ``index`` that does not merely count is a column. A data
        frame of Grafana is one, too.

    Yields
    ------
    dict of str to list
        The columns, all of one length.

    Examples
    --------
    >>> list(tables_of_rows({"columns": ["time", "temp"], "values": [[1, 20.5], [2, 21]]}))
    [{'time': [1, 2], 'temp': [20.5, 21]}]
    """
    if isinstance(document, list):
        for value in document if depth < _MAX_DEPTH else ():
            if isinstance(value, (dict, list)):
                yield from tables_of_rows(value, depth + 1)
        return
    if not isinstance(document, dict):
        return
    if isinstance(document.get("schema"), dict) and isinstance(document.get("data"), dict):
        yield from _frame(document["schema"], document["data"])
        return
    folded = {name.casefold(): value for name, value in document.items()}
    names = _column_names(folded.get("columns"))
    rows = next((folded[name] for name in _CELLS if isinstance(folded.get(name), list)), None)
    if names and rows and all(isinstance(row, list) and len(row) == len(names) for row in rows):
        table: Record = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        index = folded.get(INDEX)
        if isinstance(index, list) and len(index) == len(rows) and not _counts(index):
            table[INDEX] = index
        tags = folded.get("tags")
        yield table | {
            tag: [text] * len(rows) for tag, text in (tags if isinstance(tags, dict) else {}).items()
        }
    elif depth < _MAX_DEPTH:
        for value in document.values():
            if isinstance(value, (dict, list)):
                yield from tables_of_rows(value, depth + 1)


def series_of(document: Any, depth: int = 0) -> Iterator[Record]:
    """Yield the readings of an object that has a list of times and values, or one for each sensor.

    Parameters
    ----------
    document
        Any JSON; an object with two or more lists of objects with a time and a value, and none of another
        kind, is one; or with pairs of a time and a value, in either order, or values by their times.

    Yields
    ------
    dict
        ``timestamp``, ``sensor``, ``value``, and the texts that stand beside the lists.

    Examples
    --------
    >>> one = {"temp": [{"ts": 1, "value": "20.5"}], "hum": [{"ts": 1, "value": "40"}]}
    >>> list(series_of(one))[1]
    {'timestamp': 1, 'sensor': 'hum', 'value': '40'}
    >>> list(series_of({"target": "temp", "datapoints": [[20.5, 1773345600]]}))
    [{'target': 'temp', 'timestamp': 1773345600, 'sensor': 'temp', 'value': 20.5}]
    """
    if not isinstance(document, dict):
        return
    lists = {name: value for name, value in document.items() if isinstance(value, list)}
    points = {name: _point_names(value) for name, value in lists.items()}
    if len(lists) > 1 and None not in points.values():
        known = {key: text for key, text in document.items() if isinstance(text, str)}
        for name, found in lists.items():
            time, value = points[name] or ("", "")
            for point in found:
                yield known | {"timestamp": point[time], "sensor": name, "value": point[value]}
        return
    texts = _texts_beside(document)
    by_last_key = {name.rpartition(".")[2].casefold(): text for name, text in texts.items()}
    sensor = next((by_last_key[name] for name in _SERIES_NAMES if name in by_last_key), "value")
    for inner in document.values():
        pairs = _pairs(inner)
        for time, value in pairs:
            yield texts | {"timestamp": time, "sensor": sensor, "value": value}
        if not pairs and depth < _MAX_DEPTH and isinstance(inner, (dict, list)):
            for item in inner if isinstance(inner, list) else [inner]:
                yield from series_of(item, depth + 1)


def opened_texts(record: Mapping[str, Any]) -> Record | None:
    """Return a record with the JSON in its texts opened; None where no text is an object or a list of such.

    Examples
    --------
    >>> opened_texts({"topic": "a", "payload": '{"temp": 20.5}'})
    {'topic': 'a', 'payload': {'temp': 20.5}}
    """
    opened = {name: found for name, value in record.items() if (found := _opened(value)) is not None}
    return {**record, **opened} if opened else None


def nested_items(record: Any, outer: Mapping[str, Any] | None = None) -> Iterator[Record]:
    """Yield the innermost items of lists in lists, each with what stands beside the lists around it.

    Parameters
    ----------
    record : mapping or list of mapping
        Of a list, what is a text in the first item and in no other one holds for all of them: so Home
        Assistant names an entity. Items without anything in them are left out.
    outer : mapping, optional
        What stands around the record.

    Yields
    ------
    dict
        A key that stands farther out, too, gets the name of its own list in front.

    Examples
    --------
    >>> one = {"units": [{"id": "a", "points": [{"id": "temp", "v": 20.5}, {"id": "hum", "v": 40}]}]}
    >>> list(nested_items(one))[1]
    {'id': 'a', 'points.id': 'hum', 'v': 40}
    """
    if isinstance(record, list):
        items = [one for one in record if one]
        first, others = items[0] if items else {}, items[1:]
        known = {
            name: value
            for name, value in first.items()
            if isinstance(value, str) and others and not any(name in one for one in others)
        }
        for item in items:
            yield from nested_items({**known, **item}, outer)
        return
    lists = {name: value for name, value in record.items() if _is_list_of_objects(value)}
    known = {**(outer or {}), **{name: value for name, value in record.items() if name not in lists}}
    if not lists:
        yield known
    for name, items in lists.items():
        for item in items:
            own = {f"{name}.{key}" if key in known else key: value for key, value in item.items()}
            yield from nested_items(own, known)


def _texts_beside(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts of an object and of the objects in it; a list of one text is that text."""
    found = {}
    for name, value in document.items():
        inner = (
            {f"{name}.{key}": one for key, one in value.items()} if isinstance(value, dict) else {name: value}
        )
        for key, one in inner.items():
            text = one[0] if isinstance(one, list) and len(one) == 1 else one
            found.update({key: text} if isinstance(text, str) else {})
    return found


def _frame(schema: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Record]:
    """Yield the tables of a data frame of Grafana: one for each column with labels, or one of all."""
    fields, columns = schema.get("fields") or [], data.get("values") or []
    if not _is_list_of_objects(fields) or not isinstance(columns, list) or len(fields) != len(columns):
        return
    names = [str(field.get("name")) for field in fields]
    times = [at for at, field in enumerate(fields) if field.get("type") == "time"]
    labels = [field.get("labels") or {} for field in fields]
    if not times or not any(labels):
        yield dict(zip(names, columns, strict=True))
        return
    for name, column, known in zip(names, columns, labels, strict=True):
        if known:
            sensor = known.get("__name__", schema.get("name", name) if name.lower() == "value" else name)
            texts = {key: text for key, text in known.items() if key != "__name__"}
            listed = {key: [text] * len(column) for key, text in ({"sensor": sensor} | texts).items()}
            yield {"timestamp": columns[times[0]], "value": column} | listed


def _pairs(points: Any) -> list[tuple[Any, Any]]:
    """Return times and values of a list of pairs, or of an object with times as keys; none for all else."""
    if isinstance(points, dict):
        pairs = list(points.items()) if _are_epochs(list(points)) else []
    elif isinstance(points, list) and all(isinstance(one, list) and len(one) == 2 for one in points):
        pairs = [(one, other) for one, other in points]
    else:
        return []
    firsts, seconds = ([pair[place] for pair in pairs] for place in (0, 1))
    if _are_epochs(firsts) == _are_epochs(seconds):
        return []
    pairs = pairs if _are_epochs(firsts) else list(zip(seconds, firsts, strict=True))
    return pairs if all(value is None or isinstance(value, (int, float, str)) for _, value in pairs) else []


def _are_epochs(times: list[Any]) -> bool:
    """Whether numbers, or texts of numbers, count from 1970."""
    try:
        numbers = [float(time) for time in times]
    except (TypeError, ValueError):
        return False
    return bool(numbers) and any(
        _FIRST_SECOND * scale <= min(numbers) and max(numbers) <= _LAST_SECOND * scale for scale in _SCALES
    )


def rows_of(table: Record) -> Iterator[Record]:
    """Yield the rows of a table of columns."""
    for row in zip(*table.values(), strict=True):
        yield dict(zip(table, row, strict=True))


def _opened(value: Any) -> Any:
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return None
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) or _is_list_of_objects(found) else None


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _keyed_columns(document: Mapping[str, Any]) -> Record | None:
    """Return the columns of objects with the same keys: an object a column, or an object a row."""
    inner = list(document.values())
    if len(inner) < 2 or not all(isinstance(value, dict) and value for value in inner):
        return None
    keys = list(inner[0])
    if len(keys) < 2 or any(list(value) != keys for value in inner) or not all(map(_is_flat, inner)):
        return None
    if _are_places(keys):
        columns = {name: list(value.values()) for name, value in document.items()}
    elif _are_places(list(document)):
        keys, columns = list(document), {name: [value[name] for value in inner] for name in keys}
    else:
        return None
    return columns if _counts(keys) else {INDEX: keys, **columns}


def _are_places(keys: list[str]) -> bool:
    """Whether keys are the times or numbers of rows, rather than names."""
    return kind_of(keys[:_SAMPLE_KEYS]) in ("number", "time")


def _is_flat(values: Any) -> bool:
    items = values.values() if isinstance(values, dict) else values
    return not any(isinstance(item, (list, dict)) for item in items)


def _counts(index: list[Any]) -> bool:
    return [str(one) for one in index] == [str(n) for n in range(len(index))]


def _column_names(columns: Any) -> list[str]:
    """Return the names of columns, given as texts or as objects with a name; none where one has none."""
    if not isinstance(columns, list):
        return []
    keys = ("name", "ColumnName", "text")
    stated = [
        next((one[key] for key in keys if key in one), None) if isinstance(one, dict) else one
        for one in columns
    ]
    names = [name for name in stated if isinstance(name, str)]
    return names if len(set(names)) == len(stated) else []


def _point_names(points: list[Any]) -> tuple[str, str] | None:
    """Return the keys of time and value of the items of a list; None where these are no such items."""
    if not points or not all(
        isinstance(point, dict) and point.keys() == points[0].keys() for point in points
    ):
        return None
    times, values = (matching_names(list(points[0]), role, _USUAL) for role in ("timestamp", "value"))
    return (times[0], values[0]) if times and values else None
