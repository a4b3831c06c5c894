"""What the template promises: nothing is open that holds data, nobody may do more than is needed, no key."""

from __future__ import annotations

import json
import re

import pytest

from batch_scoring.core.parameters import read_parameters
from batch_scoring.deploy.arm import vault
from batch_scoring.deploy.names import names_of
from batch_scoring.deploy.push import PUBLISHED
from batch_scoring.deploy.stream_analytics.query import WindowsQuery
from batch_scoring.deploy.template.build import build_template, job_template, read_template, resource_of_type
from batch_scoring.deploy.template.expressions import Place
from batch_scoring.deploy.template.parameters import build_parameters
from batch_scoring.deploy.template.workflow_check import actions_of
from batch_scoring.jobs import run_scheduler
from batch_scoring.jobs.backends.azure_batch.autoscale import autoscale_formula
from batch_scoring.jobs.backends.azure_batch.backend import AzureBatchBackend
from batch_scoring.jobs.settings import JobsParameters
from tests.deploy.template.templates import (
    DEPLOYER,
    EVERYTHING,
    IMAGES,
    LOGIC_APP,
    built,
    deployed,
    of_type,
    parameters,
    settings_of,
)

# Looked up on the page "Azure built-in roles" of learn.microsoft.com.
BUILT_IN = {
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
    "7f951dda-4ed3-4680-a7ca-43fe172d538d": "AcrPull",
    "a638d3c7-ab3a-418d-83e6-5f17a39d4fde": "Azure Event Hubs Data Receiver",
    "2b629674-e913-4c01-ae53-ef4638d8f975": "Azure Event Hubs Data Sender",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
    "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
    "f1a07417-d97a-45cb-824c-7a7467783830": "Managed Identity Operator",
    "48e5e92e-a480-4e71-aa9c-2778f4c13781": "Azure Batch Job Submitter",
    "11076f67-66f6-4be0-8f6b-f0609fd05cc9": "Azure Batch Account Reader",
    "4d97b98b-1d4f-4787-a291-c67834d212e7": "Network Contributor",
    "5d977122-f97e-4b4d-a52f-6b43003ddb4d": "Azure Container Instances Contributor Role",
    "b9a307c4-5aa3-4b52-ba60-2b17c136cd7b": "Container Apps Jobs Operator",
    "1b32c00b-7eff-4c22-93e6-93d11d72d2d8": "Container Apps ManagedEnvironments Reader",
    "b24988ac-6180-42a0-ab88-20f7382dd24c": "Contributor",
}


def only(resources, kind):
    (one,) = of_type(resources, kind)
    return one


@pytest.mark.parametrize("chosen", EVERYTHING)
def test_what_holds_data_is_closed_to_the_public_and_keeps_what_was_deleted(chosen):
    resources = deployed(chosen)
    account = only(resources, "Microsoft.Storage/storageAccounts")["properties"]
    assert account["allowBlobPublicAccess"] is False and account["minimumTlsVersion"] == "TLS1_2"
    assert account["supportsHttpsTrafficOnly"] is True
    # Only nodes of 2018 have no identity.
    assert account["allowSharedKeyAccess"] is (chosen == "batch_ai")
    for container in of_type(resources, "Microsoft.Storage/storageAccounts/blobServices/containers"):
        assert container["properties"]["publicAccess"] == "None"
    blobs = only(resources, "Microsoft.Storage/storageAccounts/blobServices")["properties"]
    assert (
        blobs["deleteRetentionPolicy"]
        == blobs["containerDeleteRetentionPolicy"]
        == {"enabled": True, "days": 7}
    )
    vault = only(resources, "Microsoft.KeyVault/vaults")["properties"]
    assert vault["enablePurgeProtection"] and vault["enableSoftDelete"] and vault["enableRbacAuthorization"]
    assert "accessPolicies" not in vault
    hub = only(resources, "Microsoft.EventHub/namespaces")["properties"]
    assert hub["disableLocalAuth"] is (chosen != "keys") and hub["minimumTlsVersion"] == "1.2"
    assert (
        only(resources, "Microsoft.ContainerRegistry/registries")["properties"]["adminUserEnabled"] is False
    )


def test_the_stream_writes_windows_within_a_minute():
    (output,) = only(deployed("azure_batch"), "Microsoft.StreamAnalytics/streamingjobs")["properties"][
        "outputs"
    ]
    assert (output["properties"]["timeWindow"], output["properties"]["sizeWindow"]) == ("00:01:00", 2000)


def test_a_gateway_with_a_key_may_send_and_nothing_else():
    rules = "Microsoft.EventHub/namespaces/eventhubs/authorizationRules"
    assert of_type(deployed("azure_batch"), rules) == []
    resources = deployed("keys")
    rule = only(resources, rules)
    assert rule["name"].endswith("/readings/send") and rule["properties"] == {"rights": ["Send"]}
    assert only(resources, "Microsoft.EventHub/namespaces")["properties"]["disableLocalAuth"] is False


def test_no_version_is_used_that_will_be_retired():
    resources = deployed("azure_batch")
    assert only(resources, "Microsoft.KeyVault/vaults")["apiVersion"] == vault.API_VERSION == "2026-02-01"
    account, pool = (only(resources, f"Microsoft.Batch/batchAccounts{kind}") for kind in ("", "/pools"))
    assert account["apiVersion"] == pool["apiVersion"] == "2025-06-01"
    assert account["properties"]["allowedAuthenticationModes"] == ["AAD"]
    assert "targetNodeCommunicationMode" not in pool["properties"]
    machine = pool["properties"]["deploymentConfiguration"]["virtualMachineConfiguration"]
    assert (
        machine["imageReference"]["sku"] == "2404" and machine["nodeAgentSkuId"] == "batch.node.ubuntu 24.04"
    )
    assert pool["properties"]["vmSize"] == "Standard_D2s_v5"


def test_jobs_cannot_change_models():
    """Whatever writes, adds, moves or deletes is allowed where the path is not one of models.

    The form is that of the page "Example Azure role assignment conditions for Blob Storage": an action that
    is not among these is allowed; of these, what the expression says.
    """
    (role,) = [
        one["properties"]
        for one in of_type(deployed("azure_batch"), "Microsoft.Authorization/roleAssignments")
        if "conditionVersion" in one["properties"]
    ]
    assert role["description"].startswith("Jobs read windows and write predictions")
    assert role["conditionVersion"] == "2.0"
    actions = re.findall(r"!\(ActionMatches\{'([^']+)'\}\)", role["condition"])
    blobs = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
    assert actions == [f"{blobs}/{one}" for one in ("write", "add/action", "delete", "move/action")]
    assert role["condition"].endswith(f" OR (@Resource[{blobs}:path] StringNotLike '06_models/*'))")
    assert role["condition"].count("(") == role["condition"].count(")")
    assert PUBLISHED.startswith("06_models/")


def test_logs_of_the_hub_the_registry_and_the_nodes_are_kept():
    # "Supported log categories" of each service; Batch: "Metrics, alerts, and diagnostic logs".
    kept = {
        one["scope"].rpartition("/providers/")[2].split("/")[0]: {
            log["category"] for log in one["properties"]["logs"]
        }
        for one in of_type(deployed("azure_batch"), "Microsoft.Insights/diagnosticSettings")
    }
    assert kept["Microsoft.EventHub"] == {"OperationalLogs", "ArchiveLogs"}
    assert kept["Microsoft.ContainerRegistry"] == {
        "ContainerRegistryLoginEvents",
        "ContainerRegistryRepositoryEvents",
    }
    assert kept["Microsoft.Batch"] == {"ServiceLog"}


@pytest.mark.parametrize("chosen", ["azure_batch", "batch_ai"])
def test_only_identities_may_report_and_the_string_is_not_told(chosen):
    resources = deployed(chosen)
    component = only(resources, "Microsoft.Insights/components")["properties"]
    # Nodes of 2018 have no identity to report with.
    assert component["DisableLocalAuth"] is (chosen == "azure_batch")
    for workflow in of_type(resources, "Microsoft.Logic/workflows"):
        group = workflow["properties"]["parameters"]["containerGroup"]["value"]
        (container,) = group["properties"]["containers"]
        (one,) = [
            one
            for one in container["properties"]["environmentVariables"]
            if one["name"] == "APPLICATIONINSIGHTS_CONNECTION_STRING"
        ]
        assert one["secureValue"] and "value" not in one
    reporting = [
        one
        for one in of_type(resources, "Microsoft.Authorization/roleAssignments")
        if one["properties"]["roleDefinitionId"].endswith("3913510d-42f4-4e42-8a64-420c390055eb")
    ]
    assert len(reporting) == 2


def test_an_iot_hub_sends_on_by_an_identity_that_may_only_send():
    resources, names = deployed("iot_hub"), names_of(settings_of())
    hub = only(resources, "Microsoft.Devices/IotHubs")
    (identity,) = hub["identity"]["userAssignedIdentities"]
    (endpoint,) = hub["properties"]["routing"]["endpoints"]["eventHubs"]
    assert endpoint["identity"] == {"userAssignedIdentity": identity} and "connectionString" not in endpoint
    assert (endpoint["authenticationType"], endpoint["entityPath"]) == ("identityBased", "readings")
    assert hub["properties"]["disableLocalAuth"] is True
    mine = {(role, scope) for who, role, scope in rights("iot_hub") if who == "IoT"}
    assert mine == {("Azure Event Hubs Data Sender", "readings")}
    assert any("userAssignedIdentities" in one and names.iot_identity in one for one in [identity])
    assert of_type(deployed("plain"), "Microsoft.Devices/IotHubs") == []


def rights(chosen):
    """Who may do what, and where: readable."""
    return {
        (
            one["properties"]["description"].partition(" ")[2].split()[0],
            BUILT_IN[one["properties"]["roleDefinitionId"].rpartition("/")[2]],
            one.get("scope", "/resource group").rpartition("/")[2],
        )
        for one in of_type(deployed(chosen), "Microsoft.Authorization/roleAssignments")
    }


def test_with_azure_batch_everybody_may_do_what_is_listed_and_nothing_else():
    names = names_of(settings_of())
    assert {(role, scope) for _, role, scope in rights("azure_batch")} == {
        ("Storage Blob Data Contributor", "batch-scoring"),
        ("AcrPull", names.registry),
        ("Azure Event Hubs Data Receiver", "readings"),
        ("Key Vault Secrets User", names.key_vault),
        ("Monitoring Metrics Publisher", names.insights),
        ("Azure Batch Job Submitter", names.batch_account),
        ("Azure Batch Account Reader", names.batch_account),
        ("Azure Container Instances Contributor Role", "resource group"),
        ("Managed Identity Operator", names.identity),
    }


def test_with_container_apps_the_scheduler_may_start_shards_and_nobody_may_make_containers():
    names = names_of(settings_of())
    assert {(role, scope) for _, role, scope in rights("container_apps")} == {
        ("Storage Blob Data Contributor", "batch-scoring"),
        ("AcrPull", names.registry),
        ("Azure Event Hubs Data Receiver", "readings"),
        ("Key Vault Secrets User", names.key_vault),
        ("Monitoring Metrics Publisher", names.insights),
        ("Container Apps Jobs Operator", names.shards_job),
        ("Container Apps ManagedEnvironments Reader", names.container_apps_environment),
    }
    kinds = {one["type"].split("/")[0] for one in deployed("container_apps")}
    assert not kinds & {"Microsoft.Logic", "Microsoft.Batch", "Microsoft.BatchAI"}


def test_jobs_with_a_cron_start_the_scheduler_with_what_workflows_would_give_it():
    shards, score, train = of_type(deployed("container_apps"), "Microsoft.App/jobs")
    names = names_of(settings_of())
    assert [one["name"] for one in (shards, score, train)] == [
        *(names.shards_job, names.score_job, names.retrain_job)
    ]
    told = []
    for job, cron, seconds in ((score, "5 * * * *", 55 * 60), (train, "5 0 * * 0", 6 * 3600)):
        configuration = job["properties"]["configuration"]
        assert configuration["scheduleTriggerConfig"]["cronExpression"] == cron
        assert (configuration["replicaTimeout"], configuration["replicaRetryLimit"]) == (seconds, 1)
        (container,) = job["properties"]["template"]["containers"]
        assert container["command"] == ["/app/bin/schedule"]
        assert container["resources"] == {"cpu": 1, "memory": "2Gi"}
        told.append({one["name"]: one.get("value", one.get("secretRef")) for one in container["env"]})
    assert told[0]["SCHEDULE_FIRST"] == "import_windows" and "SCHEDULE_FIRST" not in told[1]
    assert [one["APPLICATIONINSIGHTS_CONNECTION_STRING"] for one in told] == ["insights"] * 2
    jobs, training = (
        read_parameters(JobsParameters, json.loads(one["BATCH_SCORING_JOBS"]), "jobs") for one in told
    )
    assert jobs.backend == "container_apps" and jobs.container_apps.place.job == names.shards_job
    assert jobs.container_apps.image.endswith("/batch-scoring:1.0.0")
    assert training.container_apps.image.endswith("/batch-scoring:1.0.0-train")
    limits = shards["properties"]["configuration"]
    assert (limits["replicaTimeout"], limits["replicaRetryLimit"]) == (
        *(jobs.max_wall_time.total_seconds(), jobs.retries),
    )
    assert set(shards["identity"]["userAssignedIdentities"]).isdisjoint(
        score["identity"]["userAssignedIdentities"]
    )


def test_without_an_image_there_are_no_jobs_and_without_a_server_none_retrains():
    def jobs(enabled, **more):
        whole, _ = built(settings_of(compute="container_apps", **more), enabled)
        return len(of_type(whole["resources"], "Microsoft.App/jobs"))

    assert (jobs(False), jobs(True), jobs(True, tracking_uri="https://mlflow.example")) == (0, 2, 3)


def test_a_scheduler_that_fails_or_is_missing_is_told_by_the_line_that_it_prints_last(capfd, monkeypatch):
    monkeypatch.setattr(run_scheduler, "run_child", lambda command: (69, b""))
    run_scheduler.main(["--pipeline", "score"])
    last = capfd.readouterr().out.splitlines()[-1]
    assert last == "scheduler ended with exit code 69"
    rules = {
        one["name"]: one["properties"]["criteria"]["allOf"][0]["query"]
        for one in of_type(deployed("container_apps"), "Microsoft.Insights/scheduledQueryRules")
    }
    assert list(rules) == ["scheduler-failed", "retraining-scheduler-failed", "scoring-missing"]
    names = {
        job["properties"]["template"]["containers"][0]["name"]
        for job in of_type(deployed("container_apps"), "Microsoft.App/jobs")
    }
    for query in rules.values():
        (name,) = re.findall(r'ContainerName == "([^"]+)"', query)
        assert name in names
        assert "scheduler ended with exit code" in query
    assert of_type(deployed("container_apps"), "Microsoft.Insights/metricAlerts") == []


@pytest.mark.parametrize("chosen", EVERYTHING)
def test_no_role_is_defined_which_only_an_owner_may(chosen):
    assert of_type(deployed(chosen), "Microsoft.Authorization/roleDefinitions") == []


def test_with_batch_ai_the_scheduler_may_change_one_workspace_and_nothing_else():
    names = names_of(settings_of(**EVERYTHING["batch_ai"]))
    scopes = [scope for _, role, scope in rights("batch_ai") if role == "Contributor"]
    assert scopes == [names.batch_ai_workspace]


@pytest.mark.parametrize(("chosen", "other"), [("azure_batch", "BatchAI"), ("batch_ai", "Batch")])
def test_what_is_not_wanted_is_not_in_the_template(chosen, other):
    whole, given = built(settings_of(**EVERYTHING[chosen]))
    kinds = {one["type"].split("/")[0] for one in whole["resources"]}
    assert f"Microsoft.{other}" not in kinds
    assert not any("condition" in one for one in whole["resources"])
    assert ("nodeSshPublicKey" in whole["parameters"]) is (chosen == "batch_ai")
    assert given["parameters"].keys() <= whole["parameters"].keys()


@pytest.mark.parametrize("deployer", ["", DEPLOYER])
def test_who_deploys_may_write_to_the_container_whatever_they_are(deployer):
    settings = settings_of()
    given = build_parameters(settings, names_of(settings), IMAGES, deployer=deployer)
    whole, _ = build_template(WindowsQuery(), given)
    roles = of_type(whole["resources"], "Microsoft.Authorization/roleAssignments")
    mine = [one["properties"] for one in roles if "deployerPrincipalId" in json.dumps(one)]
    # Neither a user nor a service principal: without a kind it is looked up.
    assert [one.get("principalType") for one in mine] == ([None] if deployer else [])


def test_the_identity_of_the_workflows_sees_no_data():
    whole = read_template()
    granted = [
        one.get("scope", "group")
        for one in of_type(whole["resources"], "Microsoft.Authorization/roleAssignments")
        if "workflowIdentityId" in one["properties"]["principalId"]
    ]
    assert granted == ["group", "[variables('schedulerIdentityId')]"]


def test_workflows_name_their_identity_as_it_is_and_not_by_a_parameter():
    """The service reads it when the definition is saved, before there are parameters."""
    for workflow in of_type(deployed("azure_batch"), "Microsoft.Logic/workflows"):
        calls = [
            one["inputs"]
            for one in actions_of(workflow["properties"]["definition"]).values()
            if one["type"] == "Http"
        ]
        (own,) = workflow["identity"]["userAssignedIdentities"]
        assert {one["authentication"]["identity"] for one in calls} == {own}
        assert own.endswith("/userAssignedIdentities/id-batchscore-workflow")


def test_the_names_of_role_assignments_are_the_same_whenever_they_are_deployed():
    first, second = ([one["name"] for one in deployed("azure_batch")] for _ in range(2))
    assert first == second
    text = json.dumps(read_template())
    assert "newGuid" not in text and "utcNow" not in text


@pytest.mark.parametrize("compute", ["azure_batch", "batch_ai"])
def test_the_schedulers_container_is_told_settings_that_the_jobs_take(compute):
    settings = settings_of(**EVERYTHING[compute])
    first, second = of_type(deployed(compute), "Microsoft.Logic/workflows")
    score, train = (
        {
            one["name"]: one.get("value")
            for one in workflow["properties"]["parameters"]["containerGroup"]["value"]["properties"][
                "containers"
            ][0]["properties"]["environmentVariables"]
        }
        for workflow in (first, second)
    )
    jobs = read_parameters(JobsParameters, json.loads(score["BATCH_SCORING_JOBS"]), "jobs")
    assert jobs.backend == compute and jobs.every == settings.schedule.every
    if compute == "batch_ai":
        jobs.batch_ai.check_complete()
        assert jobs.batch_ai.container.image == "batch-scoring:1.0.0"
        assert jobs.batch_ai.container.user == "puller"
        assert jobs.batch_ai.secrets == {"AZURE_STORAGE_CONNECTION_STRING": "storage-connection"}
    else:
        jobs.azure_batch.require_complete()
        AzureBatchBackend("https://a.blob.core.windows.net/b", "azure", jobs)
        assert jobs.azure_batch.pool == names_of(settings).pool
        assert jobs.azure_batch.image.endswith("/batch-scoring:1.0.0")
        assert jobs.azure_batch.environment["AZURE_CLIENT_ID"]
        trained = read_parameters(JobsParameters, json.loads(train["BATCH_SCORING_JOBS"]), "jobs")
        assert trained.azure_batch.image.endswith("/batch-scoring:1.0.0-train")
    assert score["SCHEDULE_FIRST"] == "import_windows" and "SCHEDULE_FIRST" not in train
    assert score["MLFLOW_TRACKING_URI"] == (settings.tracking_uri or "")


@pytest.mark.parametrize("nodes", [{}, {"low_priority": True, "keep_warm": "15m", "tasks_per_node": 4}])
def test_the_pool_has_the_formula_that_the_scheduler_would_give_it(nodes):
    given = parameters(settings_of(nodes=nodes))["parameters"]
    jobs = read_parameters(JobsParameters, given["jobs"]["value"], "jobs")
    assert given["autoscaleFormula"]["value"] == autoscale_formula(jobs.azure_batch)
    assert given["autoscaleInterval"]["value"] == "PT5M"


def test_workflows_are_off_where_they_are_to_be_off():
    def states(enabled, **settings):
        whole, given = built(settings_of(scheduler=LOGIC_APP, **settings), enabled)
        given = given["parameters"]
        values = {name: one.get("defaultValue") for name, one in whole["parameters"].items()}
        values |= {name: one["value"] for name, one in given.items()}
        place = Place("rg", "westeurope", values, whole["variables"])
        return [
            place.value(one["properties"]["state"])
            for one in of_type(whole["resources"], "Microsoft.Logic/workflows")
        ]

    server = {"tracking_uri": "https://mlflow.example"}
    assert states(True, **server) == ["Enabled", "Enabled"]
    assert states(True, **server, retrain={"enabled": False}) == ["Enabled", "Disabled"]
    assert states(True) == ["Enabled", "Disabled"], "without a server there is nothing to retrain into"
    assert states(False, **server) == ["Disabled", "Disabled"]


def test_a_missing_run_is_told_after_two_periods_and_a_failed_one_at_once():
    resources = deployed("azure_batch")
    missing = only(resources, "Microsoft.Insights/scheduledQueryRules")["properties"]
    assert missing["windowSize"] == "PT120M"
    (criterion,) = missing["criteria"]["allOf"]
    assert (criterion["operator"], criterion["threshold"]) == ("LessThan", 1)
    assert 'resource_workflowName_s == "logic-batchscore-score"' in criterion["query"]
    assert "Succeeded" in criterion["query"]
    failed = of_type(resources, "Microsoft.Insights/metricAlerts")
    assert [one["properties"]["criteria"]["allOf"][0]["metricName"] for one in failed] == ["RunsFailed"] * 2
    group = only(resources, "Microsoft.Insights/actionGroups")
    assert group["properties"]["emailReceivers"][0]["emailAddress"] == "ops@example.com"
    for alert in failed:
        assert alert["properties"]["actions"] != []
    # Nobody to be told: the alerts stay, without an action.
    assert of_type(deployed("plain"), "Microsoft.Insights/actionGroups") == []
    assert of_type(deployed("plain"), "Microsoft.Insights/scheduledQueryRules") == []


@pytest.mark.parametrize("chosen", EVERYTHING)
def test_no_key_is_asked_for_but_by_nodes_without_an_identity(chosen):
    whole = read_template()
    asking = [one["type"] for one in whole["resources"] if "listKeys" in json.dumps(one)]
    assert asking == ["Microsoft.KeyVault/vaults/secrets"] * 2
    assert len(of_type(deployed(chosen), "Microsoft.KeyVault/vaults/secrets")) == (
        2 if chosen == "batch_ai" else 0
    )
    assert not re.search(r"(?i)secure", " ".join(one["type"] for one in whole["parameters"].values()))


def test_the_stream_job_alone_is_the_job_of_the_whole():
    query = WindowsQuery(min_readings=2)
    alone = resource_of_type(job_template(query), "Microsoft.StreamAnalytics/streamingjobs")
    settings = settings_of()
    template, _ = build_template(query, build_parameters(settings, names_of(settings), IMAGES))
    whole = resource_of_type(template, "Microsoft.StreamAnalytics/streamingjobs")
    assert {**alone, "dependsOn": whole["dependsOn"]} == whole
    assert str(query) == whole["properties"]["transformation"]["properties"]["query"]


def test_every_parameter_is_described():
    for name, one in read_template()["parameters"].items():
        assert one["metadata"]["description"].endswith("."), name
