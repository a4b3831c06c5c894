"""Leave out of a template what its parameters do not want, pure.

A condition that is false is not enough: Azure may refuse a resource for its type alone, such as one of a
service that has been retired.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batch_scoring.deploy.template.expressions import (
    Place,
    expressions_in,
    names_in,
    parse,
    resource_id,
)


def only_wanted(
    template: Mapping[str, Any], parameters: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Leave out the resources whose condition is false, and what only they use.

    Parameters
    ----------
    template : mapping
        With conditions.
    parameters : mapping
        Its parameters file.

    Returns
    -------
    template, parameters : dict
        Without conditions, without dependencies on what was left out, and without the parameters and
        variables that nothing uses any more.

    Raises
    ------
    ExpressionError
        When a condition, a name or a dependency cannot be evaluated.
    """
    given = parameters["parameters"]
    values = {name: one.get("defaultValue") for name, one in template["parameters"].items()}
    values |= {name: one["value"] for name, one in given.items()}
    # Ids are compared with each other only, so it does not matter where the group is.
    place = Place("group", "", values, template["variables"])
    wanted = [one for one in template["resources"] if place.value(one.get("condition", True))]
    there = {_id(place, one) for one in wanted}
    resources = [_without_missing(place, one, there) for one in wanted]
    used = _used(template["variables"], [resources, template["outputs"]])
    chosen = {
        **template,
        "resources": resources,
        **{
            kind: {name: one for name, one in template[kind].items() if (kind, name) in used}
            for kind in ("parameters", "variables")
        },
    }
    kept = {name: one for name, one in given.items() if name in chosen["parameters"]}
    return chosen, {**parameters, "parameters": kept}


def _id(place: Place, resource: Mapping[str, Any]) -> str:
    scope = place.value(resource.get("scope", place.group_id))
    return resource_id(scope, resource["type"], *place.value(resource["name"]).split("/"))


def _without_missing(place: Place, resource: Mapping[str, Any], there: set[str]) -> dict[str, Any]:
    """Remove a resource's condition, and its dependencies on others that are not there."""
    found = {key: value for key, value in resource.items() if key != "condition"}
    if "dependsOn" in found:
        found["dependsOn"] = [one for one in found["dependsOn"] if place.value(one) in there]
    return found


def _used(variables: Mapping[str, Any], value: Any) -> set[tuple[str, str]]:
    """Return the parameters and variables of a value, and of its variables in turn."""
    used: set[tuple[str, str]] = set()
    while value:
        names = {one for _, text in expressions_in(value) for one in names_in(parse(text))} - used
        used |= names
        value = [variables[name] for kind, name in names if kind == "variables"]
    return used
