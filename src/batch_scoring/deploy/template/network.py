"""Close a template to the public internet, pure: a virtual network, private endpoints and their names.

What rests on it, and whose word that is (pages of learn.microsoft.com):

- A container group in a virtual network needs a NAT gateway to reach anything outside, and does not read the
  network's name servers: *Virtual network scenarios and resources for Azure Container Instances*.
- It pulls by an identity from a registry with a private endpoint, if that lets trusted services in: *Deploy
  to Azure Container Instances from Azure Container Registry using a managed identity*.
- Nodes without public addresses reach Batch by the endpoint ``nodeManagement``; both endpoints of an account
  have one zone: *Use private endpoints with Azure Batch accounts*.
- Stream Analytics and IoT Hub read and write as trusted services, by their identities, also where public
  access is off: *Allow access to Azure Event Hubs namespaces via private endpoints*. Of a storage account
  trusted services see nothing while public access is off, so it is on for them, and denied to all others.
- A subnet without default outbound access may not be a delegated one: *Default outbound access in Azure*.
- The workflows call the Resource Manager alone, which has no private address, and so need none.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

_API_VERSION, _ZONE_VERSION = "2024-05-01", "2024-06-01"
_VNET, _SUBNETS = "Microsoft.Network/virtualNetworks", "Microsoft.Network/virtualNetworks/subnets"
_ENDPOINT, _ZONE = "Microsoft.Network/privateEndpoints", "Microsoft.Network/privateDnsZones"
# The resolver of every virtual network, which knows its private zones.
_AZURE_DNS = "168.63.129.16"
_LOCATION = {"location": "[parameters('location')]", "tags": "[parameters('tags')]"}


@dataclass(frozen=True)
class _Endpoint:
    """A private endpoint: its resource, the part of that it reaches, and the zone of its name."""

    name: str
    target: str
    part: str
    zone: str


_ENDPOINTS = (
    _Endpoint("blob", "storageId", "blob", "privatelink.blob.core.windows.net"),
    _Endpoint("registry", "registryId", "registry", "privatelink.azurecr.io"),
    _Endpoint("vault", "keyVaultId", "vault", "privatelink.vaultcore.azure.net"),
    _Endpoint("events", "eventHubNamespaceId", "namespace", "privatelink.servicebus.windows.net"),
    _Endpoint("batch", "batchAccountId", "batchAccount", "privatelink.batch.azure.com"),
    _Endpoint("nodes", "batchAccountId", "nodeManagement", "privatelink.batch.azure.com"),
)
_PARAMETERS = {
    "network": {"type": "string", "metadata": {"description": "Name of the virtual network."}},
    "addresses": {"type": "string", "metadata": {"description": "Its addresses."}},
    "subnets": {"type": "object", "metadata": {"description": "Addresses of its subnets, by their names."}},
    **{
        name: {"type": "array", "metadata": {"description": f"Who may come from outside, as {whose} has it."}}
        for name, whose in (
            ("allowed", "storage"),
            ("allowedOfVault", "the vault"),
            ("allowedOfHub", "the hub"),
        )
    },
}
_VARIABLES = {
    "networkId": f"[resourceId('{_VNET}', parameters('network'))]",
    **{
        f"{name}SubnetId": f"[resourceId('{_SUBNETS}', parameters('network'), '{name}')]"
        for name in ("nodes", "scheduler", "endpoints")
    },
    "publicAccess": "[if(empty(parameters('allowed')), 'Disabled', 'Enabled')]",
    "storageAccess": "[if(and(empty(parameters('allowed')), not(parameters('streamAnalyticsEnabled')), "
    "not(parameters('captureEnabled'))), 'Disabled', 'Enabled')]",
    "networkContributor": "[subscriptionResourceId('Microsoft.Authorization/roleDefinitions', "
    "'4d97b98b-1d4f-4787-a291-c67834d212e7')]",
}
_DENIED = {"bypass": "AzureServices", "defaultAction": "Deny"}
# What is changed of a resource's properties, by its type.
_CHANGES: dict[str, dict[str, Any]] = {
    "Microsoft.Storage/storageAccounts": {
        "publicNetworkAccess": "[variables('storageAccess')]",
        "networkAcls": {**_DENIED, "ipRules": "[parameters('allowed')]"},
    },
    "Microsoft.KeyVault/vaults": {
        "publicNetworkAccess": "[variables('publicAccess')]",
        "networkAcls": {**_DENIED, "ipRules": "[parameters('allowedOfVault')]"},
    },
    "Microsoft.ContainerRegistry/registries": {
        "publicNetworkAccess": "[variables('publicAccess')]",
        "networkRuleBypassOptions": "AzureServices",
        "networkRuleSet": {"defaultAction": "Deny", "ipRules": "[parameters('allowed')]"},
    },
    "Microsoft.EventHub/namespaces": {"publicNetworkAccess": "[variables('publicAccess')]"},
    "Microsoft.Batch/batchAccounts": {
        "publicNetworkAccess": "[variables('publicAccess')]",
        "networkProfile": "[if(empty(parameters('allowed')), null(), createObject('accountAccess', "
        "createObject('defaultAction', 'Deny', 'ipRules', parameters('allowed')), 'nodeManagementAccess', "
        "createObject('defaultAction', 'Deny')))]",
    },
    "Microsoft.Batch/batchAccounts/pools": {
        "networkConfiguration": {
            "subnetId": "[variables('nodesSubnetId')]",
            "publicIPAddressConfiguration": {"provision": "NoPublicIPAddresses"},
        }
    },
}


def of_container_group() -> dict[str, Any]:
    """Build what the properties of a container group have besides."""
    return {
        "subnetIds": [{"id": "[variables('schedulerSubnetId')]"}],
        "dnsConfig": {"nameServers": [_AZURE_DNS]},
    }


def closed(template: Mapping[str, Any]) -> dict[str, Any]:
    """Close a whole template: services are reached through private endpoints, nodes have no public addresses.

    Only the addresses of the parameter ``allowed`` may come from outside.
    """
    parameters = _merged(
        template["parameters"],
        # Private endpoints of a registry need this tier.
        {"registrySku": {"defaultValue": "Premium", "allowedValues": ["Premium"]}},
    )
    resources = [_closed_resource(one) for one in template["resources"]]
    return {
        **template,
        "parameters": {**parameters, **deepcopy(_PARAMETERS)},
        "variables": {**template["variables"], **_VARIABLES},
        "resources": [*resources, *_network(), *_names(), *_endpoints(), _hub_rules(), _role()],
    }


def _closed_resource(resource: Mapping[str, Any]) -> dict[str, Any]:
    changed = _merged(resource, {"properties": deepcopy(_CHANGES.get(resource["type"], {}))})
    if resource["type"] == "Microsoft.Batch/batchAccounts/pools":
        # A node that starts before its way to Batch is known is of no use.
        changed["dependsOn"] = [*resource["dependsOn"], _group_id(_ENDPOINTS[-1])]
    return changed


def _network() -> list[dict[str, Any]]:
    address, gateway, rules = (
        f"[resourceId('Microsoft.Network/{kind}', concat(parameters('network'), '-{end}'))]"
        for kind, end in (
            ("publicIPAddresses", "out"),
            ("natGateways", "out"),
            ("networkSecurityGroups", "rules"),
        )
    )
    guarded, outward = {"networkSecurityGroup": {"id": rules}}, {"natGateway": {"id": gateway}}
    # Not of a subnet that is delegated: what goes out of it is the service's affair.
    private = {"defaultOutboundAccess": False}
    delegated = {
        "name": "containers",
        "properties": {"serviceName": "Microsoft.ContainerInstance/containerGroups"},
    }
    subnets: dict[str, dict[str, Any]] = {
        "nodes": {**guarded, **outward, **private},
        "scheduler": {**guarded, **outward, "delegations": [delegated]},
        "endpoints": {**guarded, **private, "privateEndpointNetworkPolicies": "Disabled"},
    }
    return [
        # Its own rules let nothing in from the internet.
        _resource("Microsoft.Network/networkSecurityGroups", "rules", {"securityRules": []}),
        {
            **_resource("Microsoft.Network/publicIPAddresses", "out", {"publicIPAllocationMethod": "Static"}),
            "sku": {"name": "Standard"},
        },
        {
            **_resource(
                "Microsoft.Network/natGateways", "out", {"publicIpAddresses": [{"id": address}]}, address
            ),
            "sku": {"name": "Standard"},
        },
        {
            **_resource(
                _VNET,
                "",
                {
                    "addressSpace": {"addressPrefixes": ["[parameters('addresses')]"]},
                    "subnets": [
                        {
                            "name": name,
                            "properties": {
                                "addressPrefix": f"[parameters('subnets').{name}]",
                                **properties,
                            },
                        }
                        for name, properties in subnets.items()
                    ],
                },
                rules,
                gateway,
            ),
            "name": "[parameters('network')]",
        },
    ]


def _resource(kind: str, end: str, properties: Mapping[str, Any], *after: str) -> dict[str, Any]:
    return {
        "type": kind,
        "apiVersion": _API_VERSION,
        "name": f"[concat(parameters('network'), '-{end}')]",
        **_LOCATION,
        **({"dependsOn": list(after)} if after else {}),
        "properties": dict(properties),
    }


def _names() -> list[dict[str, Any]]:
    """Build the private zones, and link each to the network."""
    found: list[dict[str, Any]] = []
    for zone in dict.fromkeys(one.zone for one in _ENDPOINTS):
        about = {"apiVersion": _ZONE_VERSION, "location": "global", "tags": "[parameters('tags')]"}
        link = {"virtualNetwork": {"id": "[variables('networkId')]"}, "registrationEnabled": False}
        found += [
            {"type": _ZONE, "name": zone, **about},
            {
                "type": f"{_ZONE}/virtualNetworkLinks",
                "name": f"{zone}/network",
                **about,
                "dependsOn": [_zone_id(zone), "[variables('networkId')]"],
                "properties": link,
            },
        ]
    return found


def _endpoints() -> list[dict[str, Any]]:
    """Build the private endpoints, and let each keep its name in its zone."""
    found: list[dict[str, Any]] = []
    for number, one in enumerate(_ENDPOINTS):
        before = _ENDPOINTS[number - 1]
        # One change of an account at a time.
        after = [_endpoint_id(before)] if before.target == one.target else []
        target = f"[variables('{one.target}')]"
        connection = {
            "name": one.name,
            "properties": {"privateLinkServiceId": target, "groupIds": [one.part]},
        }
        found += [
            _resource(
                _ENDPOINT,
                one.name,
                {
                    "subnet": {"id": "[variables('endpointsSubnetId')]"},
                    "privateLinkServiceConnections": [connection],
                },
                *("[variables('networkId')]", target, *after),
            ),
            {
                "type": f"{_ENDPOINT}/privateDnsZoneGroups",
                "apiVersion": _API_VERSION,
                "name": f"[concat(parameters('network'), '-{one.name}/zone')]",
                "dependsOn": [_endpoint_id(one), _zone_id(one.zone)],
                "properties": {
                    "privateDnsZoneConfigs": [
                        {"name": "zone", "properties": {"privateDnsZoneId": _zone_id(one.zone)}}
                    ]
                },
            },
        ]
    return found


def _hub_rules() -> dict[str, Any]:
    return {
        "type": "Microsoft.EventHub/namespaces/networkRuleSets",
        "apiVersion": "2024-01-01",
        "name": "[concat(parameters('eventHubNamespace'), '/default')]",
        "dependsOn": ["[variables('eventHubNamespaceId')]"],
        "properties": {
            "publicNetworkAccess": "[variables('publicAccess')]",
            "defaultAction": "Deny",
            "trustedServiceAccessEnabled": True,
            "ipRules": "[parameters('allowedOfHub')]",
        },
    }


def _role() -> dict[str, Any]:
    return {
        "type": "Microsoft.Authorization/roleAssignments",
        "apiVersion": "2022-04-01",
        "name": "[guid(variables('schedulerSubnetId'), variables('workflowIdentityId'), 'join')]",
        "scope": "[variables('schedulerSubnetId')]",
        "dependsOn": ["[variables('networkId')]", "[variables('workflowIdentityId')]"],
        "properties": {
            "description": "Workflows put the scheduler's container into its subnet.",
            "roleDefinitionId": "[variables('networkContributor')]",
            "principalId": "[reference(variables('workflowIdentityId'), '2023-01-31').principalId]",
            "principalType": "ServicePrincipal",
        },
    }


def _endpoint_id(one: _Endpoint) -> str:
    return f"[resourceId('{_ENDPOINT}', concat(parameters('network'), '-{one.name}'))]"


def _group_id(one: _Endpoint) -> str:
    kind = f"{_ENDPOINT}/privateDnsZoneGroups"
    return f"[resourceId('{kind}', concat(parameters('network'), '-{one.name}'), 'zone')]"


def _zone_id(zone: str) -> str:
    return f"[resourceId('{_ZONE}', '{zone}')]"


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two mappings at every depth; of two values the second counts."""
    found = dict(first)
    for key, value in second.items():
        before = found.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            found[key] = _merged(before, value)
        else:
            found[key] = value
    return found
