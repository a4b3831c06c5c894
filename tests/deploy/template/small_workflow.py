"""A small workflow whose parts can be broken one by one, for tests of what looks through workflows."""

from __future__ import annotations

from typing import Any

_TYPES = {"containerGroup": "Object", "recurrence": "Object"}
_NAMES = (
    *("armEndpoint", "resourceGroupId", "identityId", "containerGroup"),
    *("groupPrefix", "pipeline", "recurrence", "waitLimit"),
)


def workflow_definition(pipeline: str) -> dict[str, Any]:
    """The definition of a pipeline's workflow."""
    return {
        "$schema": (
            "https://schema.management.azure.com/providers/Microsoft.Logic/schemas/2016-06-01/"
            "workflowdefinition.json#"
        ),
        "contentVersion": "1.0.0.0",
        "parameters": {name: {"type": _TYPES.get(name, "String")} for name in _NAMES},
        "triggers": {"schedule": {"type": "Recurrence", "recurrence": "@parameters('recurrence')"}},
        "actions": {
            "name": {"type": "Compose", "inputs": "@concat(parameters('groupPrefix'), workflow().run.name)"},
            "wait": {
                "type": "Until",
                "runAfter": {"name": ["Succeeded"]},
                "expression": "@equals(outputs('name'), body('look'))",
                "limit": {"timeout": "PT55M", "count": 100},
                "actions": {"look": {"type": "Http", "inputs": {"method": "GET", "uri": "@outputs('name')"}}},
            },
        },
        "outputs": {},
    }
