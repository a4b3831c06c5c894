"""The functions of template expressions that need only their arguments and a deployment's place."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.emulators.arm.expressions import TemplateError
from tests.emulators.arm.ids import resource_id

Function = Callable[..., Any]
_NAMESPACE = uuid.UUID("11fb06fb-712d-4ddd-98c7-e71bbd588830")


@dataclass(frozen=True)
class Where:
    """Where a template is deployed to."""

    subscription: str
    group: str
    location: str
    deployment: str
    tenant: str
    tags: Mapping[str, str]
    resource_manager: str = "https://management.azure.com/"

    @property
    def subscription_id(self) -> str:
        return f"/subscriptions/{self.subscription}"

    @property
    def group_id(self) -> str:
        return f"{self.subscription_id}/resourceGroups/{self.group}"


def plain_functions(where: Where) -> dict[str, Function]:
    """By their names in lower case."""
    return {**_of_values(), **_of_texts(), **_of_lists(), **_of_places(where)}


def _of_values() -> dict[str, Function]:
    return {
        "true": lambda: True,
        "false": lambda: False,
        "null": lambda: None,
        "not": lambda value: not value,
        "bool": lambda value: value if isinstance(value, bool) else str(value).lower() in ("true", "1"),
        "int": int,
        "float": float,
        "string": lambda value: value if isinstance(value, str) else json.dumps(value, separators=(",", ":")),
        "json": json.loads,
        "equals": _equals,
        "less": lambda a, b: a < b,
        "lessorequals": lambda a, b: a <= b,
        "greater": lambda a, b: a > b,
        "greaterorequals": lambda a, b: a >= b,
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b,
        "div": lambda a, b: int(a / b),
        "mod": lambda a, b: a % b,
        "coalesce": lambda *values: next((one for one in values if one is not None), None),
        "createobject": lambda *parts: dict(zip(parts[::2], parts[1::2], strict=True)),
        "createarray": lambda *parts: list(parts),
        "array": lambda value: value if isinstance(value, list) else [value],
    }


def _of_texts() -> dict[str, Function]:
    return {
        "concat": _concat,
        "format": _format,
        "tolower": lambda text: text.lower(),
        "toupper": lambda text: text.upper(),
        "trim": lambda text: text.strip(),
        "substring": _substring,
        "replace": lambda text, old, new: text.replace(old, new),
        "split": lambda text, marks: re.split("|".join(map(re.escape, _list(marks))), text),
        "join": lambda parts, mark: mark.join(map(str, parts)),
        "startswith": lambda text, start: text.lower().startswith(start.lower()),
        "endswith": lambda text, end: text.lower().endswith(end.lower()),
        "indexof": lambda text, part: text.lower().find(part.lower()),
        "padleft": lambda text, width, mark=" ": str(text).rjust(width, mark),
        "base64": lambda text: base64.b64encode(text.encode()).decode(),
        "uri": lambda base, path: base.rstrip("/") + "/" + path.lstrip("/"),
        # Not Azure's digests, but as good: the same for the same arguments, and another for others.
        "uniquestring": _unique,
        "guid": lambda *parts: str(uuid.uuid5(_NAMESPACE, "-".join(map(str, parts)))),
    }


def _of_lists() -> dict[str, Function]:
    return {
        "length": len,
        "empty": lambda value: value is None or len(value) == 0,
        "contains": _contains,
        "first": lambda value: value[0] if len(value) else None,
        "last": lambda value: value[-1] if len(value) else None,
        "skip": lambda value, count: value[count:],
        "take": lambda value, count: value[:count],
        "union": _union,
        "intersection": lambda a, b: [one for one in a if one in b],
        "range": lambda first, count: list(range(first, first + count)),
        "min": lambda *values: min(values[0] if isinstance(values[0], list) else values),
        "max": lambda *values: max(values[0] if isinstance(values[0], list) else values),
        "items": lambda value: [{"key": key, "value": value[key]} for key in sorted(value)],
        "objectkeys": sorted,
    }


def _of_places(where: Where) -> dict[str, Function]:
    return {
        "resourceid": lambda *words: _resource_id(where, words),
        "subscriptionresourceid": lambda *words: _subscription_resource_id(where, words),
        "tenantresourceid": lambda full, *names: resource_id("", full, "/".join(names)),
        "extensionresourceid": lambda scope, full, *names: resource_id(scope, full, "/".join(names)),
        "resourcegroup": lambda: {
            "id": where.group_id,
            "name": where.group,
            "type": "Microsoft.Resources/resourceGroups",
            "location": where.location,
            "tags": dict(where.tags),
            "properties": {"provisioningState": "Succeeded"},
        },
        "subscription": lambda: {
            "id": where.subscription_id,
            "subscriptionId": where.subscription,
            "tenantId": where.tenant,
            "displayName": "stand-in",
        },
        "tenant": lambda: {"tenantId": where.tenant},
        "deployment": lambda: {"name": where.deployment, "properties": {"mode": "Incremental"}},
        "environment": lambda: _environment(where),
    }


def _environment(where: Where) -> dict[str, Any]:
    return {
        "name": "AzureCloud",
        "portal": "https://portal.azure.com",
        "resourceManager": where.resource_manager,
        "authentication": {"loginEndpoint": "https://login.microsoftonline.com/", "tenant": "common"},
        "suffixes": {
            "acrLoginServer": ".azurecr.io",
            "keyvaultDns": ".vault.azure.net",
            "storage": "core.windows.net",
            "sqlServerHostname": ".database.windows.net",
        },
    }


def _resource_id(where: Where, words: tuple[str, ...]) -> str:
    """``resourceId([subscription], [group], type, name, …)``: the type is the first word with a slash."""
    at = next((number for number, one in enumerate(words) if "/" in one), None)
    if at is None or at > 2:
        raise TemplateError(f"The template function 'resourceId' was given no type: {words!r}.")
    subscription = words[0] if at == 2 else where.subscription
    group = words[at - 1] if at else where.group
    return _with_names(f"/subscriptions/{subscription}/resourceGroups/{group}", words[at], words[at + 1 :])


def _subscription_resource_id(where: Where, words: tuple[str, ...]) -> str:
    at = 0 if "/" in words[0] else 1
    scope = f"/subscriptions/{words[0]}" if at else where.subscription_id
    return _with_names(scope, words[at], words[at + 1 :])


def _with_names(scope: str, full_type: str, names: tuple[str, ...]) -> str:
    if full_type.count("/") != len(names):
        raise TemplateError(
            f"Unable to evaluate 'resourceId': type {full_type!r} wants {full_type.count('/')} names, "
            f"and there are {len(names)}."
        )
    return resource_id(scope, full_type, "/".join(names))


def _equals(left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left.lower() == right.lower()
    return type(left) is type(right) and bool(left == right)


def _concat(*parts: Any) -> Any:
    if parts and isinstance(parts[0], list):
        return [one for part in parts for one in part]
    if any(isinstance(part, dict | list) for part in parts):
        raise TemplateError("The template function 'concat' joins texts or lists, and was given an object.")
    return "".join(_text(part) for part in parts)


def _format(pattern: str, *values: Any) -> str:
    if re.search(r"\{\d+[:,]", pattern):
        raise TemplateError(f"Formats of numbers are not known here: {pattern!r}.")
    try:
        found = re.sub(r"\{(\d+)\}", lambda match: _text(values[int(match[1])]), pattern)
    except IndexError:
        raise TemplateError(f"The template function 'format' has too few values for {pattern!r}.") from None
    return found.replace("{{", "{").replace("}}", "}")


def _text(value: Any) -> str:
    return str(value) if not isinstance(value, bool) else str(value).capitalize()


def _substring(text: str, start: int, length: int | None = None) -> str:
    if start > len(text) or (length is not None and start + length > len(text)):
        raise TemplateError(f"The template function 'substring' goes beyond the end of {text!r}.")
    return text[start:] if length is None else text[start : start + length]


def _unique(*parts: Any) -> str:
    digest = hashlib.sha256("-".join(map(str, parts)).encode()).digest()
    return base64.b32encode(digest).decode().lower()[:13]


def _contains(value: Any, part: Any) -> bool:
    if isinstance(value, dict):
        return str(part).lower() in {key.lower() for key in value}
    return part in value


def _union(*values: Any) -> Any:
    if isinstance(values[0], dict):
        merged: dict[str, Any] = {}
        for value in values:
            for key, one in value.items():
                both = isinstance(one, dict) and isinstance(merged.get(key), dict)
                merged[key] = _union(merged[key], one) if both else one
        return merged
    found: list[Any] = []
    for value in values:
        found += [one for one in value if one not in found]
    return found


def _list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
