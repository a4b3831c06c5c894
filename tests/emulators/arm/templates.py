"""A template with its parameters becomes a plan: the resources that there are to be, and their wants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tests.emulators.arm.expressions import TemplateError, calls, evaluate, is_expression, resolve
from tests.emulators.arm.functions import Function, Where, plain_functions
from tests.emulators.arm.ids import resource_id
from tests.emulators.arm.known_types import KNOWN
from tests.emulators.arm.template_parameters import getter, read_parameters

_SCHEMA = "schema.management.azure.com/schemas/2019-04-01/deploymenttemplate.json#"
_KEYS = {"$schema", "contentVersion", "metadata", "parameters", "variables", "resources", "outputs"}
_RESOURCE_KEYS = {
    "type",
    "apiVersion",
    "name",
    "condition",
    "dependsOn",
    "scope",
    "resources",
    "comments",
    "metadata",
}
# What the Resource Manager takes beside properties; the providers take no other keys here.
_BODY_KEYS = {
    "location",
    "tags",
    "identity",
    "sku",
    "kind",
    "properties",
    "zones",
    "plan",
    "managedBy",
    "extendedLocation",
}


@dataclass
class Planned:
    """A resource that is to be."""

    id: str
    type: str
    name: str
    api_version: str
    raw: dict[str, Any]
    wants: set[str] = field(default_factory=set)

    def body(self, functions: Mapping[str, Function]) -> dict[str, Any]:
        """What is sent to its provider."""
        found: dict[str, Any] = resolve(self.raw, functions)
        return found


@dataclass
class Plan:
    """What a template comes to, before references are known."""

    resources: list[Planned]
    outputs: dict[str, Any]
    functions: dict[str, Function]
    parameters: dict[str, Any]
    where: Where

    def by_key(self) -> dict[str, Planned]:
        return {one.id.lower(): one for one in self.resources}

    def all_wants(self, planned: Planned) -> set[str]:
        """Keys of all resources that have to be before this one."""
        known, found, ahead = self.by_key(), set[str](), list(planned.wants)
        while ahead:
            key = ahead.pop()
            if key not in found:
                found.add(key)
                ahead += known[key].wants
        return found


def plan(template: Any, given: Mapping[str, Any] | None, where: Where) -> Plan:
    """Read a template.

    Raises
    ------
    TemplateError
        As the Resource Manager does, or because something is not known here.
    """
    if not isinstance(template, dict) or _SCHEMA not in str(template.get("$schema", "")).lower():
        raise TemplateError("The template's $schema is missing or not of a resource group's deployment.")
    if unknown := sorted(template.keys() - _KEYS):
        raise TemplateError(f"Could not find member {unknown[0]!r} on object of type 'Template'.")
    if not template.get("contentVersion"):
        raise TemplateError("The template has no contentVersion.")
    functions = plain_functions(where)
    parameters = read_parameters(template.get("parameters", {}), given or {}, functions)
    functions["parameters"] = getter("parameters", parameters)
    functions["variables"] = _variables(template.get("variables", {}), functions)
    resources = _resources(template.get("resources", []), functions, where)
    keys = [one.id.lower() for one in resources]
    if twice := next((one for one in keys if keys.count(one) > 1), None):
        raise TemplateError(f"The resource {twice!r} is defined multiple times in a template.")
    _require_no_circle(resources)
    found = Plan(resources, template.get("outputs", {}), functions, parameters, where)
    _require_wants(found)
    return found


def _variables(declared: Mapping[str, Any], functions: dict[str, Function]) -> Function:
    by_name = {name.lower(): value for name, value in declared.items()}

    @cache
    def value(name: str) -> Any:
        if name not in by_name:
            raise TemplateError(f"The template variable {name!r} is not found.")
        if any(calls(by_name[name], "reference")):
            raise TemplateError(f"The template variable {name!r} may not use 'reference'.")
        return resolve(by_name[name], {**functions, "variables": lambda other: value(other.lower())})

    return lambda name: value(name.lower())


def _resources(
    listed: list[dict[str, Any]], functions: Mapping[str, Function], where: Where
) -> list[Planned]:
    flat = list(_flat(listed, functions))
    found, absent = [], set[str]()
    for raw in flat:
        planned = _planned(raw, functions, where)
        if resolve(raw.get("condition", True), functions):
            found.append(planned)
        else:
            absent.add(planned.id.lower())
    names = _names(found)
    for one in found:
        one.wants = _wants(one, names, absent, functions)
        one.raw.pop("dependsOn", None)
    return found


def _flat(
    listed: list[dict[str, Any]], functions: Mapping[str, Function], above: dict[str, Any] | None = None
) -> Any:
    """Resources, and those nested in them: with whole types and names, and wanting what they are in."""
    for raw in listed:
        one = dict(raw)
        if above is not None:
            one["name"] = f"{above['name']}/{resolve(raw['name'], functions)}"
            one["type"] = f"{above['type']}/{raw['type']}"
            one["dependsOn"] = [*raw.get("dependsOn", []), above["type"] + "/" + above["name"]]
            one["condition"] = resolve(above.get("condition", True), functions) and raw.get("condition", True)
        one["name"] = resolve(one.get("name", ""), functions)
        nested = one.pop("resources", [])
        yield one
        yield from _flat(nested, functions, one)


def _planned(raw: dict[str, Any], functions: Mapping[str, Function], where: Where) -> Planned:
    kind, version, name = raw.get("type", ""), raw.get("apiVersion", ""), raw["name"]
    if any(is_expression(one) for one in (kind, version)):
        raise TemplateError(
            f"The type and apiVersion of a resource must be written out: {kind!r}, {version!r}."
        )
    if unknown := sorted(raw.keys() - _RESOURCE_KEYS - _BODY_KEYS):
        raise TemplateError(f"The resource {name!r} has the unknown key {unknown[0]!r}.")
    versions = KNOWN.get(kind.lower())
    if versions is None:
        raise TemplateError(f"The resource type {kind!r} is not known.")
    if version not in versions:
        raise TemplateError(
            f"No registered resource provider found for API version {version!r} of type {kind!r}; the "
            f"supported api-versions are {', '.join(versions)!r}."
        )
    if kind.count("/") != name.count("/") + 1:
        raise TemplateError(
            f"The template resource {name!r} of type {kind!r} has incorrect segment lengths: a name has one "
            "segment fewer than its type."
        )
    scope = where.group_id
    if "scope" in raw:
        scope = resolve(raw["scope"], functions)
        if not scope.startswith("/"):
            kind_of_scope, _, rest = scope.partition("/")
            words = rest.split("/")
            full = "/".join([kind_of_scope, *words[::2]])
            scope = resource_id(where.group_id, full, "/".join(words[1::2]))
    body = {key: value for key, value in raw.items() if key in _BODY_KEYS or key == "dependsOn"}
    return Planned(resource_id(scope, kind, name), kind, name, version, body)


def _names(found: list[Planned]) -> dict[str, str]:
    """Keys of resources by what others may name them: id, type/name, and a name that only one has."""
    names: dict[str, list[str]] = {}
    for one in found:
        words = one.id.split("/providers/")[-1]
        for name in (one.id, words, f"{one.type}/{one.name}", one.name):
            names.setdefault(name.lower(), []).append(one.id.lower())
    return {name: keys[0] for name, keys in names.items() if len(set(keys)) == 1}


def _wants(
    planned: Planned, names: Mapping[str, str], absent: set[str], functions: Mapping[str, Function]
) -> set[str]:
    found = set()
    for one in planned.raw.get("dependsOn", []):
        name = str(resolve(one, functions)).lower()
        if name in names:
            found.add(names[name])
        elif name not in absent:
            raise TemplateError(
                f"The resource {name!r} is not defined in the template, and {planned.name!r} depends on it."
            )
    # Only a reference by name makes a want of its own; one by id needs dependsOn.
    for call in calls(planned.raw, "reference"):
        target = str(evaluate(call.arguments[0], functions)).lower()
        if target in names and not target.startswith("/"):
            found.add(names[target])
    return found - {planned.id.lower()}


def _require_wants(plan: Plan) -> None:
    """Raise where only luck would make a resource after its parent, its scope or what it refers to."""
    known = plan.by_key()
    for one in plan.resources:
        parts = [one.id.rsplit("/", 2)[0].lower(), one.id.rsplit("/providers/", 1)[0].lower()]
        targets = [str(evaluate(call.arguments[0], plan.functions)) for call in calls(one.raw, "reference")]
        for needed in (*parts, *map(str.lower, targets)):
            if needed in known and needed not in plan.all_wants(one):
                raise TemplateError(
                    f"The resource {one.name!r} needs {known[needed].name!r}, and has no dependsOn for it."
                )


def _require_no_circle(resources: list[Planned]) -> None:
    left = {one.id.lower(): set(one.wants) for one in resources}
    while ready := [key for key, wants in left.items() if not wants & left.keys()]:
        for key in ready:
            del left[key]
    if left:
        raise TemplateError(f"Circular dependency detected on resource {min(left)!r}.")


def outputs(planned: Plan, functions: Mapping[str, Function]) -> dict[str, Any]:
    """The outputs with their values, types as they are declared."""
    found = {}
    for name, about in planned.outputs.items():
        if about.get("condition") is not None and not resolve(about["condition"], functions):
            continue
        found[name] = {"type": about["type"], "value": resolve(about["value"], functions)}
    return found
