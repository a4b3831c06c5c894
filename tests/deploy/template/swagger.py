"""Check a resource against Azure's published description of its request, strictly: nothing may be unknown.

The descriptions are not part of the project; ``AZURE_SPECS`` names a folder with them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

# The folder of each namespace's descriptions, by version.
_FOLDERS = {
    "Microsoft.Batch": "batch/resource-manager/Microsoft.Batch/stable",
    "Microsoft.BatchAI": "batchai/resource-manager/Microsoft.BatchAI/stable",
    "Microsoft.ContainerInstance": "containerinstance/resource-manager/Microsoft.ContainerInstance/stable",
    "Microsoft.ContainerRegistry": "containerregistry/resource-manager/Microsoft.ContainerRegistry/stable",
    "Microsoft.EventHub": "eventhub/resource-manager/Microsoft.EventHub/stable",
    "Microsoft.Logic": "logic/resource-manager/Microsoft.Logic/stable",
    "Microsoft.StreamAnalytics": "streamanalytics/resource-manager/Microsoft.StreamAnalytics/stable",
}
# Keys of a template that are not in the body of the request.
_OF_TEMPLATES = ("type", "apiVersion", "name", "dependsOn", "condition", "scope", "metadata", "comments")
_NO_SCHEMA: Mapping[str, Any] = {}


def described(specs: Path, kind: str, version: str) -> tuple[str, Mapping[str, Any], Path] | None:
    """Find the description of the request that puts a resource.

    Parameters
    ----------
    specs : Path
        The folder with ``specification/``.
    kind, version : str
        Such as ``Microsoft.Batch/batchAccounts/pools`` and ``2024-02-01``.

    Returns
    -------
    (str, mapping, Path) or None
        Its name, the schema of the body, and the file of both; None without a description.
    """
    namespace, *types = kind.split("/")
    folder = specs / "specification" / _FOLDERS.get(namespace, "none") / version
    wanted = re.compile(
        rf".*/providers/{re.escape(namespace)}/" + "/".join(f"{re.escape(t)}/[^/]+" for t in types) + "$"
    )
    for file in sorted(folder.glob("*.json")):
        for path, methods in _document(file).get("paths", {}).items():
            if wanted.fullmatch(path.rstrip("/")) and "put" in methods:
                body = [
                    one
                    for one in (_resolved(one, file)[0] for one in methods["put"]["parameters"])
                    if one.get("in") == "body"
                ]
                if body:
                    return f"{file.name} {version}", body[0]["schema"], file
    return None


def body_of(resource: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of the request for a resource in a template."""
    return {key: value for key, value in resource.items() if key not in _OF_TEMPLATES}


def faults(value: Any, schema: Mapping[str, Any], file: Path, where: str = "") -> Iterator[str]:
    """Yield what is wrong with a value, one sentence each.

    Parameters
    ----------
    value : as JSON has it
    schema : mapping
        As :func:`described` gives it.
    file : Path
        Where the schema is from; its references begin there.
    where : str
        For messages.
    """
    schema, file = _resolved(schema, file)
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where or 'the body'}: {value!r} is not one of {', '.join(map(str, schema['enum']))}"
    kind = schema.get("type") or ("object" if _properties(schema, file)[0] or "allOf" in schema else None)
    if kind == "object" or (kind is None and isinstance(value, Mapping) and "discriminator" in schema):
        yield from _of_object(value, schema, file, where)
    elif kind == "array":
        if not isinstance(value, list):
            yield f"{where}: it is no list"
            return
        for number, one in enumerate(value):
            yield from faults(one, schema.get("items", _NO_SCHEMA), file, f"{where}[{number}]")
    elif kind is not None:
        yield from _of_plain(value, kind, schema, where)


def _of_object(value: Any, schema: Mapping[str, Any], file: Path, where: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{where}: it is no object"
        return
    schema, file = _subtype(value, schema, file)
    properties, required, further = _properties(schema, file)
    if not properties and further is None:
        return  # a free object
    names = {name.lower(): name for name in properties}
    for name in sorted(required):
        if name not in value and not properties[name][0].get("readOnly"):
            yield f"{where or 'the body'}: {name!r} is missing"
    for name, one in value.items():
        known = names.get(name.lower())
        place = f"{where}.{name}" if where else name
        if known is not None:
            part, part_file = properties[known]
            if part.get("readOnly"):
                yield f"{place}: only the service sets it"
            yield from faults(one, part, part_file, place)
        elif further is None:
            yield f"{place}: it is unknown"
        else:
            yield from faults(one, further[0], further[1], place)


def _of_plain(value: Any, kind: str, schema: Mapping[str, Any], where: str) -> Iterator[str]:
    is_bool = isinstance(value, bool)
    fits = {
        "string": isinstance(value, str),
        "boolean": is_bool,
        "integer": isinstance(value, int) and not is_bool,
        "number": isinstance(value, int | float) and not is_bool,
    }
    if not fits.get(kind, False):
        yield f"{where}: {value!r} is no {kind}"
        return
    size = len(value) if kind == "string" else value
    least, most = (
        schema.get("minLength", schema.get("minimum")),
        schema.get("maxLength", schema.get("maximum")),
    )
    if (least is not None and size < least) or (most is not None and size > most):
        yield f"{where}: {value!r} is not between {least} and {most}"
    if kind == "string" and "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{where}: {value!r} does not match {schema['pattern']}"


_Part = tuple[Mapping[str, Any], Path]


def _properties(schema: Mapping[str, Any], file: Path) -> tuple[dict[str, _Part], set[str], _Part | None]:
    """Return the properties of a schema and its parts, the required ones, and the schema of all others."""
    found: dict[str, _Part] = {}
    required: set[str] = set(schema.get("required", ()))
    further: _Part | None = None
    for part in schema.get("allOf", ()):
        inner, inner_file = _resolved(part, file)
        more, needed, open_to = _properties(inner, inner_file)
        found |= more
        required |= needed
        further = further or open_to
    found |= {name: _resolved_keeping(one, file) for name, one in schema.get("properties", {}).items()}
    more_properties = schema.get("additionalProperties")
    if isinstance(more_properties, Mapping):
        further = (more_properties, file)
    elif more_properties is True:
        further = (_NO_SCHEMA, file)
    return found, required, further


def _resolved_keeping(schema: Mapping[str, Any], file: Path) -> _Part:
    """Resolve a property's schema; ``readOnly`` beside a reference is kept."""
    resolved, resolved_file = _resolved(schema, file)
    return ({**resolved, "readOnly": True} if schema.get("readOnly") else resolved), resolved_file


def _subtype(value: Mapping[str, Any], schema: Mapping[str, Any], file: Path) -> _Part:
    """Return the schema of the subtype that a value names."""
    name = schema.get("discriminator")
    if name is None or name not in value:
        return schema, file
    for key, one in _document(file)["definitions"].items():
        if one.get("x-ms-discriminator-value", key) == value[name] and _descends(one, schema, file):
            return one, file
    return schema, file


def _descends(schema: Mapping[str, Any], ancestor: Mapping[str, Any], file: Path) -> bool:
    parts = [_resolved(part, file)[0] for part in schema.get("allOf", ())]
    return any(part is ancestor or _descends(part, ancestor, file) for part in parts)


def _resolved(schema: Mapping[str, Any], file: Path) -> _Part:
    while "$ref" in schema:
        path, _, pointer = schema["$ref"].partition("#")
        file = (file.parent / path).resolve() if path else file
        schema = _document(file)
        for key in pointer.strip("/").split("/"):
            schema = schema[key]
    return schema, file


@cache
def _document(file: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return read
