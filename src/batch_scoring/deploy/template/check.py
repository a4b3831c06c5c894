"""Check a template and its parameters without Azure, pure; each fault is one sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from batch_scoring.deploy.names import name_fault
from batch_scoring.deploy.secret_scan import secrets_in
from batch_scoring.deploy.template.expressions import (
    OF_AZURE,
    Call,
    ExpressionError,
    Place,
    expressions_in,
    names_in,
    parse,
    resource_id,
    walk,
)
from batch_scoring.deploy.template.job_check import first_minute, job_faults
from batch_scoring.deploy.template.workflow_check import workflow_faults

_STREAM_JOB = "Microsoft.StreamAnalytics/streamingjobs"
_NETWORK = "Microsoft.Network/virtualNetworks"
_JOB = "Microsoft.App/jobs"
_SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
# What Stream Analytics takes to write a file that is due.
_WRITING = timedelta(minutes=1)
_TYPES: dict[str, Any] = {"string": str, "int": int, "bool": bool, "object": Mapping, "array": list}
# The rule of our names for the last name of a type.
_RULES = {
    "Microsoft.Storage/storageAccounts": "storage_account",
    "Microsoft.KeyVault/vaults": "key_vault",
    "Microsoft.ManagedIdentity/userAssignedIdentities": "identity",
    "Microsoft.ContainerRegistry/registries": "registry",
    "Microsoft.EventHub/namespaces": "event_hub_namespace",
    "Microsoft.EventHub/namespaces/eventhubs": "event_hub",
    "Microsoft.EventHub/namespaces/eventhubs/consumergroups": "consumer_group",
    "Microsoft.Devices/IotHubs": "iot_hub",
    _STREAM_JOB: "stream_job",
    "Microsoft.Batch/batchAccounts": "batch_account",
    "Microsoft.Batch/batchAccounts/pools": "pool",
    "Microsoft.App/managedEnvironments": "container_apps_environment",
    _JOB: "score_job",
    "Microsoft.BatchAI/workspaces": "batch_ai_workspace",
    "Microsoft.BatchAI/workspaces/clusters": "pool",
    "Microsoft.OperationalInsights/workspaces": "log_workspace",
    "Microsoft.Insights/components": "insights",
    "Microsoft.Logic/workflows": "score_workflow",
    _NETWORK: "network",
}


@dataclass
class Checked:
    """A resource as it would be deployed.

    Attributes
    ----------
    body : dict
        With every expression evaluated; what only Azure knows is open.
    referred : set of str
        Ids of resources whose runtime values it reads.
    """

    id: str
    body: dict[str, Any]
    referred: set[str]

    @property
    def line(self) -> str:
        """Type and name for messages, and what it is set on: many settings and roles are named alike."""
        scope = self.body.get("scope")
        return f"{self.body['type']} {self.body['name']}" + (f" of {_short(scope)}" if scope else "")


@dataclass
class Report:
    """Result of a check.

    Attributes
    ----------
    resources : list of Checked
    faults : list of str
        One sentence each; empty is good.
    """

    resources: list[Checked] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def check_template(
    template: Mapping[str, Any], parameters: Mapping[str, Any], resource_group: str, location: str
) -> Report:
    """Check a template with its parameters file.

    Parameters
    ----------
    template : mapping
    parameters : mapping
        The parameters file.
    resource_group, location : str
        Where it would be deployed to.
    """
    given = parameters.get("parameters", {})
    report = Report()
    report.faults += _of_given(template, given)
    report.faults += _of_texts(template)
    for what, content in (("template", template), ("parameters", parameters)):
        text = json.dumps(content, indent=2, ensure_ascii=False)
        report.faults += [f"{what}: {found}" for found in secrets_in(text)]
    known = template.get("parameters", {})
    values = {name: one.get("defaultValue") for name, one in known.items()}
    values |= {name: one.get("value") for name, one in given.items()}
    place = Place(resource_group, location, values, template.get("variables", {}))
    # Defaults may be expressions, too.
    place.parameters = {name: _value_or_text(place, value) for name, value in values.items()}
    for number, resource in enumerate(template.get("resources", [])):
        checked = _checked(place, resource, f"resource {number + 1} ({resource.get('type')})", report.faults)
        if checked is not None:
            report.resources.append(checked)
    report.faults += _of_resources(report.resources)
    report.faults += _of_outputs(template, place, report.resources)
    return report


def _of_given(template: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[str]:
    known = template.get("parameters", {})
    if template.get("$schema") != _SCHEMA:
        yield f"template: its $schema is {template.get('$schema')!r}, not {_SCHEMA}"
    for name in given:
        if name not in known:
            yield f"parameter {name!r}: it is given, and is not in the template"
    for name, one in known.items():
        if name not in given:
            if "defaultValue" not in one:
                yield f"parameter {name!r}: the template needs it, and it is not given"
            continue
        yield from _of_value(name, one, given[name].get("value"))


def _of_value(name: str, rule: Mapping[str, Any], value: Any) -> Iterator[str]:
    kind = _TYPES.get(str(rule.get("type")).lower())
    if kind is None or not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        yield f"parameter {name!r}: {value!r} is not of type {rule.get('type')}"
        return
    if "allowedValues" in rule and value not in rule["allowedValues"]:
        yield f"parameter {name!r}: {value!r} is not one of {', '.join(map(str, rule['allowedValues']))}"
    size = value if kind is int else len(value) if kind in (str, list) else 0
    for key in ("minValue", "minLength"):
        if key in rule and size < rule[key]:
            yield f"parameter {name!r}: {value!r} is below its {key}, {rule[key]}"
    for key in ("maxValue", "maxLength"):
        if key in rule and size > rule[key]:
            yield f"parameter {name!r}: {value!r} is above its {key}, {rule[key]}"


def _of_texts(template: Mapping[str, Any]) -> Iterator[str]:
    """Check that every expression parses, and that every parameter and variable is used."""
    used: set[tuple[str, str]] = set()
    for where, text in expressions_in(template):
        try:
            tree = parse(text)
        except ExpressionError as error:
            yield f"{where}: the expression {text[:60]!r} cannot be read: {error}"
            continue
        used |= set(names_in(tree))
        if where.startswith(("variables", "parameters")) or re.fullmatch(r"resources\[\d+\]\.name", where):
            for part in walk(tree):
                if isinstance(part, Call) and part.name.lower() in OF_AZURE:
                    yield f"{where}: {part.name}() is not known yet there"
    for kind in ("parameters", "variables"):
        for name in template.get(kind, {}):
            if (kind, name) not in used:
                yield f"{kind[:-1]} {name!r}: nothing uses it"


def _value_or_text(place: Place, value: Any) -> Any:
    try:
        return place.value(value)
    except ExpressionError:
        return value


def _checked(place: Place, resource: Mapping[str, Any], where: str, faults: list[str]) -> Checked | None:
    missing = [key for key in ("type", "apiVersion", "name") if not resource.get(key)]
    if missing:
        faults.append(f"{where}: it has no {missing[0]}")
        return None
    place.referred.clear()
    try:
        body = place.value(resource)
        own_id = resource_id(body.get("scope", place.group_id), body["type"], *body["name"].split("/"))
    except (ExpressionError, ValueError) as error:
        faults.append(f"{where}: {error}")
        return None
    return Checked(own_id, body, set(place.referred))


def _of_resources(resources: list[Checked]) -> Iterator[str]:
    by_id: dict[str, Checked] = {}
    for one in resources:
        if one.id.lower() in by_id:
            yield f"{one.line}: there are two of it"
        by_id[one.id.lower()] = one
    subnets = dict(_subnets(resources))
    for one in resources:
        name = one.body["name"].rpartition("/")[2]
        rule = _RULES.get(one.body["type"])
        if rule is not None and (fault := name_fault(rule, name)) is not None:
            yield f"{one.line}: {fault}"
        yield from _of_dependencies(one, by_id, subnets)
        for target in sorted(_subnets_in(one.body)):
            if target.lower() not in subnets:
                yield f"{one.line}: it lies in {_short(target)}, which the template does not have"
        if one.body["type"] == "Microsoft.Logic/workflows":
            properties = one.body["properties"]
            for fault in workflow_faults(properties["definition"], properties.get("parameters", {})):
                yield f"{one.line}: {fault}"
        if one.body["type"] == _JOB:
            for fault in job_faults(one.body):
                yield f"{one.line}: {fault}"
    yield from _circles(by_id)
    yield from _of_lateness(resources)


def _of_lateness(resources: list[Checked]) -> Iterator[str]:
    """Check that the scheduler that scores begins after the stream has written the windows it is for."""
    job = next((one.body["properties"] for one in resources if one.body["type"] == _STREAM_JOB), None)
    if job is None:
        return
    for what, after in _beginnings(resources):
        disorder = timedelta(seconds=job["eventsOutOfOrderMaxDelayInSeconds"])
        for output in job["outputs"]:
            clock = datetime.strptime(output["properties"]["timeWindow"], "%H:%M:%S")
            gathers = clock - datetime.strptime("0", "%S")
            if disorder + gathers + _WRITING > after:
                yield (
                    f"outOfOrderSeconds: windows are written {disorder.seconds} s (outOfOrderSeconds), "
                    f"{gathers.seconds} s (timeWindow) and up to {_WRITING.seconds} s after their end, and "
                    f"{what} begins {after.seconds} s after the hour: the last would be an hour late"
                )


def _beginnings(resources: list[Checked]) -> Iterator[tuple[str, timedelta]]:
    """Yield how long after the hour schedulers begin."""
    for one in resources:
        properties = one.body.get("properties", {})
        if one.body["type"] == "Microsoft.Logic/workflows":
            for trigger in properties["definition"].get("triggers", {}).values():
                begins = datetime.fromisoformat(trigger["recurrence"]["startTime"])
                yield "the workflow", begins - begins.replace(minute=0, second=0)
        elif one.body["type"] == _JOB and (minute := first_minute(properties)) is not None:
            yield "the cron", timedelta(minutes=minute)


def _subnets(resources: list[Checked]) -> Iterator[tuple[str, str]]:
    """Yield the ids of subnets, and of the network that each is a part of."""
    for one in resources:
        if one.body["type"] == _NETWORK:
            for subnet in one.body["properties"]["subnets"]:
                yield f"{one.id}/subnets/{subnet['name']}".lower(), one.id.lower()


def _subnets_in(value: Any) -> set[str]:
    """Return the ids of subnets that a part of a resource names."""
    text = json.dumps(value)
    return set(re.findall(rf'"(/subscriptions/[^"]*/{_NETWORK}/[^"/]+/subnets/[^"/]+)"', text))


def _of_dependencies(one: Checked, by_id: Mapping[str, Checked], subnets: Mapping[str, str]) -> Iterator[str]:
    for target in one.body.get("dependsOn", []):
        if target.lower() not in by_id:
            yield f"{one.line}: it depends on {_short(target)}, which the template does not have"
    scope = one.body.get("scope")
    if scope is not None and scope.lower() not in by_id and scope.lower() not in subnets:
        yield f"{one.line}: its scope is {_short(scope)}, which the template does not have"
    before = _before(one, by_id)
    for target in sorted(one.referred | ({scope} if scope else set())):
        made_as = subnets.get(target.lower(), target.lower())
        there = by_id.get(made_as)
        if there is None:
            yield f"{one.line}: it refers to {_short(target)}, which the template does not have"
        elif made_as not in before:
            yield f"{one.line}: it refers to {there.line}, and does not depend on it"


def _before(one: Checked, by_id: Mapping[str, Checked]) -> set[str]:
    """Return the ids of everything that is deployed before a resource."""
    found: set[str] = set()
    waiting = [target.lower() for target in one.body.get("dependsOn", [])]
    while waiting:
        target = waiting.pop()
        if target in by_id and target not in found:
            found.add(target)
            waiting += [further.lower() for further in by_id[target].body.get("dependsOn", [])]
    return found


def _circles(by_id: Mapping[str, Checked]) -> Iterator[str]:
    for key, one in by_id.items():
        if key in _before(one, by_id):
            yield f"{one.line}: it depends on itself, by way of others"


def _of_outputs(template: Mapping[str, Any], place: Place, resources: list[Checked]) -> Iterator[str]:
    deployed = {one.id.lower() for one in resources}
    for name, one in template.get("outputs", {}).items():
        place.referred.clear()
        try:
            value = place.value(one["value"])
        except ExpressionError as error:
            yield f"output {name!r}: {error}"
            continue
        if not isinstance(value, _TYPES.get(str(one.get("type")).lower(), ())):
            yield f"output {name!r}: {value!r} is not of type {one.get('type')}"
        for target in place.referred:
            if target.lower() not in deployed:
                yield f"output {name!r}: it refers to {_short(target)}, which is not deployed"


def _short(id: str) -> str:
    return id.rpartition("/providers/")[2]
