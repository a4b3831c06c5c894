"""With `deploy.network.access: private` nothing that holds data is reached from the internet."""

from __future__ import annotations

import pytest

from batch_scoring.deploy.names import names_of
from batch_scoring.deploy.template.check import check_template
from tests.deploy.template.templates import built, deployed, of_type, settings_of

NETWORK = "Microsoft.Network"
CLOSED = (
    "Microsoft.Storage/storageAccounts",
    "Microsoft.KeyVault/vaults",
    "Microsoft.ContainerRegistry/registries",
    "Microsoft.EventHub/namespaces",
    "Microsoft.Batch/batchAccounts",
)


def resources(access="private", allowed=(), **changed):
    settings = settings_of(
        network={"access": access, "allowed": list(allowed)}, scheduler={"kind": "logic_app"}, **changed
    )
    whole, given = built(settings)
    report = check_template(whole, given, names_of(settings).resource_group, settings.location)
    assert report.faults == []
    return [one.body for one in report.resources]


def only(found, kind):
    (one,) = of_type(found, kind)
    return one["properties"]


def test_without_a_stream_every_public_door_is_shut():
    found = resources(stream_analytics={"enabled": False})
    assert {kind: only(found, kind)["publicNetworkAccess"] for kind in CLOSED} == dict.fromkeys(
        CLOSED, "Disabled"
    )


def test_the_stream_alone_gets_into_storage_and_as_a_trusted_service():
    found = resources()
    account = only(found, CLOSED[0])
    assert account["publicNetworkAccess"] == "Enabled"
    assert account["networkAcls"] == {"bypass": "AzureServices", "defaultAction": "Deny", "ipRules": []}
    rules = only(found, "Microsoft.EventHub/namespaces/networkRuleSets")
    assert rules["trustedServiceAccessEnabled"] is True and rules["publicNetworkAccess"] == "Disabled"
    assert {only(found, kind)["publicNetworkAccess"] for kind in CLOSED[1:]} == {"Disabled"}


def test_an_allowed_address_gets_in_everywhere_and_nobody_else():
    found = resources(allowed=["203.0.113.7"])
    allowed = [{"action": "Allow", "value": "203.0.113.7"}]
    assert {only(found, kind)["publicNetworkAccess"] for kind in CLOSED} == {"Enabled"}
    rules = {
        "storage": only(found, CLOSED[0])["networkAcls"],
        "vault": only(found, CLOSED[1])["networkAcls"],
        "registry": only(found, CLOSED[2])["networkRuleSet"],
        "hub": only(found, "Microsoft.EventHub/namespaces/networkRuleSets"),
        "batch": only(found, CLOSED[4])["networkProfile"]["accountAccess"],
    }
    assert {one["defaultAction"] for one in rules.values()} == {"Deny"}
    assert rules["storage"]["ipRules"] == rules["registry"]["ipRules"] == rules["batch"]["ipRules"] == allowed
    assert rules["vault"]["ipRules"] == [{"value": "203.0.113.7"}]
    assert rules["hub"]["ipRules"] == [{"action": "Allow", "ipMask": "203.0.113.7"}]
    nodes = only(found, CLOSED[4])["networkProfile"]["nodeManagementAccess"]
    assert nodes == {"defaultAction": "Deny"}, "nodes come through the network alone"


def subnet_of(found, name):
    (subnet,) = [one for one in only(found, f"{NETWORK}/virtualNetworks")["subnets"] if one["name"] == name]
    return subnet["properties"]


def test_nodes_have_no_public_addresses_and_reach_batch_before_they_start():
    found = resources()
    (pool,) = of_type(found, "Microsoft.Batch/batchAccounts/pools")
    network = pool["properties"]["networkConfiguration"]
    assert network["publicIPAddressConfiguration"] == {"provision": "NoPublicIPAddresses"}
    assert network["subnetId"].endswith("/virtualNetworks/vnet-batchscore/subnets/nodes")
    assert "targetNodeCommunicationMode" not in pool["properties"]
    assert any(
        one.endswith("/privateEndpoints/vnet-batchscore-nodes/privateDnsZoneGroups/zone")
        for one in pool["dependsOn"]
    )
    subnet = subnet_of(found, "nodes")
    assert subnet["natGateway"]["id"].endswith("/natGateways/vnet-batchscore-out")
    assert subnet["defaultOutboundAccess"] is False and "delegations" not in subnet


def test_the_scheduler_lies_in_its_own_subnet_with_a_way_out_and_private_names():
    found = resources()
    subnet = subnet_of(found, "scheduler")
    (delegation,) = subnet["delegations"]
    assert delegation["properties"] == {"serviceName": "Microsoft.ContainerInstance/containerGroups"}
    assert subnet["natGateway"] and "defaultOutboundAccess" not in subnet, "it is delegated"
    for workflow in of_type(found, "Microsoft.Logic/workflows"):
        group = workflow["properties"]["parameters"]["containerGroup"]["value"]["properties"]
        assert [one["id"].rpartition("/")[2] for one in group["subnetIds"]] == ["scheduler"]
        assert group["dnsConfig"] == {"nameServers": ["168.63.129.16"]}
        assert "ipAddress" not in group


def test_every_service_has_an_endpoint_with_a_name_in_a_zone_of_the_network():
    found = resources()
    parts = {}
    for one in of_type(found, f"{NETWORK}/privateEndpoints"):
        (connection,) = one["properties"]["privateLinkServiceConnections"]
        (group,) = [
            each
            for each in of_type(found, f"{NETWORK}/privateEndpoints/privateDnsZoneGroups")
            if each["name"] == f"{one['name']}/zone"
        ]
        (zone,) = group["properties"]["privateDnsZoneConfigs"]
        (part,) = connection["properties"]["groupIds"]
        parts[part] = zone["properties"]["privateDnsZoneId"].rpartition("/")[2]
        assert one["properties"]["subnet"]["id"].endswith("/subnets/endpoints")
    assert parts == {
        "blob": "privatelink.blob.core.windows.net",
        "registry": "privatelink.azurecr.io",
        "vault": "privatelink.vaultcore.azure.net",
        "namespace": "privatelink.servicebus.windows.net",
        "batchAccount": "privatelink.batch.azure.com",
        "nodeManagement": "privatelink.batch.azure.com",
    }
    zones = {one["name"] for one in of_type(found, f"{NETWORK}/privateDnsZones")}
    links = of_type(found, f"{NETWORK}/privateDnsZones/virtualNetworkLinks")
    assert zones == set(parts.values()) == {one["name"].rpartition("/")[0] for one in links}
    assert {one["properties"]["virtualNetwork"]["id"].rpartition("/")[2] for one in links} == {
        "vnet-batchscore"
    }


def test_the_registry_has_the_tier_of_private_endpoints_and_lets_container_instances_in():
    (registry,) = of_type(resources(), CLOSED[2])
    assert registry["sku"] == {"name": "Premium"}
    assert registry["properties"]["networkRuleBypassOptions"] == "AzureServices"
    (public,) = of_type(resources("public"), CLOSED[2])
    assert public["sku"] == {"name": "Basic"}


def test_workflows_may_use_the_schedulers_subnet_and_no_other_part_of_the_network():
    scopes = [
        one["scope"].rpartition("/providers/")[2]
        for one in of_type(resources(), "Microsoft.Authorization/roleAssignments")
        if NETWORK in one.get("scope", "")
    ]
    assert scopes == [f"{NETWORK}/virtualNetworks/vnet-batchscore/subnets/scheduler"]


@pytest.mark.parametrize("chosen", ["azure_batch", "batch_ai"])
def test_a_public_deployment_has_no_network(chosen):
    found = deployed(chosen)
    assert not any(one["type"].startswith(NETWORK) for one in found)
    groups = [
        one["properties"]["parameters"]["containerGroup"]["value"]["properties"]
        for one in of_type(found, "Microsoft.Logic/workflows")
    ]
    assert not any("subnetIds" in one or "dnsConfig" in one for one in groups)


def test_capture_alone_gets_into_storage_too_and_an_iot_hub_sends_on_as_a_trusted_service():
    found = resources(
        stream_analytics={"enabled": False}, event_hub={"capture": True}, iot_hub={"enabled": True}
    )
    account = only(found, CLOSED[0])
    assert account["publicNetworkAccess"] == "Enabled" and account["networkAcls"]["defaultAction"] == "Deny"
    # Its devices come from outside, with keys of their own.
    assert only(found, "Microsoft.Devices/IotHubs")["publicNetworkAccess"] == "Enabled"
    assert only(found, "Microsoft.EventHub/namespaces/networkRuleSets")["trustedServiceAccessEnabled"] is True
