"""Whatever fails: every job has scored exactly once, or it is reported with its reason."""

import socket
import time
from datetime import timedelta

import pytest
from azure.core.exceptions import ClientAuthenticationError

from batch_scoring.core.errors import InputError
from batch_scoring.jobs.backends.batch_ai.backend import BatchAIBackend
from batch_scoring.jobs.specs import State
from tests.emulators.clock import Clock
from tests.emulators.node_faults import Fault
from tests.jobs.backends.batch_ai.stand_in import LOGS, RUN, specs, wait
from tests.waiting import wait_for

pytestmark = pytest.mark.slow  # servers and processes, together longer than the quick tests may take

TIMES = 20
JOBS = f"/experiments/{RUN}/jobs/"


def names(count):
    return [spec.name for spec in specs(count)]


def score(stand_in, count, **more):
    """Submit so many jobs and wait for their end."""
    backend = stand_in.backend(**more)
    backend.ensure()
    backend.submit(RUN, specs(count))
    return backend, wait(backend)


@pytest.mark.slow
@pytest.mark.parametrize("status", [409, 429, 500, 503])
@pytest.mark.parametrize("after", [False, True], ids=["before it is done", "after it was done"])
def test_creations_that_are_refused_or_answered_wrongly_end_in_one_scoring_each(stand_in, status, after):
    retry_after = 0 if status == 429 else None
    stand_in.service.answers.add(
        *(status, "Injected"), times=TIMES, method="PUT", part=JOBS, retry_after=retry_after, after=after
    )
    _, ended = score(stand_in, TIMES)
    assert stand_in.service.answers.given == TIMES
    assert {one.state for one in ended.values()} == {State.SUCCEEDED}
    assert sorted(stand_in.lines("scorings")) == names(TIMES)


@pytest.mark.slow
def test_a_service_that_stumbles_at_everything_is_asked_again(stand_in):
    stand_in.service.answers.add(503, times=TIMES)
    backend, gave_up = stand_in.backend(at_once=1), 0
    while stand_in.service.answers.given < TIMES:
        try:
            backend.ensure()
            backend.submit(RUN, specs(3))
        except InputError as error:
            assert "the service failed (503" in str(error)
            gave_up += 1
    assert gave_up == 3, "of six tries each"
    wait(backend)
    assert sorted(stand_in.lines("scorings")) == names(3)


@pytest.mark.slow
def test_nodes_that_are_lost_while_they_score_are_replaced(stand_in):
    stand_in.service.faults.add(Fault.NODE_LOST, times=TIMES, seconds=0.05)
    _, ended = score(stand_in, TIMES, how="slow")
    assert stand_in.service.faults.happened[Fault.NODE_LOST] == TIMES
    assert {one.state for one in ended.values()} == {State.SUCCEEDED}
    assert sorted(stand_in.lines("scorings")) == names(TIMES)


def test_nodes_that_are_preempted_are_replaced(stand_in):
    backend = stand_in.backend(how="slow", cluster={"priority": "lowpriority"})
    backend.ensure()
    backend.submit(RUN, specs(2))
    (cluster,) = stand_in.service.clusters.values()
    wait_for(cluster.preempt)
    assert {one.state for one in wait(backend).values()} == {State.SUCCEEDED}
    assert sorted(stand_in.lines("scorings")) == names(2)


@pytest.mark.slow
def test_jobs_that_lost_their_node_for_good_are_reported_and_can_be_run_again(make):
    stand_in = make(requeues=False)
    stand_in.service.faults.add(Fault.NODE_LOST, times=TIMES, seconds=0.05)
    backend, ended = score(stand_in, TIMES, how="slow")
    assert {one.state for one in ended.values()} == {State.FAILED}
    assert all("its node was lost (NodeLost" in one.reason for one in ended.values())
    backend.retry(RUN, specs(TIMES))
    assert {one.state for one in wait(backend).values()} == {State.SUCCEEDED}
    assert sorted(stand_in.lines("scorings")) == names(TIMES)


@pytest.mark.slow
def test_containers_that_do_not_start_are_reported_and_can_be_run_again(stand_in):
    stand_in.service.faults.add(Fault.IMAGE, times=TIMES)
    backend, ended = score(stand_in, TIMES)
    assert {one.state for one in ended.values()} == {State.FAILED}
    assert all("the container did not start" in one.reason for one in ended.values())
    assert stand_in.lines("begun") == []
    backend.retry(RUN, specs(TIMES))
    assert {one.state for one in wait(backend).values()} == {State.SUCCEEDED}
    assert sorted(stand_in.lines("scorings")) == names(TIMES)


@pytest.mark.slow
def test_jobs_that_are_stuck_are_ended_and_reported(make):
    stand_in = make(clock=Clock(20))
    stand_in.service.faults.add(Fault.STUCK, times=TIMES)
    # Two seconds of the service's time are a tenth of ours.
    jobs = {"max_wall_time": timedelta(seconds=1)}
    backend, ended = score(stand_in, TIMES, jobs=jobs)
    assert [(one.state, one.reason) for one in ended.values()] == [
        (State.FAILED, "took longer than jobs.max_wall_time")
    ] * TIMES
    backend = stand_in.backend()
    backend.retry(RUN, specs(TIMES))
    wait(backend)
    assert sorted(stand_in.lines("scorings")) == names(TIMES)


def test_nodes_that_start_slowly_are_waited_for(stand_in):
    stand_in.service.faults.add(Fault.SLOW_START, times=4, seconds=0.7)
    _, ended = score(stand_in, 2)
    assert {one.state for one in ended.values()} == {State.SUCCEEDED}


def test_jobs_that_no_node_will_come_for_are_reported_with_the_quota(make):
    stand_in = make(quota=0)
    backend = stand_in.backend()
    backend.ensure()
    backend.submit(RUN, specs(2))
    with pytest.raises(InputError, match=r"no node can be started \(QuotaReached: .* ask for more quota"):
        wait(backend)
    for cluster in stand_in.service.clusters.values():
        cluster.quota = None
    wait_for(lambda: len(stand_in.lines("scorings")) == 2)


def test_mounts_that_the_nodes_are_refused_are_reported(stand_in):
    backend = stand_in.backend(mounts=[LOGS | {"key_secret": "registry"}])
    backend.ensure()
    backend.submit(RUN, specs(1))
    with pytest.raises(InputError, match=r"NodeSetupFailed: the key of account acct is refused"):
        wait(backend)


def test_a_secret_that_the_vault_does_not_have_is_reported(stand_in):
    _, ended = score(stand_in, 1, secrets={"TOKEN": "no-such-secret"})
    (one,) = ended.values()
    assert one.state is State.FAILED
    assert "no-such-secret was not found" in one.reason


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((403, "AuthorizationFailed"), "needs the role Contributor on the resource group 'rg'"),
        ((401, "ExpiredToken"), "the sign-in is refused (ExpiredToken)"),
        ((400, "BadRequest"), "the service refused the request (400 BadRequest: An injected fault)"),
        ((409, "ClusterQuotaExceeded", "The quota of clusters is reached."), "the quota is reached"),
    ],
)
def test_what_a_person_has_to_mend_is_told_in_a_sentence(stand_in, answer, told):
    stand_in.service.answers.add(*answer, times=100, method="PUT", part="/clusters/")
    with pytest.raises(InputError) as error:
        stand_in.backend().ensure()
    assert str(error.value).startswith("Batch AI, cluster 'scoring': ")
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_a_service_that_wants_an_hour_of_patience_is_not_waited_for(stand_in):
    backend = stand_in.backend()
    backend.ensure()
    stand_in.service.answers.add(429, "TooManyRequests", times=100, part="/jobs", retry_after=3600)
    began = time.monotonic()
    with pytest.raises(InputError, match=r"submit again after 3600 s"):
        backend.submit(RUN, specs(3))
    assert time.monotonic() - began < 60
    stand_in.service.answers.clear()
    backend.submit(RUN, specs(3))
    wait(backend)
    assert sorted(stand_in.lines("scorings")) == names(3)


def test_a_service_that_fails_for_good_is_told(stand_in):
    stand_in.service.answers.add(503, "ServerBusy", times=1000)
    with pytest.raises(InputError, match=r"the service failed \(503 ServerBusy\), also on retries"):
        stand_in.backend().ensure()


def test_a_workspace_that_is_gone_is_told(stand_in):
    backend = stand_in.backend()
    with pytest.raises(InputError, match=r"not found \(ParentResourceNotFound: .*workspace"):
        backend.submit(RUN, specs(1))


def test_a_cluster_that_is_gone_is_told_at_the_first_job(stand_in):
    backend = stand_in.backend()
    backend.resources.ensure_workspace()
    with pytest.raises(InputError, match=r"job 's00-0123abcd': not found \(ClusterNotFound"):
        backend.submit(RUN, specs(1))


def test_an_endpoint_that_nobody_answers_at_is_told(stand_in):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    backend = stand_in.backend(endpoint=f"https://127.0.0.1:{port}")
    with pytest.raises(InputError, match=r"does not answer; .* retired in 2019"):
        backend.ensure()


def test_somebody_who_is_not_signed_in_is_told_how(stand_in):
    class Nobody:
        def get_token(self, *_, **__):
            raise ClientAuthenticationError("DefaultAzureCredential failed to retrieve a token")

    backend = BatchAIBackend(str(stand_in.data), None, stand_in.settings(), credential=Nobody())
    with pytest.raises(InputError, match=r"not signed in; run `az login`"):
        backend.ensure()
