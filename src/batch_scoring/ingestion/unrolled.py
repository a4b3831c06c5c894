"""Split objects of events that hold a list of readings into one object a reading."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from batch_scoring.ingestion.settings import DEFAULT_COLUMNS

_TIMES, _VALUES = (frozenset(DEFAULT_COLUMNS[role]) for role in ("timestamp", "value"))
# Of LoRaWAN: who heard the message, each at a time of its own.
_HEARD_BY = frozenset(("rxinfo", "rx_metadata", "gateways", "gtws", "hotspots", "gws"))


def unrolled(text: str) -> list[str]:
    """Return an object for each item of a list of readings, with what stands beside the list.

    A list is one of readings where each item states a time or a value, by one of the usual names, that the
    object itself does not. Any other text is returned as it is.

    Examples
    --------
    >>> unrolled('{"device": "a", "data": [{"ts": 1, "temp": 2.5}, {"ts": 2, "temp": 3}]}')
    ['{"device": "a", "ts": 1, "temp": 2.5}', '{"device": "a", "ts": 2, "temp": 3}']
    >>> unrolled('{"ts": 1, "temp": 2, "rxInfo": [{"rssi": -57}]}')
    ['{"ts": 1, "temp": 2, "rxInfo": [{"rssi": -57}]}']
    """
    if "[" not in text or not text.startswith("{"):
        return [text]
    try:
        record: Any = json.loads(text)
    except (ValueError, RecursionError):
        return [text]
    found = [key for key, items in record.items() if _holds_readings(key, items, record)]
    if len(found) != 1:
        return [text]
    (key,) = found
    beside = {name: value for name, value in record.items() if name != key}
    return [json.dumps(beside | item, ensure_ascii=False) for item in record[key]]


def _holds_readings(key: str, items: Any, record: Iterable[str]) -> bool:
    if not isinstance(items, list) or not items or key.casefold() in _HEARD_BY:
        return False
    own = {name.casefold() for name in record}
    return all(isinstance(one, dict) and _states_more(one, own) for one in items)


def _states_more(item: Iterable[str], own: set[str]) -> bool:
    names = {name.casefold() for name in item}
    return any(names & usual and not own & usual for usual in (_TIMES, _VALUES))
