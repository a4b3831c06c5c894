"""Name what lies in JSON objects by dotted paths, and extract it with SQL."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from batch_scoring.ingestion.columns import match_columns
from batch_scoring.ingestion.settings import ROLES, IngestSettings
from batch_scoring.ingestion.sql import literal

ITEMS = "[]"
IS_OBJECT = "CASE WHEN json_valid(text) THEN json_type(text) = 'OBJECT' ELSE false END"
# The structure of an object ``text``; of one that is too deep for SQL, its keys.
STRUCTURE = (
    "COALESCE(TRY(json_structure(text)), CAST(to_json(map(json_keys(text), "
    "list_transform(json_keys(text), lambda key: 'JSON'))) AS VARCHAR))"
)
_MAX_DEPTH = 16
# Of a list, as many items show what is in them.
_SAMPLE_ITEMS = 100
_SAMPLE_TEXTS = 200
_NUMBERS = ("UBIGINT", "BIGINT", "HUGEINT", "UHUGEINT", "DOUBLE")


@dataclass
class Leaf:
    """A value in JSON objects.

    Attributes
    ----------
    keys : tuple of str
        From the outside in; ``ITEMS`` stands for each item of a list.
    texts : list of str
        Some of its values; an object or a list is none.
    """

    keys: tuple[str, ...]
    texts: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its path as people write it, such as ``readings[].value``."""
        return ".".join(self.keys).replace(f".{ITEMS}", ITEMS)

    @property
    def list_keys(self) -> tuple[str, ...]:
        """The keys to the list that it is in; empty where it is in none."""
        return self.keys[: self.keys.index(ITEMS)] if ITEMS in self.keys else ()

    @property
    def item_keys(self) -> tuple[str, ...]:
        """The keys behind that list."""
        return self.keys[self.keys.index(ITEMS) + 1 :] if ITEMS in self.keys else self.keys


def leaves_of(texts: Iterable[str]) -> list[Leaf]:
    """List what is in the objects among some texts, in the order first seen.

    Every key of an object itself is listed, also where an object or a list is behind it.

    Examples
    --------
    >>> [leaf.name for leaf in leaves_of(['{"id": {"device": "a"}, "readings": [{"value": 1}]}'])]
    ['id', 'id.device', 'readings', 'readings[].value']
    """
    found: dict[tuple[str, ...], Leaf] = {}
    for text in texts:
        try:
            parsed: Any = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(parsed, dict):
            _add(found, (), parsed)
    return list(found.values())


def match_leaves(names: Sequence[str], settings: IngestSettings) -> dict[str, int]:
    """Find the leaf of each role: by its whole path, else by its last key, where one leaf alone has it.

    Examples
    --------
    >>> names = ["ids", "ids.device_id", "time", "data.time"]
    >>> match_leaves(names, IngestSettings())
    {'timestamp': 2, 'device': 1}
    """
    found = match_columns(names, settings)
    for role in ROLES:
        for wanted in settings.column_names(role) if role not in found else ():
            last = [
                n for n, name in enumerate(names) if name.rpartition(".")[2].casefold() == wanted.casefold()
            ]
            if len(last) == 1 and last[0] not in found.values():
                found[role] = last[0]
                break
    return {role: found[role] for role in ROLES if role in found}


def sensor_names(leaves: Mapping[int, Leaf]) -> dict[int, str]:
    """Name each leaf that is a sensor by its path, less what all of them begin with.

    Examples
    --------
    >>> sensor_names({3: Leaf(("data", "temp")), 4: Leaf(("data", "hum"))})
    {3: 'temp', 4: 'hum'}
    """
    keys = {at: leaf.item_keys for at, leaf in leaves.items()}
    common = 0
    while keys and all(len(one) > common + 1 for one in keys.values()):
        if len({one[common] for one in keys.values()}) > 1:
            break
        common += 1
    return {at: ".".join(one[common:]) for at, one in keys.items()}


def json_path(keys: Sequence[str]) -> str:
    r"""Write keys as a path of SQL.

    Examples
    --------
    >>> json_path(["a", 'b"c'])
    '$."a"."b\\"c"'
    """
    escaped = (key.replace("\\", "\\\\").replace('"', '\\"') for key in keys)
    return "$" + "".join(f'."{key}"' for key in escaped)


def extracted(text: str, leaves: Sequence[Leaf]) -> str:
    """Return the SQL list of the texts of leaves, numbers as they are written."""
    if not leaves:
        return "CAST([] AS VARCHAR[])"
    return (
        f"json_extract_string({text}, [{', '.join(literal(json_path(leaf.item_keys)) for leaf in leaves)}])"
    )


def is_nested(value: str) -> str:
    """Return whether a text that was extracted is an object or a list."""
    return f"COALESCE(CASE WHEN {value}[1] IN ('{{', '[') THEN json_valid({value}) END, false)"


def add_structures(leaves: Sequence[Leaf], structures: Iterable[str]) -> list[Leaf]:
    """Add the leaves of structures, as ``json_structure`` of SQL writes them; a number stands for numbers.

    Examples
    --------
    >>> [(leaf.name, leaf.texts) for leaf in add_structures([], ['{"a":"DOUBLE","b":{"c":"VARCHAR"}}'])]
    [('a', ['0']), ('b', []), ('b.c', [])]
    """
    found = {leaf.keys: leaf for leaf in leaves}
    for structure in structures:
        parsed = json.loads(structure)
        if isinstance(parsed, dict):
            _add(found, (), parsed, _text_of_type)
    return list(found.values())


def _text_of_type(name: Any) -> list[str]:
    return ["0"] if name in _NUMBERS else []


def _texts_of(value: Any) -> list[str]:
    if value is None or isinstance(value, (dict, list)):
        return []
    return [value if isinstance(value, str) else json.dumps(value)]


def _add(
    found: dict[tuple[str, ...], Leaf],
    keys: tuple[str, ...],
    value: Any,
    texts_of: Callable[[Any], list[str]] = _texts_of,
) -> None:
    is_deep = len(keys) >= _MAX_DEPTH
    if isinstance(value, (dict, list)) and len(keys) == 1:
        found.setdefault(keys, Leaf(keys))
    if isinstance(value, dict) and not is_deep:
        for key, inner in value.items():
            _add(found, (*keys, key), inner, texts_of)
    elif isinstance(value, list) and ITEMS not in keys and not is_deep:
        for item in value[:_SAMPLE_ITEMS]:
            if isinstance(item, dict):
                _add(found, (*keys, ITEMS), item, texts_of)
    else:
        leaf = found.setdefault(keys, Leaf(keys))
        if len(leaf.texts) < _SAMPLE_TEXTS:
            leaf.texts += texts_of(value)
