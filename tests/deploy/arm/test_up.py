"""`up` on the stand-in for the Resource Manager, by Microsoft's own clients."""

from __future__ import annotations

import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.deploy.arm import stream_job
from batch_scoring.deploy.arm.up import DeploymentRequest, up, would
from tests.deploy.arm.templates import ACCOUNT, STREAM_JOB, VAULT, parameters, template

pytestmark = pytest.mark.slow  # a server each

WANTED = DeploymentRequest(template(), parameters(), stream_job=STREAM_JOB, key_vault=VAULT)


@pytest.fixture
def said():
    return []


def types(arm):
    return sorted(one.place.type.split("/", 1)[1] for one in arm.resources.within("/subscriptions"))


def test_everything_is_made_in_a_group_of_its_own(client, arm, said):
    outputs = up(client, WANTED, said.append)
    assert outputs == {"blobEndpoint": f"https://{ACCOUNT}.blob.core.windows.net/"}
    assert arm.groups["rg-fleet"].tags == {"batch-scoring-deployment": "fleet"}
    assert types(arm) == [
        "roleAssignments",
        "storageAccounts",
        "storageAccounts/blobServices/containers",
        "streamingjobs",
        "userAssignedIdentities",
        "vaults",
        "workflows",
    ]
    assert f"ready: Microsoft.Storage/storageAccounts {ACCOUNT}" in said
    assert said[-1] == f"started: Stream Analytics job {STREAM_JOB}"


def test_a_second_time_changes_nothing(client, arm, said):
    first = up(client, WANTED, said.append)
    before = list(arm.resources.changes)
    said.clear()
    assert up(client, WANTED, said.append) == first
    assert arm.resources.changes == before
    assert said == ["everything is as the template says; nothing to do"]


def test_what_somebody_deleted_is_made_again(client, arm, said):
    up(client, WANTED, said.append)
    arm.resources.delete(f"{client.place.group_id}/providers/Microsoft.Logic/workflows/logic-fleet-score")
    up(client, WANTED, said.append)
    assert "workflows" in types(arm)


def test_a_running_stream_job_is_stopped_to_be_changed_and_started_again(client, arm, said):
    up(client, WANTED, said.append)
    said.clear()
    up(client, DeploymentRequest(template(), parameters(enabled=True), STREAM_JOB), said.append)
    assert said[0] == f"stopped: Stream Analytics job {STREAM_JOB}, to be changed"
    assert said[-1] == f"started: Stream Analytics job {STREAM_JOB}"


@pytest.mark.parametrize("state", ["Degraded", "Scaling", "Processing", "Idle"])
def test_a_stream_job_that_runs_somehow_is_not_started_and_stopped_to_be_changed(client, arm, said, state):
    up(client, WANTED, said.append)
    path = f"{client.place.group_id}/providers/Microsoft.StreamAnalytics/streamingjobs/{STREAM_JOB}"
    arm.resources.get(path).told["jobState"] = state
    stream_job.start(client, STREAM_JOB, said.append)
    assert arm.resources.changes.count(f"{path}/start") == 1
    stream_job.stop(client, STREAM_JOB, said.append)
    assert stream_job.state(client, STREAM_JOB) == "Stopped"


def test_a_stream_job_is_started_until_its_roles_are_known(client, arm, said):
    arm.answers.add(400, "BadRequest", "Access to the event hub is denied.", part="/start", times=3)
    up(client, WANTED, said.append)
    assert arm.answers.given == 3
    waiting = f"waiting: Stream Analytics job {STREAM_JOB} does not start yet; roles take minutes to be known"
    assert said[-2:] == [waiting, f"started: Stream Analytics job {STREAM_JOB}"]


def test_a_stream_job_that_never_starts_is_told_after_a_while(client, arm, said, monkeypatch):
    monkeypatch.setattr(stream_job, "_ROLES_SECONDS", 0.05)
    arm.answers.add(400, "BadRequest", "Access to the event hub is denied.", part="/start", times=1000)
    with pytest.raises(InputError, match="Access to the event hub is denied"):
        up(client, WANTED, said.append)


def test_who_may_not_start_a_stream_job_does_not_wait(client, arm, said):
    arm.answers.add(403, "AuthorizationFailed", "The client 'x' may not.", part="/start", times=1000)
    with pytest.raises(InputError, match="ask an owner"):
        up(client, WANTED, said.append)
    assert arm.answers.given == 1


def test_a_dry_run_changes_nothing(client, server, said):
    would(client, WANTED, said.append)
    assert said[0] == "would create the resource group 'rg-fleet' in westeurope"
    up(client, WANTED, said.append)
    before = list(server.writes)
    said.clear()
    would(client, DeploymentRequest(template(), parameters(enabled=True)), said.append)
    assert server.writes == before
    assert "would change Microsoft.Logic/workflows/logic-fleet-score" in said


def test_killed_half_way_it_goes_on_where_it_was(client, arm, said, open_client):
    arm.resources.making_seconds = 0.2

    def killed(line):
        said.append(line)
        if "Microsoft.Storage/storageAccounts" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        up(client, WANTED, killed)
    assert up(open_client(), WANTED, said.append)["blobEndpoint"]
    assert "joining the deployment 'fleet', which is running" in said
    made = [one for one in arm.resources.changes if "/providers/" in one and not one.endswith("/start")]
    assert len(made) == len(set(made))


def test_another_template_is_deployed_after_the_one_that_runs(client, arm, said):
    arm.resources.making_seconds = 0.1
    with pytest.raises(KeyboardInterrupt):
        up(
            client,
            WANTED,
            lambda line: (_ for _ in ()).throw(KeyboardInterrupt) if "rg-" not in line else None,
        )
    up(client, DeploymentRequest(template(), parameters(enabled=True)), said.append)
    assert said[0] == "joining the deployment 'fleet', which is running"
    workflow = arm.resources.get(
        f"{client.place.group_id}/providers/Microsoft.Logic/workflows/logic-fleet-score"
    )
    assert workflow.sent["properties"]["state"] == "Enabled"


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": 429, "retry_after": 0, "times": 2},
        {"status": 500, "times": 1},
        {"status": 503, "times": 1, "method": "PUT"},
        {"status": 0, "times": 1, "method": "GET"},
    ],
    ids=["throttled", "failed", "unavailable", "broken"],
)
def test_what_passes_is_tried_again(client, arm, said, wrong):
    arm.answers.add(**wrong)
    assert up(client, WANTED, said.append)["blobEndpoint"]
    assert arm.answers.given == wrong["times"]


@pytest.mark.parametrize("status", [0, 500])
def test_a_lost_answer_is_no_second_deployment(client, arm, said, status):
    arm.answers.add(status, method="PUT", part="/deployments/", after=True)
    arm.resources.making_seconds = 0.5  # it still runs when the client asks again, on a slow machine too
    up(client, WANTED, said.append)
    assert said[1] == "joining the deployment 'fleet', which is running"
    assert arm.answers.given == 1


def test_a_resource_that_cannot_be_made_is_told_and_tried_again(client, arm, said):
    arm.resources.fail("vaults", "QuotaExceeded", "Too many vaults.")
    arm.resources.fail("streamingjobs/asa", "BadRequest", "Not so.")
    with pytest.raises(InputError) as told:
        up(client, WANTED, said.append)
    assert str(told.value).startswith(
        "deployment 'fleet': 2 resources could not be created, the first: BadRequest ("
    )
    failed = [line for line in said if line.startswith("failed: ")]
    assert failed[0] == f"failed: BadRequest (Microsoft.StreamAnalytics/streamingjobs/{STREAM_JOB}): Not so"
    assert failed[1].startswith(
        f"failed: QuotaExceeded (Microsoft.KeyVault/vaults/{VAULT}): Too many vaults; a quota"
    )
    assert up(client, WANTED, said.append)["blobEndpoint"]


@pytest.mark.parametrize(
    ("changes", "code", "mend"),
    [
        (
            {"resources": [{"type": "Microsoft.Nothing/at", "apiVersion": "1", "name": "x"}]},
            "not known",
            "check",
        ),
        ({"parameters": {}}, "account", "kedro deploy check"),
    ],
)
def test_a_template_that_is_refused_makes_nothing(client, arm, said, changes, code, mend):
    with pytest.raises(InputError) as told:
        up(client, DeploymentRequest(template(**changes), parameters()), said.append)
    assert code in str(told.value) and mend in str(told.value)
    assert arm.resources.within("/subscriptions") == []


@pytest.mark.parametrize(
    ("status", "code", "message", "mend"),
    [
        (403, "AuthorizationFailed", "The client 'x' may not.", "ask an owner"),
        (401, "InvalidAuthenticationTokenTenant", "Wrong tenant.", "az login --tenant"),
        (404, "SubscriptionNotFound", "No subscription.", "az account list"),
        (409, "RequestDisallowedByPolicy", "No.", "exemption"),
        (409, "QuotaExceeded", "No more.", "deploy.nodes.max_nodes"),
    ],
)
def test_what_a_person_can_mend_is_one_sentence(client, arm, said, status, code, message, mend):
    arm.answers.add(status, code, message, times=99)
    with pytest.raises(InputError) as told:
        up(client, WANTED, said.append)
    assert code in str(told.value) and mend in str(told.value)
    assert "\n" not in str(told.value)


def test_a_role_assignment_of_another_principal_is_no_missing_permission(client, arm, said):
    up(client, WANTED, said.append)
    identity = f"{client.place.group_id}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-fleet"
    # As of an identity that was deleted and made again: its id is the same, its principal another one.
    arm.resources.get(identity).told["principalId"] = "another"
    with pytest.raises(InputError) as told:
        up(client, DeploymentRequest(template(), parameters(enabled=True)), said.append)
    assert "RoleAssignmentUpdateNotPermitted" in str(told.value)
    assert "az role assignment delete --ids" in str(told.value) and "rg-fleet" in str(told.value)
    assert "lacks a permission" not in str(told.value)


def test_a_provider_that_is_not_registered_is_named(client, arm, said):
    arm.unregistered.add("microsoft.keyvault")
    with pytest.raises(InputError, match=r"az provider register --namespace Microsoft\.KeyVault"):
        up(client, WANTED, said.append)


def test_somebody_who_is_not_signed_in_is_told_so(open_client, place, server):
    from azure.core.exceptions import ClientAuthenticationError

    from batch_scoring.deploy.arm.client import Client

    class Nobody:
        def get_token(self, *_, **__):
            raise ClientAuthenticationError("DefaultAzureCredential failed to retrieve a token")

    with pytest.raises(InputError, match="not signed in to Azure; run `az login`"):
        up(Client(place, Nobody(), connection_verify=str(server.certificate)), WANTED, print)


def test_another_subscription_than_those_of_the_sign_in_is_named(open_client, place):
    from dataclasses import replace

    other = "00000000-0000-4000-8000-000000000000"
    with pytest.raises(InputError, match=f"{other}.*az account list"):
        up(open_client(place=replace(place, subscription=other)), WANTED, print)


def test_a_vault_that_was_deleted_is_taken_back(client, arm, said):
    up(client, WANTED, said.append)
    path = f"{client.place.group_id}/providers/Microsoft.KeyVault/vaults/{VAULT}"
    client.ask("DELETE", path, "2023-07-01")
    arm.resources.delete(path)
    arm.deleted_vaults[VAULT] = path
    up(client, WANTED, said.append)
    assert f"recovered: Key Vault {VAULT}, which had been deleted" in said


def test_nothing_secret_is_logged(client, said, caplog):
    with caplog.at_level("DEBUG"):
        up(client, WANTED, said.append)
    assert "rg-fleet" in caplog.text
    assert "eyJ" not in caplog.text


def test_a_group_in_another_region_is_no_place_for_it(client, arm, said):
    from tests.emulators.arm.groups import Group

    arm.groups["rg-fleet"] = Group("rg-fleet", "northeurope", {})
    with pytest.raises(InputError, match=r"deploy\.location: 'westeurope' is set, .* lies in 'northeurope'"):
        up(client, WANTED, said.append)
