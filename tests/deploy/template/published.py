"""Which published description each type of resource is held against."""

from __future__ import annotations

from importlib import import_module

# Where nothing is published in AZURE_SPECS: the models of Microsoft's clients.
MODELS = {
    "Microsoft.Storage/storageAccounts": "storage.models:StorageAccountCreateParameters",
    "Microsoft.Storage/storageAccounts/blobServices": "storage.models:BlobServiceProperties",
    "Microsoft.Storage/storageAccounts/blobServices/containers": "storage.models:BlobContainer",
    "Microsoft.Storage/storageAccounts/managementPolicies": "storage.models:ManagementPolicy",
    "Microsoft.App/managedEnvironments": "appcontainers.models:ManagedEnvironment",
    "Microsoft.App/jobs": "appcontainers.models:Job",
    "Microsoft.KeyVault/vaults": "keyvault.models:VaultCreateOrUpdateParameters",
    "Microsoft.KeyVault/vaults/secrets": "keyvault.models:SecretCreateOrUpdateParameters",
    "Microsoft.ManagedIdentity/userAssignedIdentities": "msi.models:Identity",
    # The Swagger file of 2024-02-01 is at hand, too: see test_shipped_template.
    "Microsoft.Batch/batchAccounts": "batch.models:BatchAccountCreateParameters",
    "Microsoft.Batch/batchAccounts/pools": "batch.models:Pool",
    "Microsoft.Devices/IotHubs": "iothub.v2023_06_30.models:IotHubDescription",
    "Microsoft.Network/virtualNetworks": "network.models:VirtualNetwork",
    "Microsoft.Network/networkSecurityGroups": "network.models:NetworkSecurityGroup",
    "Microsoft.Network/publicIPAddresses": "network.models:PublicIPAddress",
    "Microsoft.Network/natGateways": "network.models:NatGateway",
    "Microsoft.Network/privateEndpoints": "network.models:PrivateEndpoint",
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": "network.models:PrivateDnsZoneGroup",
    "Microsoft.Network/privateDnsZones": "privatedns.models:PrivateZone",
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": "privatedns.models:VirtualNetworkLink",
    "Microsoft.OperationalInsights/workspaces": "loganalytics.models:Workspace",
    "Microsoft.Insights/components": "applicationinsights.v2020_02_02.models:ApplicationInsightsComponent",
    "Microsoft.Insights/diagnosticSettings": "monitor.v2021_05_01_preview.models:DiagnosticSettingsResource",
    "Microsoft.Insights/actionGroups": "monitor.v2023_01_01.models:ActionGroupResource",
    "Microsoft.Insights/metricAlerts": "monitor.v2018_03_01.models:MetricAlertResource",
    "Microsoft.Insights/scheduledQueryRules": "monitor.v2022_08_01_preview.models:ScheduledQueryRuleResource",
    "Microsoft.Authorization/roleAssignments": (
        "authorization.v2022_04_01.models:RoleAssignmentCreateParameters"
    ),
}


def model(kind: str) -> type:
    """The model of a type's request."""
    module, _, name = MODELS[kind].partition(":")
    found: type = getattr(import_module(f"azure.mgmt.{module}"), name)
    return found
