"""`up` on the stand-in for the Resource Manager, by Microsoft's own clients."""

from __future__ import annotations

import pytest

from batch_scoring.deploy.arm.deployment import Wanted, up, would
from batch_scoring.fleet.errors import InputError
from tests.deploy.arm.templates import ACCOUNT, STREAM_JOB, VAULT, parameters, template

WANTED = Wanted(template(), parameters(), stream_job=STREAM_JOB, key_vault=VAULT)


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
    up(client, Wanted(template(), parameters(enabled=True), STREAM_JOB), said.append)
    assert said[0] == f"stopped: Stream Analytics job {STREAM_JOB}, to be changed"
    assert said[-1] == f"started: Stream Analytics job {STREAM_JOB}"
