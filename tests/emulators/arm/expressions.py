"""Reads expressions of templates, ``[concat('a', parameters('b').c[0])]``, and evaluates them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_TOKENS = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+)|(?P<name>[A-Za-z_]\w*)|(?P<mark>[().,\[\]]))"
)


class TemplateError(Exception):
    """A template that the Resource Manager refuses."""

    code = "InvalidTemplate"


@dataclass(frozen=True)
class Literal:
    value: Any


@dataclass(frozen=True)
class Call:
    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Member:
    of: Node
    key: Node


Node = Literal | Call | Member
Functions = Mapping[str, Callable[..., Any]]


def is_expression(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("[") and value.endswith("]") and value[1:2] != "["


def parse(text: str) -> Node:
    """The tree of an expression, its brackets included.

    Raises
    ------
    TemplateError
    """
    reader = _Reader(text)
    node = reader.expression()
    if reader.next() is not None:
        raise TemplateError(f"Unable to parse language expression {text!r}: unexpected end.")
    return node


def evaluate(node: Node, functions: Functions) -> Any:
    """The value of a tree; ``if`` evaluates only what is taken."""
    if isinstance(node, Literal):
        return node.value
    if isinstance(node, Member):
        return _member(evaluate(node.of, functions), evaluate(node.key, functions))
    name = node.name.lower()
    if name == "if":
        test, yes, no = node.arguments
        return evaluate(yes if evaluate(test, functions) else no, functions)
    if name in ("and", "or"):
        values = (bool(evaluate(one, functions)) for one in node.arguments)
        return all(values) if name == "and" else any(values)
    if name not in functions:
        raise TemplateError(f"The template function {node.name!r} is not valid or not known here.")
    try:
        return functions[name](*(evaluate(one, functions) for one in node.arguments))
    except TypeError as error:
        raise TemplateError(f"The template function {node.name!r} was called wrongly: {error}") from None


def resolve(value: Any, functions: Functions) -> Any:
    """A part of a template with all its expressions evaluated, in keys too."""
    if isinstance(value, dict):
        return {resolve(key, functions): resolve(one, functions) for key, one in value.items()}
    if isinstance(value, list):
        return [resolve(one, functions) for one in value]
    if is_expression(value):
        return evaluate(parse(value), functions)
    return value[1:] if isinstance(value, str) and value.startswith("[[") else value


def calls(value: Any, name: str) -> Iterator[Call]:
    """All calls of a function in a part of a template, wherever they are."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from calls(key, name)
            yield from calls(one, name)
    elif isinstance(value, list):
        for one in value:
            yield from calls(one, name)
    elif is_expression(value):
        yield from (one for one in _walk(parse(value)) if one.name.lower() == name)


def _walk(node: Node) -> Iterator[Call]:
    if isinstance(node, Call):
        yield node
        for one in node.arguments:
            yield from _walk(one)
    elif isinstance(node, Member):
        yield from _walk(node.of)
        yield from _walk(node.key)


def _member(value: Any, key: Any) -> Any:
    if isinstance(value, dict):
        for name, one in value.items():
            if name.lower() == str(key).lower():
                return one
        known = ", ".join(value)
        raise TemplateError(f"The language expression property {key!r} doesn't exist, available: {known}.")
    if isinstance(value, list | str) and isinstance(key, int) and 0 <= key < len(value):
        return value[key]
    raise TemplateError(f"The language expression property {key!r} can't be evaluated.")


class _Reader:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, text: str) -> None:
        self._text, self._tokens, body = text, list[tuple[str, str]](), text[1:-1]
        place = 0
        while body[place:].strip():
            found = _TOKENS.match(body, place)
            if found is None:
                raise TemplateError(f"Unable to parse language expression {text!r} at {body[place:][:20]!r}.")
            self._tokens.append((str(found.lastgroup), found[found.lastgroup or 0]))
            place = found.end()
        self._at = 0

    def next(self) -> tuple[str, str] | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _take(self, mark: str | None = None) -> tuple[str, str]:
        token = self.next()
        if token is None or (mark is not None and token[1] != mark):
            raise TemplateError(f"Unable to parse language expression {self._text!r}: expected {mark!r}.")
        self._at += 1
        return token

    def expression(self) -> Node:
        kind, text = self._take()
        node: Node
        if kind == "text":
            node = Literal(text[1:-1].replace("''", "'"))
        elif kind == "number":
            node = Literal(int(text))
        elif kind == "name":
            node = Call(text, self._arguments())
        else:
            raise TemplateError(f"Unable to parse language expression {self._text!r} at {text!r}.")
        return self._members(node)

    def _arguments(self) -> tuple[Node, ...]:
        self._take("(")
        found: list[Node] = []
        while self.next() != ("mark", ")"):
            if found:
                self._take(",")
            found.append(self.expression())
        self._take(")")
        return tuple(found)

    def _members(self, node: Node) -> Node:
        while self.next() in (("mark", "."), ("mark", "[")):
            _, mark = self._take()
            if mark == ".":
                kind, name = self._take()
                if kind != "name":
                    raise TemplateError(f"Unable to parse language expression {self._text!r} at {name!r}.")
                node = Member(node, Literal(name))
            else:
                node = Member(node, self.expression())
                self._take("]")
        return node
