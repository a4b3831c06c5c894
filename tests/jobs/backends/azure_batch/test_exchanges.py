"""What client and stand-in say to each other is what the service's published description says."""

from dataclasses import replace
from datetime import timedelta

import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.jobs.specs import State
from tests.emulators.azure_batch.known_differences import (
    DESCRIBED_VERSION,
    DESCRIPTION,
    DIFFERENCES,
    HOST,
    is_known,
)
from tests.emulators.node_faults import Fault
from tests.emulators.oav import Exchange, Validator, require
from tests.jobs.backends.azure_batch.conftest import IDENTITY, RUN, specs
from tests.waiting import wait_for

pytestmark = pytest.mark.slow
KIND = {"content-type": "application/json; odata=minimalmetadata"}


@pytest.fixture(scope="module")
def oav():
    require(DESCRIPTION)
    with Validator(DESCRIPTION, HOST, DESCRIBED_VERSION, is_known) as running:
        yield running


def everything(cluster, how, monkeypatch):
    """Use every setting and every call of the engine, and every kind of failure."""
    monkeypatch.setenv("APPLICATIONINSIGHTS_CONNECTION_STRING", "InstrumentationKey=of-the-test")
    # Output files are part of a task when the data is in Blob Storage.
    monkeypatch.setattr(
        "batch_scoring.jobs.backends.azure_batch.backend.AzureBatchBackend._tasks", _tasks_with_output_files
    )
    how |= {"a": "fail once", "b": "fail", "c": "hang", "d": "slow"}
    server = cluster.server
    server.failures.refuse(429, "TooManyRequests", retry_after=0.01)
    server.failures.refuse(503, "ServerBusy", fits=lambda method, path: method == "PATCH")
    cluster.engine(azure_low_priority=True).ensure()
    engine = cluster.engine(
        azure_keep_warm=timedelta(minutes=5), azure_tasks_per_node=2, azure_environment={"A": "1"}
    )
    engine.ensure()
    server.faults.add(Fault.IMAGE, fits=lambda key: key[1] == "e")
    server.faults.add(Fault.NODE_LOST, seconds=0.1, fits=lambda key: key[1:] == ("d", 1))
    engine.submit(RUN, specs(*"abcdef"))
    engine.submit(RUN, specs(*"abcdefg"))
    wait_for(lambda: any(one.state is State.RUNNING for one in engine.statuses(RUN)))
    engine.nodes()
    wait_for(lambda: sum(one.state.is_final for one in engine.statuses(RUN)) == 6)
    engine.retry(RUN, specs("b"))
    engine.cancel(RUN, ["b", "c", "zzz"])
    statuses = cluster.wait(engine)
    engine.statuses(RUN, max(one.changed for one in statuses.values()))
    assert {one.state for one in statuses.values()} == {State.SUCCEEDED, State.CANCELLED, State.FAILED}
    engine.log(RUN, "a")
    engine.log(RUN, "b")
    engine.log("score-20000101t000000z", "a")
    engine.retry(RUN, specs("b", "e"))
    cluster.wait(engine)
    engine.cancel(RUN, ["a"])
    server.account.active_jobs = 0
    with pytest.raises(InputError):
        engine.submit(f"{RUN}x", specs("a"))
    engine.delete(RUN)
    monkeypatch.setenv("AZURE_BATCH_ACCESS_KEY", "d3Jvbmc=")
    with pytest.raises(InputError):
        cluster.engine().nodes()


def _tasks_with_output_files(self, wanted):
    from batch_scoring.jobs.backends.azure_batch.requests import task_request

    data = "abfs://fleet@acme.dfs.core.windows.net/data"
    jobs = replace(self._jobs, azure_batch=replace(self._settings, identity=IDENTITY))
    return [task_request(spec, data, None, jobs, {"A": "1"}) for spec in wanted]


def test_every_exchange_is_as_the_description_says(oav, cluster, how, monkeypatch, capsys):
    everything(cluster, how, monkeypatch)
    exchanges = cluster.server.recorder.exchanges
    violations = oav.violations(exchanges)
    with capsys.disabled():
        print(
            f"\nAzure Batch: {len(exchanges)} exchanges, {len(violations)} violations, "
            f"{len(DIFFERENCES)} known differences; {dict(cluster.server.calls())}"
        )
    assert [str(one) for one in violations] == []
    assert len(exchanges) > 50
    kinds = {one.status for one in exchanges}
    assert {200, 201, 202, 204, 401, 404, 409, 429, 503} <= kinds


def test_what_is_not_as_the_description_says_is_found(oav):
    good = Exchange(
        "POST", "/jobs?api-version=2025-06-01", 201, KIND, {"id": "a", "poolInfo": {"poolId": "p"}}
    )
    assert oav.violations([good]) == []
    wrong = [
        Exchange("POST", "/jobs?api-version=2025-06-01", 201, KIND, {"id": "a", "pool": {"poolId": "p"}}),
        Exchange(
            *("GET", "/jobs/x/tasks?api-version=2025-06-01", 200),
            response_headers=KIND,
            response_body={"value": [{"id": "t", "state": "happy"}]},
        ),
        Exchange("GET", "/nowhere?api-version=2025-06-01", 200),
    ]
    found = oav.violations(wrong)
    assert {(one.path, one.side) for one in found} >= {
        ("/jobs", "request"),
        ("/jobs/x/tasks", "response"),
        ("/nowhere", "request"),
    }
