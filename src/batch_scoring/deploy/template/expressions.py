"""Parse the expressions of templates, and evaluate them offline; pure.

What only Azure knows stays open, and is named. Only the functions that the template uses are known.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+)|(?P<name>[A-Za-z_][\w]*)|(?P<mark>[().,\[\]]))"
)

_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
# A placeholder for a value from Azure, long enough for any rule about length.
_OPEN = "00000000-0000-0000-0000-00000000open"


class ExpressionError(ValueError):
    """A text is not a valid expression; the message says why."""


@dataclass(frozen=True)
class Constant:
    """A text or a number."""

    value: str | int


@dataclass(frozen=True)
class Call:
    """A function with its arguments."""

    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Access:
    """A property or an item of something."""

    of: Node
    key: Node


Node = Constant | Call | Access


def is_expression(value: Any) -> bool:
    """Return whether a value of a template is evaluated; ``[[`` begins a text with a bracket.

    Examples
    --------
    >>> is_expression("[concat('a', 'b')]"), is_expression("[[a]"), is_expression("a")
    (True, False, False)
    """
    return isinstance(value, str) and value.startswith("[") and value.endswith("]") and value[1:2] != "["


@cache  # a check of the template evaluates the same few hundred again and again
def parse(text: str) -> Node:
    """Parse an expression, with its brackets.

    Raises
    ------
    ExpressionError

    Examples
    --------
    >>> parse("[parameters('names').storage]").key
    Constant(value='storage')
    """
    tokens = list(_tokens(text[1:-1]))
    node, rest = _node(tokens)
    if rest:
        raise ExpressionError(f"{rest[0][1]!r} is unexpected")
    return node


def walk(node: Node) -> Iterator[Node]:
    """Yield a tree and all of its parts."""
    yield node
    parts = (
        node.arguments if isinstance(node, Call) else (node.of, node.key) if isinstance(node, Access) else ()
    )
    for part in parts:
        yield from walk(part)


def names_in(node: Node) -> Iterator[tuple[str, str]]:
    """Yield the function and the name of each parameter and variable of a tree, and of the like."""
    for part in walk(node):
        if isinstance(part, Call) and len(part.arguments) == 1 and isinstance(part.arguments[0], Constant):
            yield part.name, str(part.arguments[0].value)


def expressions_in(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path and the text of each expression in a part of a template."""
    if is_expression(value):
        yield where, value
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from expressions_in(one, f"{where}[{number}]")
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from expressions_in(key, where)
            yield from expressions_in(one, f"{where}.{key}" if where else key)


_Tokens = list[tuple[str, str]]


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    text, at = text.rstrip(), 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ExpressionError(f"{text[at:].strip()[:20]!r} cannot be read")
        yield str(match.lastgroup), str(match[match.lastgroup or 0])
        at = match.end()


def _node(tokens: _Tokens) -> tuple[Node, _Tokens]:
    if not tokens:
        raise ExpressionError("it ends too early")
    (kind, text), rest = tokens[0], tokens[1:]
    node: Node
    if kind == "text":
        node = Constant(text[1:-1].replace("''", "'"))
    elif kind == "number":
        node = Constant(int(text))
    elif kind == "name" and rest and rest[0] == ("mark", "("):
        arguments, rest = _arguments(rest[1:])
        node = Call(text, arguments)
    else:
        raise ExpressionError(f"{text!r} is not a function, text or number")
    return _accesses(node, rest)


def _arguments(tokens: _Tokens) -> tuple[tuple[Node, ...], _Tokens]:
    found: list[Node] = []
    if tokens[:1] == [("mark", ")")]:
        return (), tokens[1:]
    while True:
        node, tokens = _node(tokens)
        found.append(node)
        if not tokens or tokens[0][1] not in (",", ")"):
            raise ExpressionError("a ')' is missing")
        mark, tokens = tokens[0][1], tokens[1:]
        if mark == ")":
            return tuple(found), tokens


def _accesses(node: Node, tokens: _Tokens) -> tuple[Node, _Tokens]:
    while tokens and tokens[0] in (("mark", "."), ("mark", "[")):
        if tokens[0][1] == ".":
            if len(tokens) < 2 or tokens[1][0] != "name":
                raise ExpressionError("no name follows a '.'")
            node, tokens = Access(node, Constant(tokens[1][1])), tokens[2:]
            continue
        key, tokens = _node(tokens[1:])
        if tokens[:1] != [("mark", "]")]:
            raise ExpressionError("a ']' is missing")
        node, tokens = Access(node, key), tokens[1:]
    return node, tokens


class Open(str):
    """A text that is known only when it is deployed."""


@dataclass
class Place:
    """Target of a template, and its parameters.

    Attributes
    ----------
    parameters, variables : mapping
        Values; variables as the template has them.
    referred : list of str
        Ids of the resources whose runtime values were read; grows.
    """

    resource_group: str
    location: str
    parameters: Mapping[str, Any]
    variables: Mapping[str, Any]
    subscription: str = _SUBSCRIPTION
    referred: list[str] = field(default_factory=list)

    @property
    def group_id(self) -> str:
        """Resource id of the group."""
        return f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"

    def value(self, thing: Any) -> Any:
        """Evaluate every expression in a part of a template; nulls are left out.

        Raises
        ------
        ExpressionError
        """
        if is_expression(thing):
            return self._evaluate(parse(thing))
        if isinstance(thing, str):
            return thing[1:] if thing.startswith("[[") else thing
        if isinstance(thing, list):
            return [self.value(one) for one in thing]
        if isinstance(thing, Mapping):
            found = {self.value(key): self.value(one) for key, one in thing.items()}
            return {key: one for key, one in found.items() if one is not None}
        return thing

    def _evaluate(self, node: Node) -> Any:
        if isinstance(node, Constant):
            return node.value
        if isinstance(node, Access):
            return self._part(self._evaluate(node.of), self._evaluate(node.key))
        name = node.name.lower()
        if name == "if":
            # Only the chosen branch is evaluated, as in Azure.
            if len(node.arguments) != 3:
                raise ExpressionError("if() takes a condition and two values")
            condition, yes, no = node.arguments
            return self._evaluate(yes if self._evaluate(condition) else no)
        function = _FUNCTIONS.get(name)
        if function is None:
            raise ExpressionError(
                f"there is no function {node.name!r} here; known are: {', '.join(FUNCTIONS)}"
            )
        try:
            return function(self, *(self._evaluate(one) for one in node.arguments))
        except (TypeError, ValueError, AttributeError, LookupError) as error:
            if isinstance(error, ExpressionError):
                raise
            raise ExpressionError(f"{node.name}(): {error}") from None

    @staticmethod
    def _part(of: Any, key: Any) -> Any:
        if isinstance(of, Open):
            return Open(of)
        try:
            return of[key]
        except (LookupError, TypeError):
            raise ExpressionError(f"there is nothing named {key!r} in what comes before it") from None

    def named(self, kind: str, values: Mapping[str, Any], name: str) -> Any:
        """Look up a parameter or a variable.

        Raises
        ------
        ExpressionError
        """
        if name not in values:
            raise ExpressionError(f"there is no {kind} {name!r}")
        return values[name]


def resource_id(scope: str, kind: str, *names: str) -> str:
    """Build the id of a resource below a scope.

    Raises
    ------
    ValueError
        When type and names do not match.

    Examples
    --------
    >>> resource_id("/s", "Microsoft.Batch/batchAccounts/pools", "a", "p")
    '/s/providers/Microsoft.Batch/batchAccounts/a/pools/p'
    """
    namespace, *types = kind.split("/")
    if len(types) != len(names):
        raise ValueError(f"{kind} has {len(types)} names, and is given {len(names)}")
    return f"{scope}/providers/{namespace}/" + "/".join(f"{t}/{n}" for t, n in zip(types, names, strict=True))


def _joined(*parts: Any) -> Any:
    if parts and isinstance(parts[0], list):
        return [one for part in parts for one in part]
    text = "".join(json.dumps(one) if isinstance(one, bool) else str(one) for one in parts)
    return Open(text) if any(isinstance(one, Open) for one in parts) else text


def _refer(place: Place, target: str, *_: Any) -> Open:
    place.referred.append(target)
    return Open(_OPEN)


def _union(*parts: Any) -> Any:
    if isinstance(parts[0], list):
        return [one for number, one in enumerate(_joined(*parts)) if one not in _joined(*parts)[:number]]
    found: dict[str, Any] = {}
    for part in parts:
        for key, one in part.items():
            both = isinstance(found.get(key), dict) and isinstance(one, dict)
            found[key] = _union(found[key], one) if both else one
    return found


_CLOUD = {"resourceManager": "https://management.azure.com/", "suffixes": {"storage": "core.windows.net"}}
_Function = Callable[..., Any]
FUNCTIONS: dict[str, _Function] = {
    "parameters": lambda place, name: place.named("parameter", place.parameters, name),
    "variables": lambda place, name: place.value(place.named("variable", place.variables, name)),
    "resourceId": lambda place, kind, *names: resource_id(place.group_id, kind, *names),
    "extensionResourceId": lambda _, scope, kind, *names: resource_id(scope, kind, *names),
    "subscriptionResourceId": lambda place, kind, *names: resource_id(
        f"/subscriptions/{place.subscription}", kind, *names
    ),
    "resourceGroup": lambda place: {
        "id": place.group_id,
        "name": place.resource_group,
        "location": place.location,
    },
    "subscription": lambda place: {"subscriptionId": place.subscription, "tenantId": _SUBSCRIPTION},
    "environment": lambda _: _CLOUD,
    "reference": _refer,
    "listKeys": _refer,
    "concat": lambda _, *parts: _joined(*parts),
    "split": lambda _, text, mark: [Open(text)] if isinstance(text, Open) else text.split(mark),
    "replace": lambda _, text, old, new: type(text)(text.replace(old, new)),
    "string": lambda _, value: value if isinstance(value, str) else json.dumps(value, separators=(",", ":")),
    "json": lambda _, text: json.loads(text),
    "guid": lambda _, *parts: str(uuid.uuid5(uuid.NAMESPACE_URL, "-".join(parts))),
    "uniqueString": lambda _, *parts: uuid.uuid5(uuid.NAMESPACE_URL, "-".join(parts)).hex[:13],
    "equals": lambda _, a, b: a == b,
    "greater": lambda _, a, b: a > b,
    "not": lambda _, value: not value,
    "and": lambda _, *values: all(values),
    "or": lambda _, *values: any(values),
    "empty": lambda _, value: not value,
    "null": lambda _: None,
    "union": lambda _, *parts: _union(*parts),
    "createObject": lambda _, *parts: dict(zip(parts[::2], parts[1::2], strict=True)),
    "createArray": lambda _, *parts: list(parts),
}
# Azure ignores the case of their names.
_FUNCTIONS = {name.lower(): function for name, function in FUNCTIONS.items()}
# What only Azure knows; not for variables, names and conditions.
OF_AZURE = ("reference", "listkeys")
