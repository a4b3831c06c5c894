"""Parse the expressions of templates, pure: a text in, a tree out; see ``evaluation``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+)|(?P<name>[A-Za-z_][\w]*)|(?P<mark>[().,\[\]]))"
)


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


_Tokens = list[tuple[str, str]]


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while text[at:].strip():
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
