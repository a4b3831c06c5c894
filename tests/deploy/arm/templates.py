"""A small template with the kinds of things that the shipped one has."""

from __future__ import annotations

from typing import Any

ACCOUNT = "stfleet0a1b2c"
STREAM_JOB = "asa-fleet"
VAULT = "kv-fleet-0a1b2c"
_READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"


def template(**changes: Any) -> dict[str, Any]:
    """The template; ``changes`` replace its parts."""
    resources = [
        {
            "type": "Microsoft.ManagedIdentity/userAssignedIdentities",
            "apiVersion": "2023-01-31",
            "name": "id-fleet",
            "location": "[parameters('location')]",
        },
        {
            "type": "Microsoft.Storage/storageAccounts",
            "apiVersion": "2023-05-01",
            "name": "[parameters('account')]",
            "location": "[parameters('location')]",
            "kind": "StorageV2",
            "sku": {"name": "Standard_LRS"},
            "properties": {"allowBlobPublicAccess": False, "minimumTlsVersion": "TLS1_2"},
            "resources": [
                {
                    "type": "blobServices/containers",
                    "apiVersion": "2023-05-01",
                    "name": "default/batch-scoring",
                    "properties": {"publicAccess": "None"},
                }
            ],
        },
        {
            "type": "Microsoft.Authorization/roleAssignments",
            "apiVersion": "2022-04-01",
            "scope": "[format('Microsoft.Storage/storageAccounts/{0}', parameters('account'))]",
            "name": "[guid(resourceGroup().id, 'id-fleet', variables('role'))]",
            "dependsOn": ["[variables('accountId')]"],
            "properties": {
                "roleDefinitionId": "[subscriptionResourceId(variables('roles'), variables('role'))]",
                "principalId": "[reference('id-fleet').principalId]",
                "principalType": "ServicePrincipal",
            },
        },
        {
            "type": "Microsoft.StreamAnalytics/streamingjobs",
            "apiVersion": "2020-03-01",
            "name": STREAM_JOB,
            "location": "[parameters('location')]",
            "properties": {"sku": {"name": "Standard"}, "outputErrorPolicy": "Stop"},
        },
        {
            "type": "Microsoft.KeyVault/vaults",
            "apiVersion": "2023-07-01",
            "name": VAULT,
            "location": "[parameters('location')]",
            "properties": {
                "tenantId": "[subscription().tenantId]",
                "sku": {"family": "A", "name": "standard"},
            },
        },
        {
            "type": "Microsoft.Logic/workflows",
            "apiVersion": "2019-05-01",
            "name": "logic-fleet-score",
            "location": "[parameters('location')]",
            "dependsOn": ["[variables('accountId')]"],
            "properties": {
                "state": "[if(parameters('enabled'), 'Enabled', 'Disabled')]",
                "definition": {},
                "parameters": {
                    "account": {"value": "[reference(variables('accountId')).primaryEndpoints.blob]"}
                },
            },
        },
    ]
    return {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "parameters": {
            "location": {"type": "string", "defaultValue": "[resourceGroup().location]"},
            "account": {"type": "string", "minLength": 3, "maxLength": 24},
            "enabled": {"type": "bool", "defaultValue": False},
        },
        "variables": {
            "role": _READER,
            "roles": "Microsoft.Authorization/roleDefinitions",
            "accountId": "[resourceId('Microsoft.Storage/storageAccounts', parameters('account'))]",
        },
        "resources": resources,
        "outputs": {
            "blobEndpoint": {
                "type": "string",
                "value": "[reference(variables('accountId')).primaryEndpoints.blob]",
            }
        },
    } | changes


def parameters(**given: Any) -> dict[str, Any]:
    """As the Resource Manager takes them."""
    return {name: {"value": value} for name, value in ({"account": ACCOUNT} | given).items()}
