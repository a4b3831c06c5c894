"""The shipped template on the stand-in: deployed, deployed again, and taken down to the data."""

from __future__ import annotations

import json

import pytest

from batch_scoring.core.parameters import read_parameters
from batch_scoring.deploy.arm.down import remove, survey
from batch_scoring.deploy.arm.up import DeploymentRequest, up, would
from batch_scoring.deploy.names import names_of
from batch_scoring.deploy.network_settings import NetworkSettings
from batch_scoring.deploy.plan import DeploymentPlan
from batch_scoring.deploy.settings import (
    DeployParameters,
    NodeSettings,
    SchedulerSettings,
)
from batch_scoring.deploy.stream_analytics.query import WindowsQuery
from batch_scoring.deploy.template.build import build_template
from batch_scoring.deploy.template.parameters import build_parameters
from batch_scoring.jobs.settings import JobsParameters
from tests.deploy.template.templates import DEPLOYER, IMAGES
from tests.emulators.arm.known_types import KNOWN
from tests.emulators.arm.service import SUBSCRIPTION
from tests.emulators.oav import Validator, require

KEY = "the-key-of-the-tests"
DESCRIBED = {
    "Microsoft.Batch": "batch/resource-manager/**/2024-02-01/*.json",
    "Microsoft.BatchAI": "batchai/resource-manager/**/2018-05-01/*.json",
    "Microsoft.ContainerRegistry": "containerregistry/resource-manager/**/2023-07-01/*.json",
    "Microsoft.EventHub": "eventhub/resource-manager/**/2024-01-01/*.json",
    "Microsoft.Logic": "logic/resource-manager/**/2019-05-01/*.json",
    "Microsoft.StreamAnalytics": "streamanalytics/resource-manager/**/2020-03-01/*.json",
}


def newer(violation):
    """What the published descriptions do not have, and the service does: identities of workflows."""
    return violation.operation.startswith("Workflows_") and "identity" in violation.message


def wanted(compute, kind="logic_app", fire=True, access="public"):
    nodes, network = NodeSettings(ssh_public_key="ssh-rsa AAAA"), NetworkSettings(access=access)
    settings = DeployParameters(
        *("fleet", SUBSCRIPTION),
        compute=compute,
        nodes=nodes,
        network=network,
        scheduler=SchedulerSettings(kind),
    )
    names = names_of(settings)
    given = build_parameters(settings, names, IMAGES, fire, deployer=DEPLOYER)
    template, given = build_template(WindowsQuery(), given)
    return DeploymentRequest(
        template,
        given["parameters"],
        names.stream_job,
        names.key_vault,
        unwanted=DeploymentPlan(settings, names, {})._unwanted(fire),
    )


@pytest.fixture(params=["azure_batch", "batch_ai"])
def compute(request, arm):
    arm._deployments.storage_key = KEY  # Batch AI's nodes know no identities
    return request.param


@pytest.mark.slow
def test_it_comes_up_stays_and_goes_down_to_the_data(client, arm, server, compute):
    outputs = up(client, wanted(compute), print)
    assert outputs["data"].startswith("https://stfleet")
    jobs = read_parameters(JobsParameters, json.loads(outputs["jobs"]), "jobs")
    assert jobs.backend == compute, "what `kedro deploy env` keeps"
    before, said = list(arm.resources.changes), []
    assert up(client, wanted(compute), said.append) == outputs
    assert arm.resources.changes == before
    assert said == ["everything is as the template says; nothing to do"]
    remove(client, survey(client), print)
    left = {one.place.type.split("/")[0] for one in arm.resources.within("/subscriptions")}
    assert left == {"Microsoft.Storage"}
    assert survey(client).is_empty
    told = [str(one.response_body) for one in server.recorder.exchanges]
    assert not any(KEY in one for one in told)


def schedulers(arm):
    kinds = ("Microsoft.Logic/workflows", "Microsoft.App/jobs")
    return {one.place.name for one in arm.resources.within("/subscriptions") if one.place.type in kinds}


@pytest.mark.slow
def test_one_kind_of_scheduler_takes_the_place_of_the_other_and_none_fires_without_an_image(client, arm):
    """Without jobs of the service, Container Apps is the Resource Manager's alone here."""
    up(client, wanted("container_apps", "container_app_job", fire=False), print)
    assert schedulers(arm) == set()
    outputs = up(client, wanted("container_apps", "container_app_job"), print)
    assert schedulers(arm) == {"caj-fleet-shards", "caj-fleet-score"}, "nothing retrains without a server"
    jobs = read_parameters(JobsParameters, json.loads(outputs["jobs"]), "jobs")
    assert jobs.container_apps.place.job == "caj-fleet-shards"
    assert outputs["scoreWorkflowId"].endswith("/Microsoft.App/jobs/caj-fleet-score")
    said = []
    up(client, wanted("azure_batch"), said.append)
    assert schedulers(arm) == {"caj-fleet-shards", "logic-fleet-score", "logic-fleet-retrain"}
    assert "deleted: Microsoft.App/jobs/caj-fleet-score" in said
    would(client, wanted("azure_batch", "container_app_job"), said.append)
    assert "would delete Microsoft.Logic/workflows/logic-fleet-score" in said
    up(client, wanted("azure_batch", "container_app_job"), print)
    assert schedulers(arm) == {"caj-fleet-shards", "caj-fleet-score"}
    remove(client, survey(client), print)
    assert {one.place.type.split("/")[0] for one in arm.resources.within("/subscriptions")} == {
        "Microsoft.Storage"
    }


@pytest.mark.slow
def test_a_private_deployment_comes_up_and_goes_down_from_the_endpoints_to_the_network(client, arm):
    up(client, wanted("azure_batch", access="private"), print)
    said = []
    remove(client, survey(client), said.append)
    gone = [
        line.split()[1].removeprefix("Microsoft.Network/") for line in said if "Microsoft.Network/" in line
    ]
    assert list(dict.fromkeys(gone)) == [
        *("privateEndpoints", "privateDnsZones/virtualNetworkLinks", "privateDnsZones", "virtualNetworks"),
        *("natGateways", "publicIPAddresses", "networkSecurityGroups"),
    ]
    assert {one.place.type.split("/")[0] for one in arm.resources.within("/subscriptions")} == {
        "Microsoft.Storage"
    }


@pytest.mark.slow
def test_a_subscription_that_knows_no_batch_ai_takes_the_template_of_azure_batch(client, arm, monkeypatch):
    for kind in [kind for kind in KNOWN if kind.startswith("microsoft.batchai/")]:
        monkeypatch.delitem(KNOWN, kind)
    assert up(client, wanted("azure_batch"), print)["batchEndpoint"]


@pytest.mark.slow
def test_who_deploys_may_push_models_and_data(client, arm, compute):
    up(client, wanted(compute), print)
    mine = [
        one.place.scope.rpartition("/blobServices/")[2]
        for one in arm.resources.within("/subscriptions")
        if one.sent.get("properties", {}).get("principalId") == DEPLOYER
    ]
    assert mine == ["default/containers/batch-scoring"]


@pytest.mark.slow
@pytest.mark.parametrize("namespace", DESCRIBED)
def test_what_is_sent_to_providers_is_as_it_is_described(client, arm, namespace):
    require(DESCRIBED[namespace])
    arm._deployments.storage_key = KEY
    up(client, wanted("batch_ai" if namespace == "Microsoft.BatchAI" else "azure_batch"), print)
    exchanges = [
        one for one in arm.recorder.exchanges if one.path.split("/providers/")[-1].startswith(f"{namespace}/")
    ]
    assert exchanges
    version = "2024-02-01" if namespace == "Microsoft.Batch" else None  # the template's is newer
    with Validator(DESCRIBED[namespace], "management.azure.com", version, newer) as validator:
        assert [str(one) for one in validator.violations(exchanges)] == []
