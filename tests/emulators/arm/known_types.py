"""Which types of resources there are, with the versions of their APIs, and what providers tell of them."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

from tests.emulators.arm.functions import Where
from tests.emulators.arm.ids import Place

# Versions that are published; the newest first, as the Resource Manager lists them.
_VERSIONS = {
    "Microsoft.App": {("2026-07-01", "2025-07-01", "2025-01-01"): ["managedEnvironments", "jobs"]},
    "Microsoft.Authorization": {
        ("2022-04-01",): ["roleAssignments", "roleDefinitions"],
        ("2020-05-01", "2016-09-01"): ["locks"],
    },
    "Microsoft.Batch": {
        ("2025-06-01", "2024-02-01"): ["batchAccounts", "batchAccounts/pools", "batchAccounts/applications"]
    },
    "Microsoft.BatchAI": {
        ("2018-05-01",): [
            *("workspaces", "workspaces/clusters", "workspaces/fileServers"),
            *("workspaces/experiments", "workspaces/experiments/jobs"),
        ]
    },
    "Microsoft.ContainerInstance": {("2023-05-01", "2021-03-01"): ["containerGroups"]},
    "Microsoft.ContainerRegistry": {("2023-07-01", "2019-05-01"): ["registries"]},
    "Microsoft.Devices": {("2023-06-30", "2021-07-02"): ["IotHubs"]},
    "Microsoft.EventHub": {
        ("2024-01-01",): [
            *("namespaces", "namespaces/eventhubs", "namespaces/eventhubs/consumergroups"),
            *("namespaces/networkRuleSets", "namespaces/authorizationRules"),
            "namespaces/eventhubs/authorizationRules",
        ]
    },
    "Microsoft.Insights": {
        ("2020-02-02",): ["components"],
        ("2021-05-01-preview",): ["diagnosticSettings"],
        ("2018-03-01",): ["metricAlerts"],
        ("2023-01-01", "2019-06-01"): ["actionGroups"],
        ("2023-12-01", "2022-06-15", "2021-08-01"): ["scheduledQueryRules"],
    },
    "Microsoft.KeyVault": {("2026-02-01", "2023-07-01", "2022-07-01"): ["vaults", "vaults/secrets"]},
    "Microsoft.Logic": {("2019-05-01",): ["workflows", "workflows/runs"]},
    "Microsoft.ManagedIdentity": {("2023-01-31", "2018-11-30"): ["userAssignedIdentities"]},
    "Microsoft.Network": {
        ("2024-05-01", "2024-01-01", "2023-11-01"): [
            *("virtualNetworks", "virtualNetworks/subnets", "networkSecurityGroups", "natGateways"),
            *("publicIPAddresses", "privateEndpoints", "privateEndpoints/privateDnsZoneGroups"),
        ],
        ("2024-06-01", "2020-06-01"): ["privateDnsZones", "privateDnsZones/virtualNetworkLinks"],
    },
    "Microsoft.OperationalInsights": {("2023-09-01", "2022-10-01"): ["workspaces"]},
    "Microsoft.Storage": {
        ("2024-01-01", "2023-05-01", "2023-01-01", "2022-09-01"): [
            *("storageAccounts", "storageAccounts/blobServices", "storageAccounts/blobServices/containers"),
            *("storageAccounts/managementPolicies", "storageAccounts/fileServices"),
            *("storageAccounts/fileServices/shares", "storageAccounts/queueServices"),
        ]
    },
    "Microsoft.StreamAnalytics": {
        ("2020-03-01",): [
            *("streamingjobs", "streamingjobs/inputs", "streamingjobs/outputs"),
            "streamingjobs/transformations",
        ]
    },
}
KNOWN: dict[str, tuple[str, ...]] = {
    f"{namespace}/{name}".lower(): versions
    for namespace, kinds in _VERSIONS.items()
    for versions, names in kinds.items()
    for name in names
}
NAMESPACES = tuple(_VERSIONS)
# They tell no provisioning state, and are there with the answer.
AT_ONCE = (
    *("microsoft.authorization", "microsoft.insights/diagnosticsettings", "microsoft.managedidentity"),
    *("microsoft.eventhub/namespaces/eventhubs", "microsoft.batch/batchaccounts/pools"),
)
# They answer 200 to the first request, too.
_NEVER_CREATED = ("microsoft.batch/", "microsoft.batchai/", "microsoft.eventhub/namespaces/")


def listed(namespace: str) -> dict[str, tuple[str, ...]]:
    """Types of a provider, below it, with their versions."""
    kinds = _VERSIONS[next(one for one in NAMESPACES if one.lower() == namespace.lower())]
    return {name: versions for versions, names in kinds.items() for name in names}


def is_at_once(kind: str) -> bool:
    """Whether a resource of this type is there as soon as the provider answers."""
    return kind.lower().startswith(AT_ONCE)


def status_of_new(kind: str) -> int:
    """What a provider answers when it makes a resource."""
    return 200 if kind.lower().startswith(_NEVER_CREATED) else 201


def state_of(kind: str, state: str) -> str:
    """A provisioning state as the provider spells it."""
    return state.lower() if kind.lower().startswith("microsoft.batchai/") else state


def id_for(*words: str) -> str:
    """An id that is always the same for the same words."""
    return str(uuid.UUID(bytes=hashlib.sha256("|".join(words).encode()).digest()[:16], version=4))


def told_by_provider(place: Place, body: dict[str, Any], where: Where) -> dict[str, Any]:
    """The properties that a provider tells of a resource and that nobody has given."""
    name = place.names[-1]
    told: dict[str, dict[str, Any]] = {
        "microsoft.managedidentity/userassignedidentities": {
            "principalId": id_for("principal", place.id.lower()),
            "clientId": id_for("client", place.id.lower()),
            "tenantId": where.tenant,
        },
        "microsoft.storage/storageaccounts": {
            "primaryEndpoints": {
                "blob": f"https://{name}.blob.core.windows.net/",
                "file": f"https://{name}.file.core.windows.net/",
            }
        },
        "microsoft.containerregistry/registries": {"loginServer": f"{name}.azurecr.io"},
        "microsoft.keyvault/vaults": {"vaultUri": f"https://{name}.vault.azure.net/"},
        "microsoft.eventhub/namespaces": {
            "serviceBusEndpoint": f"https://{name}.servicebus.windows.net:443/"
        },
        "microsoft.devices/iothubs": {"hostName": f"{name}.azure-devices.net"},
        "microsoft.batch/batchaccounts": {
            "accountEndpoint": f"{name}.{body.get('location', where.location)}.batch.azure.com",
            "dedicatedCoreQuota": 300,
            "dedicatedCoreQuotaPerVMFamilyEnforced": False,
            "lowPriorityCoreQuota": 100,
        },
        "microsoft.operationalinsights/workspaces": {"customerId": id_for("customer", place.id.lower())},
        "microsoft.insights/components": {
            "InstrumentationKey": id_for("insights", place.id.lower()),
            "ConnectionString": (
                f"InstrumentationKey={id_for('insights', place.id.lower())};"
                f"IngestionEndpoint=https://{where.location}.in.applicationinsights.azure.com/"
            ),
            "AppId": id_for("application", place.id.lower()),
        },
        "microsoft.logic/workflows": {
            "state": "Enabled",
            "accessEndpoint": f"https://{name}.logic.azure.com",
        },
        "microsoft.streamanalytics/streamingjobs": {"jobState": "Created", "jobId": id_for("job", place.id)},
        "microsoft.keyvault/vaults/secrets": {
            "secretUri": f"https://{place.names[0]}.vault.azure.net/secrets/{name}",
            "secretUriWithVersion": f"https://{place.names[0]}.vault.azure.net/secrets/{name}/1",
        },
    }
    return told.get(place.type.lower(), {})


def identity_of(place: Place, identity: dict[str, Any] | None, where: Where) -> dict[str, Any] | None:
    """The identity of a resource as its provider tells it: with principals."""
    if not identity or identity.get("type", "None") == "None":
        return identity
    found = dict(identity)
    if "systemassigned" in identity["type"].lower():
        found |= {"principalId": id_for("principal", place.id.lower()), "tenantId": where.tenant}
    if identity.get("userAssignedIdentities"):
        found["userAssignedIdentities"] = {
            one: {"principalId": id_for("principal", one.lower()), "clientId": id_for("client", one.lower())}
            for one in identity["userAssignedIdentities"]
        }
    return found
