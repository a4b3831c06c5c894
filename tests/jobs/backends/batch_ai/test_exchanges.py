"""What client and stand-in say to each other is what the service's published description says."""

import pytest
from azure.core.exceptions import HttpResponseError
from azure.mgmt.batchai import models

from batch_scoring.jobs.backends.batch_ai.settings import FileServerSettings
from batch_scoring.jobs.specs import State
from tests.emulators.node_faults import Fault
from tests.emulators.oav import Exchange, Validator, require
from tests.jobs.backends.batch_ai.stand_in import LOGS, RUN, VAULT, specs, wait

DESCRIPTION = "batchai/resource-manager/Microsoft.BatchAI/stable/2018-05-01/*.json"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def oav():
    require(DESCRIPTION)
    with Validator(DESCRIPTION, "management.azure.com") as running:
        yield running


def everything(stand_in):
    """Use every setting and every operation of the service that there is a use for."""
    share = {"kind": "files", "path": "share", "account": "acct", "share": "s", "key_secret": "storage-key"}
    backend = stand_in.backend(
        "fail once",
        file_server=FileServerSettings(name="nfs"),
        mounts=[
            LOGS,
            share,
            {"kind": "file_server", "path": "own"},
            {"kind": "nfs", "path": "nfs", "source": "10.0.0.4:/x", "of": "job"},
        ],
        secrets={"TOKEN": "token"},
        inputs={"IN": "$AZ_BATCHAI_MOUNT_ROOT/own"},
        outputs={"OUT": "$AZ_BATCHAI_MOUNT_ROOT/share"},
        preparation="true",
        cluster={"app_insights": f"{VAULT}-insights", "app_insights_secret": "insights", "image": "p:o:s"},
        jobs={"retries": 1},
    )
    stand_in.service.answers.add(429, "TooManyRequests", times=2, part="/clusters/", retry_after=0)
    stand_in.service.answers.add(503, "ServerBusy", times=2, method="PUT", part="/jobs/")
    backend.ensure()
    stand_in.service.faults.add(Fault.IMAGE, fits=lambda key: "s01" in str(key))
    stand_in.service.faults.add(Fault.NODE_LOST, fits=lambda key: "s02" in str(key))
    backend.submit(RUN, specs(5))
    backend.nodes()
    ended = wait(backend)
    assert [one.state for one in ended.values()].count(State.SUCCEEDED) == 4
    backend.log(RUN, specs(1)[0].name)
    backend.submit(RUN, specs(6))
    backend.cancel(RUN, [spec.name for spec in specs(6)])
    backend.retry(RUN, specs(2))
    wait(backend)
    stand_in.backend(cluster={"max_nodes": 2}).ensure()
    the_rest(backend, stand_in)
    backend.delete(RUN)
    backend.delete(RUN)
    client, place = backend._client, ("rg", "batch-scoring")
    client.clusters.begin_delete(*place, "scoring").wait()
    client.workspaces.begin_delete(*place).wait()


def the_rest(backend, stand_in):
    """Operations that the engine itself has no use for."""
    client, place = backend._client, ("rg", "batch-scoring")
    list(client.operations.list())
    list(client.usages.list("eastus"))
    list(client.clusters.list_remote_login_information(*place, "scoring"))
    list(client.workspaces.list())
    list(client.workspaces.list_by_resource_group("rg"))
    client.workspaces.update(*place, models.WorkspaceUpdateParameters(tags={"a": "b"}))
    list(client.clusters.list_by_workspace(*place))
    list(client.experiments.list_by_workspace(*place))
    list(client.jobs.list_remote_login_information(*place, RUN, specs(1)[0].name))
    client.jobs.get(*place, RUN, specs(1)[0].name)
    client.jobs.begin_delete(*place, RUN, specs(1)[0].name).wait()
    with pytest.raises(HttpResponseError):
        client.jobs.get(*place, RUN, specs(1)[0].name)


def test_every_exchange_is_as_the_description_says(oav, make, capsys):
    stand_in = make(page=4)
    everything(stand_in)
    exchanges = stand_in.server.recorder.exchanges
    violations = oav.violations(exchanges)
    with capsys.disabled():
        print(f"\nBatch AI: {len(exchanges)} exchanges, {len(violations)} violations")
    assert [str(one) for one in violations] == []
    assert len(exchanges) > 60


def test_what_is_not_as_the_description_says_is_found(oav):
    place = (
        "/subscriptions/s/resourceGroups/rg/providers/Microsoft.BatchAI/workspaces/w?api-version=2018-05-01"
    )
    kind = {"content-type": "application/json"}
    good = Exchange("PUT", place, 200, kind, {"location": "eastus"}, kind, {"location": "eastus"})
    assert oav.violations([good]) == []
    wrong = Exchange("PUT", place, 200, kind, {"place": "eastus"}, kind, {"properties": {"creationTime": 1}})
    sides = {one.side for one in oav.violations([wrong])}
    assert sides == {"request", "response"}
