"""The expression language of Logic Apps, as far as our workflows use it; unknown functions are refused.

Source: the reference of functions in workflow expressions, learn.microsoft.com.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+)|(?P<name>[A-Za-z]\w*)|(?P<sign>\?\[|[()\[\],]))"
)
_WORDS = {"true": True, "false": False, "null": None}

Functions = Mapping[str, Callable[..., Any]]


class ExpressionError(Exception):
    """An expression that cannot be read, or not be evaluated."""


def _contains(where: Any, what: Any) -> bool:
    return what in where


def _coalesce(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _text(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value)


def _substring(text: str, start: int, length: int | None = None) -> str:
    if start > len(text) or (length is not None and start + length > len(text)):
        raise ExpressionError("substring: the range lies outside of the text")
    return text[start:] if length is None else text[start : start + length]


def _concat(*parts: Any) -> str:
    if not all(isinstance(part, str | int) for part in parts):
        raise ExpressionError("concat: takes texts only")
    return "".join(map(_text, parts))


# Those that depend on nothing but their arguments.
PURE: Functions = {
    "coalesce": _coalesce,
    "concat": _concat,
    "contains": _contains,
    "createArray": lambda *values: list(values),
    "equals": lambda left, right: type(left) is type(right) and left == right,
    "first": lambda values: values[0],
    "if": lambda condition, yes, no: yes if condition else no,
    "setProperty": lambda value, name, new: {**value, name: new},
    "string": _text,
    "substring": _substring,
    "toLower": str.lower,
}


def evaluate(value: Any, functions: Functions) -> Any:
    """A value of a definition with the expressions in it evaluated, at any depth."""
    if isinstance(value, dict):
        return {key: evaluate(one, functions) for key, one in value.items()}
    if isinstance(value, list):
        return [evaluate(one, functions) for one in value]
    if isinstance(value, str) and value.startswith("@@"):
        return value[1:]
    if isinstance(value, str) and value.startswith("@"):
        return Expression(value[1:]).evaluate(functions)
    if isinstance(value, str) and "@{" in value:
        raise ExpressionError(f"{value!r}: expressions within texts are not known here; use concat")
    return value


class Expression:
    """One of them, read.

    Attributes
    ----------
    calls : list of tuple
        Each function that is called, with its arguments where these are literals.
    """

    def __init__(self, text: str) -> None:
        self._text, self._tokens = text, _tokens(text)
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self._tree = self._read()
        if self._tokens:
            raise ExpressionError(f"{text}: unexpected {self._tokens[0][1]!r}")

    def evaluate(self, functions: Functions) -> Any:
        return self._tree(functions)

    def _read(self) -> Callable[[Functions], Any]:
        kind, word = self._next()
        if kind == "text":
            literal = word[1:-1].replace("''", "'")
            return self._parts(_literal(literal))
        if kind == "number":
            return _literal(int(word))
        if kind != "name":
            raise ExpressionError(f"{self._text}: unexpected {word!r}")
        if self._peek() != "(":
            if word not in _WORDS:
                raise ExpressionError(f"{self._text}: {word!r} is no value")
            return _literal(_WORDS[word])
        return self._parts(self._call(word))

    def _call(self, name: str) -> Callable[[Functions], Any]:
        self._expect("(")
        arguments: list[Callable[[Functions], Any]] = []
        while self._peek() != ")":
            if arguments:
                self._expect(",")
            arguments.append(self._read())
        self._expect(")")
        self.calls.append((name, tuple(getattr(one, "literal", ...) for one in arguments)))

        def call(functions: Functions) -> Any:
            if name not in functions:
                raise ExpressionError(f"the function {name!r} is not known")
            return functions[name](*(one(functions) for one in arguments))

        return call

    def _parts(self, whole: Callable[[Functions], Any]) -> Callable[[Functions], Any]:
        while (sign := self._peek()) in ("[", "?["):
            self._expect(sign)
            key = self._read()
            self._expect("]")
            whole = _part(whole, key, is_optional=sign == "?[")
        return whole

    def _next(self) -> tuple[str, str]:
        if not self._tokens:
            raise ExpressionError(f"{self._text}: it ends too early")
        return self._tokens.pop(0)

    def _peek(self) -> str:
        return self._tokens[0][1] if self._tokens else ""

    def _expect(self, sign: str) -> None:
        _, word = self._next()
        if word != sign:
            raise ExpressionError(f"{self._text}: expected {sign!r}, got {word!r}")


def _tokens(text: str) -> list[tuple[str, str]]:
    found, place = [], 0
    while place < len(text.rstrip()):
        match = _TOKEN.match(text, place)
        if match is None:
            raise ExpressionError(f"{text}: cannot be read from {text[place:]!r} on")
        found.append((str(match.lastgroup), match[str(match.lastgroup)]))
        place = match.end()
    return found


def _literal(value: Any) -> Callable[[Functions], Any]:
    def literal(_: Functions) -> Any:
        return value

    literal.literal = value  # type: ignore[attr-defined]
    return literal


def _part(
    whole: Callable[[Functions], Any], key: Callable[[Functions], Any], is_optional: bool
) -> Callable[[Functions], Any]:
    def part(functions: Functions) -> Any:
        value, name = whole(functions), key(functions)
        if value is None and is_optional:
            return None
        if isinstance(value, dict) and name in value:
            return value[name]
        if isinstance(value, list) and isinstance(name, int) and -1 < name < len(value):
            return value[name]
        if is_optional and isinstance(value, dict | list):
            return None
        raise ExpressionError(f"there is no {name!r} in {value!r}")

    return part
