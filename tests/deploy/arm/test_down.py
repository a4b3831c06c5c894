"""`down` on the stand-in: everything goes but the data, in an order in which nothing comes back."""

from __future__ import annotations

import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.deploy.arm.down import remove, survey
from batch_scoring.deploy.arm.up import DeploymentRequest, up
from tests.deploy.arm.templates import ACCOUNT, STREAM_JOB, VAULT, parameters, template

pytestmark = pytest.mark.slow  # a server each

WANTED = DeploymentRequest(template(), parameters(), STREAM_JOB, VAULT)


@pytest.fixture
def deployed(client, arm):
    up(client, WANTED, lambda line: None)
    return client


def put(client, kind, version, name, **body):
    client.ask("PUT", f"{client.place.group_id}/providers/{kind}/{name}", version, {"location": "x"} | body)


def left(arm):
    return sorted(one.place.type.split("/", 1)[1] for one in arm.resources.within("/subscriptions"))


def names(items):
    return [one.name for one in items]


def test_everything_goes_but_the_data(deployed, arm):
    said = []
    remove(deployed, survey(deployed), said.append)
    assert left(arm) == ["storageAccounts", "storageAccounts/blobServices/containers"]
    assert arm.deployments == {} and arm.deleted_vaults == {}
    assert said[0] == "deleted: Microsoft.Logic/workflows logic-fleet-score"
    assert said[-1] == "deleted: Microsoft.ManagedIdentity/userAssignedIdentities id-fleet"


def test_a_second_time_there_is_nothing_to_do(deployed, server):
    remove(deployed, survey(deployed), print)
    before = list(server.writes)
    again = survey(deployed)
    assert again.is_empty and names(again.kept) == [ACCOUNT]
    remove(deployed, again, print)
    assert server.writes == before


def test_without_a_group_there_is_nothing_to_do(client):
    assert survey(client).is_empty


def test_data_goes_with_the_whole_group_when_it_is_to(deployed, arm):
    found = survey(deployed, deletes_data=True)
    assert ACCOUNT in names(found.going) and found.group_goes
    remove(deployed, found, print)
    assert arm.groups == {} and left(arm) == []


def test_containers_that_a_workflow_left_go_too(deployed, arm):
    put(deployed, "Microsoft.ContainerInstance/containerGroups", "2023-05-01", "score-0815")
    assert names(survey(deployed).going)[:2] == ["logic-fleet-score", "score-0815"]


def test_what_others_put_into_their_own_group_stays(client, arm):
    from tests.emulators.arm.groups import Group

    arm.groups["rg-fleet"] = Group("rg-fleet", "westeurope", {})
    put(client, "Microsoft.ContainerRegistry/registries", "2023-07-01", "theirs")
    put(client, "Microsoft.ContainerInstance/containerGroups", "2023-05-01", "score-0815")
    up(client, WANTED, print)
    found = survey(client, deletes_data=True)
    assert names(found.foreign) == ["theirs"] and not found.group_goes
    assert "score-0815" in names(found.going)
    remove(client, found, print)
    assert left(arm) == ["registries"]


def test_interrupted_it_goes_on(deployed, arm):
    def killed(line):
        if "vaults" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        remove(deployed, survey(deployed), killed)
    assert "roleAssignments" in left(arm)
    remove(deployed, survey(deployed), print)
    assert left(arm) == ["storageAccounts", "storageAccounts/blobServices/containers"]


def test_a_role_whose_identity_is_gone_already_goes_too(deployed, arm):
    arm.resources.delete(
        f"{deployed.place.group_id}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-fleet"
    )
    assert len(survey(deployed).extensions) == 1


def test_somebody_elses_role_on_the_data_stays(deployed, arm):
    scope = f"{deployed.place.group_id}/providers/Microsoft.Storage/storageAccounts/{ACCOUNT}"
    path = f"{scope}/providers/Microsoft.Authorization/roleAssignments/11111111-0000-4000-8000-000000000000"
    body = {"properties": {"principalId": "a-person", "roleDefinitionId": "/roles/reader"}}
    deployed.ask("PUT", path, "2022-04-01", body)
    remove(deployed, survey(deployed), print)
    assert left(arm).count("roleAssignments") == 1


def test_while_it_is_being_deployed_nothing_is_taken_down(client, arm):
    arm.resources.making_seconds = 0.3
    with pytest.raises(KeyboardInterrupt):
        up(
            client,
            WANTED,
            lambda line: (_ for _ in ()).throw(KeyboardInterrupt) if "rg-" not in line else None,
        )
    with pytest.raises(InputError, match="it is still running; wait until `kedro deploy status`"):
        survey(client)


def test_a_subnet_that_container_instances_holds_is_waited_for(deployed, arm):
    put(deployed, "Microsoft.Network/virtualNetworks", "2024-05-01", "vnet-fleet")
    arm.answers.add(
        400, "InUseSubnetCannotBeDeleted", "In use.", method="DELETE", part="virtualNetworks", times=2
    )
    remove(deployed, survey(deployed), print)
    assert left(arm) == ["storageAccounts", "storageAccounts/blobServices/containers"]


def test_a_subnet_that_is_never_released_is_told_with_what_to_do(deployed, arm, monkeypatch):
    monkeypatch.setattr("batch_scoring.deploy.arm.down._RELEASE_SECONDS", 0.0)
    put(deployed, "Microsoft.Network/virtualNetworks", "2024-05-01", "vnet-fleet")
    arm.answers.add(
        400, "InUseSubnetCannotBeDeleted", "In use.", method="DELETE", part="virtualNetworks", times=9
    )
    with pytest.raises(InputError, match=r"vnet-fleet: InUseSubnet.*; Container Instances has not released"):
        remove(deployed, survey(deployed), print)


def test_what_cannot_be_deleted_is_told(deployed, arm):
    arm.answers.add(409, "ScopeLocked", "There is a lock.", method="DELETE", part="streamingjobs", times=1)
    with pytest.raises(
        InputError, match=r"streamingjobs asa-fleet: ScopeLocked: There is a lock; a lock protects"
    ):
        remove(deployed, survey(deployed), print)


def test_a_deletion_that_ends_failed_is_told(deployed, arm):
    arm.fail_operation("streamingjobs", "InternalServerError", "It did not work.")
    with pytest.raises(InputError, match=r"InternalServerError.*It did not work"):
        remove(deployed, survey(deployed), print)
    assert "streamingjobs" in left(arm)


def test_a_vault_that_is_protected_is_told_of(deployed, arm):
    arm.answers.add(403, "Forbidden", "Protected.", method="POST", part="/purge", times=1)
    said = []
    remove(deployed, survey(deployed), said.append)
    assert any("is protected from purging" in line for line in said)
    assert list(arm.deleted_vaults) == [VAULT]
    up(deployed, WANTED, said.append)
    assert arm.deleted_vaults == {}
