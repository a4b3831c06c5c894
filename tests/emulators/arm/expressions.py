"""Evaluates the expressions of templates, such as ``[concat('a', parameters('b').c[0])]``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from batch_scoring.deploy.template import expressions
from batch_scoring.deploy.template.expressions import Access, Call, Constant, Node, is_expression, walk

Functions = Mapping[str, Callable[..., Any]]


class TemplateError(Exception):
    """A template that the Resource Manager refuses."""

    code = "InvalidTemplate"


def parse(text: str) -> Node:
    """The tree of an expression, its brackets included.

    Raises
    ------
    TemplateError
    """
    try:
        return expressions.parse(text)
    except expressions.ExpressionError as error:
        raise TemplateError(f"Unable to parse language expression {text!r}: {error}.") from None


def evaluate(node: Node, functions: Functions) -> Any:
    """The value of a tree; ``if`` evaluates only what is taken."""
    if isinstance(node, Constant):
        return node.value
    if isinstance(node, Access):
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
        for one in walk(parse(value)):
            if isinstance(one, Call) and one.name.lower() == name:
                yield one


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
