"""The parameters of a template: given or by default, and checked as they are declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.emulators.arm.expressions import TemplateError, resolve
from tests.emulators.arm.functions import Function

_TYPES = {
    "string": str,
    "securestring": str,
    "int": int,
    "bool": bool,
    "object": dict,
    "secureobject": dict,
    "array": list,
}


def read_parameters(
    declared: Mapping[str, Any], given: Mapping[str, Any], functions: Mapping[str, Function]
) -> dict[str, Any]:
    """The values of all declared parameters.

    Raises
    ------
    TemplateError
        When one is missing, unknown, or not what was declared.
    """
    names = {name.lower() for name in declared}
    if unknown := [name for name in given if name.lower() not in names]:
        known = ", ".join(sorted(declared))
        raise TemplateError(
            f"The template parameters {', '.join(unknown)!r} in the parameters file are not valid; they are "
            f"not present in the original template. Known are {known}."
        )
    values = {name.lower(): _given_value(name, one) for name, one in given.items()}
    found: dict[str, Any] = {}
    for name, about in declared.items():
        if about.get("type", "").lower() not in _TYPES:
            raise TemplateError(f"The template parameter {name!r} has no known type.")
        if name.lower() in values:
            value = values[name.lower()]
        elif "defaultValue" in about:
            value = resolve(about["defaultValue"], {**functions, "parameters": getter("parameters", found)})
        else:
            raise TemplateError(f"The value for the template parameter {name!r} is not provided.")
        found[name] = _checked(name, about, value)
    return found


def _given_value(name: str, given: Any) -> Any:
    if not isinstance(given, dict) or set(given) != {"value"}:
        raise TemplateError(f"The parameter {name!r} must be given as an object with 'value'.")
    return given["value"]


def _checked(name: str, about: Mapping[str, Any], value: Any) -> Any:
    kind = _TYPES[about["type"].lower()]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TemplateError(
            f"The provided value for the template parameter {name!r} is not valid: expected {about['type']}, "
            f"got {type(value).__name__}."
        )
    if "allowedValues" in about and value not in about["allowedValues"]:
        allowed = ", ".join(map(str, about["allowedValues"]))
        raise TemplateError(
            f"The provided value for the template parameter {name!r} is not valid: {value!r} is not part of "
            f"the allowed value(s) {allowed!r}."
        )
    measures = {"minLength": (1, len), "maxLength": (-1, len), "minValue": (1, int), "maxValue": (-1, int)}
    for limit, (sign, measure) in measures.items():
        if limit in about and sign * measure(value) < sign * about[limit]:
            raise TemplateError(
                f"The value of the template parameter {name!r} breaks {limit} {about[limit]}."
            )
    return value


def getter(what: str, values: Mapping[str, Any]) -> Function:
    """The function that gives one of these values by its name."""

    def get(name: str) -> Any:
        for known, value in values.items():
            if known.lower() == name.lower():
                return value
        raise TemplateError(f"The template {what[:-1]} {name!r} is not found.")

    return get
