"""Read InfluxDB's line protocol as the records that Telegraf writes as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

# Behind a backslash stands a mark that does not separate; within quotes, which only fields have, none does.
_SERIES = r"(?:\\.|[^\\ ])+"
_FIELDS = r'(?:\\.|"(?:\\.|[^"\\])*"|[^\\" ])+'
_LINE = re.compile(rf"\s*({_SERIES}) +({_FIELDS})(?: +(-?\d+))?\s*")
_TAG = re.compile(r"(?:\\.|[^\\,])+")
_FIELD = re.compile(r'(?:\\.|"(?:\\.|[^"\\])*"|[^\\",])+')
_KEY_VALUE = re.compile(r"((?:\\.|[^\\=])+)=(.+)", re.DOTALL)
_ESCAPED = re.compile(r'\\([,= "\\])')
_WHOLE = re.compile(r"(-?\d+)[iu]")
_TRUTHS = {"t": True, "true": True, "f": False, "false": False}


def telegraf_records(lines: Iterable[str]) -> Iterator[str]:
    r"""Yield each line as JSON, with ``name``, ``tags``, ``fields`` and ``timestamp`` in nanoseconds.

    What is no line of the protocol is a JSON text, for the quarantine. Empty lines and comments are left out.

    Examples
    --------
    >>> list(telegraf_records(["# exported", r"room,host=unit\ 1 temp=21.5 1465839830100"]))
    ['{"name": "room", "tags": {"host": "unit 1"}, "fields": {"temp": 21.5}, "timestamp": 1465839830100}']
    """
    for line in lines:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        record = _record(text)
        yield json.dumps(text if record is None else record, ensure_ascii=False)


def _record(text: str) -> dict[str, Any] | None:
    found = _LINE.fullmatch(text)
    if found is None:
        return None
    series, fields, time = found.groups()
    name, *tags = _TAG.findall(series)
    pairs = [_KEY_VALUE.fullmatch(one) for one in (*tags, *_FIELD.findall(fields))]
    if any(pair is None for pair in pairs):
        return None
    named = [(_plain(pair[1]), pair[2]) for pair in pairs if pair is not None]
    return {
        "name": _plain(name),
        "tags": {key: _plain(value) for key, value in named[: len(tags)]},
        "fields": {key: _value(value) for key, value in named[len(tags) :]},
        "timestamp": None if time is None else int(time),
    }


def _plain(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)


def _value(text: str) -> bool | int | float | str:
    if text.startswith('"'):
        return _plain(text[1:-1])
    if text.lower() in _TRUTHS:
        return _TRUTHS[text.lower()]
    whole = _WHOLE.fullmatch(text)
    try:
        return float(text) if whole is None else int(whole[1])
    except ValueError:
        return text
