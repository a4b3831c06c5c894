"""Check that a job of Container Apps is consistent, pure: its trigger, size, identities and secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from batch_scoring.jobs.backends.container_apps.settings import SIZES, is_size, memory_text

_TRIGGERS = {"Manual": "manualTriggerConfig", "Schedule": "scheduleTriggerConfig"}
_FIELD = r"(?:\*|\d+(?:-\d+)?)(?:/\d+)?"


def job_faults(resource: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a ``Microsoft.App/jobs`` resource, one sentence each.

    Parameters
    ----------
    resource : mapping
        With every expression evaluated; what only Azure knows is open.
    """
    properties = resource["properties"]
    configuration, containers = properties["configuration"], properties["template"]["containers"]
    kind = configuration.get("triggerType")
    if _TRIGGERS.get(kind, "") not in configuration:
        yield f"its trigger is {kind!r}, and there is no {_TRIGGERS.get(kind, 'such trigger')}"
    elif kind == "Schedule":
        yield from _of_cron(configuration["scheduleTriggerConfig"].get("cronExpression", ""))
    own = resource.get("identity", {}).get("userAssignedIdentities", {})
    for registry in configuration.get("registries", []):
        if registry.get("identity") not in own:
            yield f"it pulls its image as {registry.get('identity')!r}, which is none of its identities"
    if len(containers) != 1:
        yield f"it has {len(containers)} containers; expected one"
    secrets = {one["name"] for one in configuration.get("secrets", [])}
    for container in containers:
        for variable in container.get("env", []):
            if "secretRef" in variable and variable["secretRef"] not in secrets:
                yield f"variable {variable['name']} is the unknown secret {variable['secretRef']!r}"
        cpu, memory = (container["resources"].get(name) for name in ("cpu", "memory"))
        if not is_size(cpu) or memory != memory_text(cpu):
            yield f"{cpu} cores with {memory} are not valid; expected {SIZES}, and twice as many GiB"


def first_minute(properties: Mapping[str, Any]) -> int | None:
    """Return the minute of the hour at which a job's cron fires first; None without a cron.

    Examples
    --------
    >>> cron = {"cronExpression": "5-59/15 * * * *"}
    >>> first_minute({"configuration": {"scheduleTriggerConfig": cron}})
    5
    """
    cron = properties["configuration"].get("scheduleTriggerConfig", {}).get("cronExpression", "")
    found = re.match(r"\d+", cron)
    return int(found[0]) if found else None


def _of_cron(expression: str) -> Iterator[str]:
    fields = expression.split()
    if len(fields) != 5 or not all(re.fullmatch(_FIELD, one) for one in fields):
        yield f"its cron is {expression!r}; expected five fields, such as '5 * * * *'"
    elif fields[2] != "*" and fields[4] != "*":
        # Cron fires on either of them, which surprises.
        yield f"its cron {expression!r} names a day of the month and one of the week; expected one of them"
