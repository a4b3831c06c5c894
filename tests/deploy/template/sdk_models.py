"""Holds a request against the models of Microsoft's own clients, which have two forms: older and newer.

A property that the model does not know, or that is of another type, is a fault.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator, Mapping
from functools import partial
from importlib import import_module
from typing import Any

# What the older models call plain types, and what JSON makes of them.
_PLAIN = {
    "str": str,
    "int": int,
    "long": int,
    "float": (int, float),
    "bool": bool,
    "iso-8601": str,
    "duration": str,
    "object": object,
    "{object}": Mapping,
}
_NEWER_PLAIN = {str: str, int: int, float: (int, float), bool: bool}


def faults(value: Any, model: type) -> list[str]:
    """What is wrong with a request by a model of a client."""
    of = _of_older if hasattr(model, "_attribute_map") else _of_newer
    return list(of(value, model, ""))


def _of_older(value: Any, model: Any, where: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{where}: it is no object"
        return
    model = _subtype(value, model)
    known = {one["key"].replace("\\.", "\0"): one["type"] for one in model._attribute_map.values()}
    yield from _of_keys(value, known, import_module(model.__module__.rpartition(".")[0]), where)
    for attribute, rule in model._validation.items():
        if rule.get("required") and not rule.get("readonly"):
            key = model._attribute_map[attribute]["key"].replace("\\.", "\0")
            if not _has(value, key.split(".")):
                yield f"{where or 'the body'}: {key.replace(chr(0), '.')!r} is missing"
        if rule.get("readonly") and _has(value, model._attribute_map[attribute]["key"].split(".")):
            yield f"{where or 'the body'}: only the service sets {attribute!r}"


def _of_keys(value: Mapping, known: Mapping[str, str], models: Any, where: str) -> Iterator[str]:
    """Keys with dots are properties of properties: the older models are flat."""
    for key, one in value.items():
        place, name = f"{where}.{key}" if where else key, key.replace(".", "\0")
        below = {path.partition(".")[2]: kind for path, kind in known.items() if path.startswith(f"{name}.")}
        if name in known:
            yield from _of_kind(one, known[name], models, place)
        elif below and isinstance(one, Mapping):
            yield from _of_keys(one, below, models, place)
        elif "" in known:
            yield from _of_kind(one, known[""].strip("{}"), models, place)
        else:
            yield f"{place}: it is unknown"


def _of_kind(value: Any, kind: str, models: Any, where: str) -> Iterator[str]:
    if kind in _PLAIN:
        yield from _of_plain(value, _PLAIN[kind], kind, where)
    elif kind.startswith("["):
        if not isinstance(value, list):
            yield f"{where}: it is no list"
            return
        for number, one in enumerate(value):
            yield from _of_kind(one, kind[1:-1], models, f"{where}[{number}]")
    elif kind.startswith("{"):
        for key, one in value.items():
            yield from _of_kind(one, kind[1:-1], models, f"{where}.{key}")
    else:
        yield from _of_older(value, getattr(models, kind), where)


def _of_plain(value: Any, expected: Any, name: Any, where: str) -> Iterator[str]:
    if not isinstance(value, expected) or (isinstance(value, bool) and expected not in (bool, object)):
        yield f"{where}: {value!r} is no {name}"


def _has(value: Any, keys: list[str]) -> bool:
    for key in (one.replace("\0", ".").replace("\\.", ".") for one in keys):
        if not isinstance(value, Mapping) or key not in value:
            return False
        value = value[key]
    return True


def _subtype(value: Mapping, model: Any) -> Any:
    models = import_module(model.__module__.rpartition(".")[0])
    for attribute, kinds in vars(model).get("_subtype_map", {}).items():
        key = model._attribute_map[attribute]["key"].replace("\\.", ".")
        if value.get(key) in kinds:
            return _subtype(value, getattr(models, kinds[value[key]]))
    return model


def _of_newer(value: Any, model: Any, where: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{where}: it is no object"
        return
    # Its fields are known when one of it was made.
    object.__new__(model)
    model.__new__(model)
    fields = {field._rest_name: field for field in model._attr_to_rest_field.values()}
    for name, one in value.items():
        place = f"{where}.{name}" if where else name
        if name not in fields:
            yield f"{place}: it is unknown"
        elif fields[name]._visibility == ["read"]:
            yield f"{place}: only the service sets it"
        else:
            yield from _of_reader(one, fields[name]._type, place)


def _of_reader(value: Any, reader: Any, where: str) -> Iterator[str]:
    """A newer model keeps of each property the function that reads it, with what it reads."""
    if not isinstance(reader, partial):
        return
    name = reader.func.__name__
    inner = reader.args[0] if reader.args else None
    if name == "_deserialize_model":
        yield from _of_newer(value, inner, where)
    elif name == "_deserialize_with_optional":
        yield from _of_reader(value, inner, where)
    elif name == "_deserialize_sequence":
        if not isinstance(value, list):
            yield f"{where}: it is no list"
            return
        for number, one in enumerate(value):
            yield from _of_reader(one, inner, f"{where}[{number}]")
    elif name == "_deserialize_dict":
        for key, one in value.items():
            yield from _of_reader(one, inner, f"{where}.{key}")
    elif name == "_deserialize_with_union":
        tried = [list(_of_reader(value, one, where)) for one in inner]
        if all(tried):
            yield tried[-1][0]
    elif name == "_deserialize_default":
        yield from _of_default(value, inner, where)


def _of_default(value: Any, kind: Any, where: str) -> Iterator[str]:
    if kind in _NEWER_PLAIN:
        yield from _of_plain(value, _NEWER_PLAIN[kind], kind.__name__, where)
    elif isinstance(kind, type) and hasattr(kind, "__members__"):
        values = [one.value for one in kind]
        if value not in values:
            yield f"{where}: {value!r} is not one of {', '.join(values)}"
    elif kind is not typing.Any and re.search("datetime", str(kind)) and not isinstance(value, str):
        yield f"{where}: {value!r} is no time"
