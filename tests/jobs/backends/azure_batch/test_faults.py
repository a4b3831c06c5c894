"""Whatever fails, every shard is scored exactly once or reported with its reason; each fault 20 times."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.jobs.backends.azure_batch import client
from batch_scoring.jobs.specs import State
from tests.at_once import at_once
from tests.emulators.node_faults import Fault
from tests.jobs.backends.azure_batch.conftest import RUN, specs

pytestmark = pytest.mark.slow  # servers and processes, together longer than the quick tests may take

TWENTY = [f"s{number:02d}" for number in range(20)]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    """The SDK waits in tenths of a second."""
    original = client.BoundedRetry.__init__

    def quick(self):
        original(self)
        self.backoff_factor = 0.001

    monkeypatch.setattr(client.BoundedRetry, "__init__", quick)


def run_to_its_end(cluster, **changes):
    engine = cluster.engine(**changes)
    engine.ensure()
    engine.submit(RUN, specs(*TWENTY))
    return cluster.wait(engine)


def require_scored_or_reported(cluster, statuses):
    assert sorted(statuses) == TWENTY
    for name, one in statuses.items():
        assert one.state.is_final
        assert (one.state is State.SUCCEEDED) == (name in cluster.scored())
        assert (one.state is State.SUCCEEDED) == (one.reason == "")


@pytest.mark.slow
def test_nodes_are_lost_or_preempted_under_every_job(cluster, how):
    how[""] = "slow"
    for name in TWENTY:
        cluster.server.faults.add(
            Fault.NODE_LOST, seconds=0.2, fits=lambda key, name=name: key[1:] == (name, 1)
        )
    statuses = run_to_its_end(cluster, azure_low_priority=True)
    assert cluster.server.faults.happened[Fault.NODE_LOST] == 20
    require_scored_or_reported(cluster, statuses)
    assert cluster.scored() == set(TWENTY)
    # Whether a job had come to anything before its node was lost is another matter.
    tasks = cluster.server.account.jobs[RUN].tasks.values()
    assert {task.info["requeueCount"] for task in tasks} == {1}


def test_the_image_cannot_be_pulled_for_every_job(cluster):
    cluster.server.faults.add(Fault.IMAGE, times=20)
    statuses = run_to_its_end(cluster)
    require_scored_or_reported(cluster, statuses)
    assert cluster.executions() == {}
    assert {one.reason for one in statuses.values()} == {
        "ContainerInvalidImage: One or more container images specified are invalid"
    }
    cluster.engine().retry(RUN, specs(*TWENTY))
    again = cluster.wait(cluster.engine())
    assert cluster.executions() == dict.fromkeys(TWENTY, 1)
    require_scored_or_reported(cluster, again)


@pytest.mark.slow
def test_every_job_is_stuck(cluster):
    cluster.server.faults.add(Fault.STUCK, times=20)
    statuses = run_to_its_end(cluster, max_wall_time=timedelta(seconds=0.3))
    require_scored_or_reported(cluster, statuses)
    assert all(one.reason.startswith("took longer than jobs.max_wall_time") for one in statuses.values())


def test_every_job_fails_once(cluster, how):
    how[""] = "fail once"
    statuses = run_to_its_end(cluster)
    require_scored_or_reported(cluster, statuses)
    assert cluster.scored() == set(TWENTY)
    assert cluster.executions() == dict.fromkeys(TWENTY, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "code", "retry_after"),
    [
        (429, "TooManyRequests", 0.01),
        (500, "InternalError", None),
        (503, "ServerBusy", 0.01),
    ],
)
def test_the_service_is_busy_or_broken_again_and_again(cluster, status, code, retry_after):
    # Each second call is refused once.
    calls = {"count": 0}

    def every_second(method, path):
        calls["count"] += 1
        return calls["count"] % 2 == 0

    cluster.server.failures.refuse(status, code, 20, every_second, retry_after)
    statuses = run_to_its_end(cluster)
    while cluster.server.failures.happened[code] < 20:
        cluster.engine().submit(RUN, specs(*TWENTY))
        cluster.engine().nodes()
    assert cluster.scored() == set(TWENTY)
    assert cluster.executions() == dict.fromkeys(TWENTY, 1)
    require_scored_or_reported(cluster, statuses)


@pytest.mark.slow
def test_answers_are_lost_after_the_work_was_done(cluster):
    engine = cluster.engine()
    engine.ensure()
    for number in range(20):
        run = f"{RUN}-{number}"
        # In turn of the job's creation and of its tasks.
        end = ("jobs", "addtaskcollection")[number % 2]
        cluster.server.failures.lose_answer(fits=lambda method, path, end=end: path.endswith(end))
        engine.submit(run, specs(f"{number}"))
    assert cluster.server.failures.happened["AnswerLost"] == 20
    for number in range(20):
        cluster.wait(engine, f"{RUN}-{number}")
    assert cluster.executions() == {f"{number}": 1 for number in range(20)}


@pytest.mark.slow
def test_a_scheduler_that_hears_nothing_any_more_is_followed_by_another_one(cluster):
    engine = cluster.engine()
    engine.ensure()
    for number in range(20):
        run = f"{RUN}-{number}"
        posts = ("jobs", "addtaskcollection")
        step = posts[number % 2]
        cluster.server.failures.refuse(
            503, "ServerBusy", 7, lambda method, path, step=step: path.endswith(step)
        )
        with pytest.raises(InputError, match="503 ServerBusy"):
            engine.submit(run, specs(f"{number}", f"{number}b"))
        assert cluster.engine().submit(run, specs(f"{number}", f"{number}b")) == 2
    for number in range(20):
        cluster.wait(engine, f"{RUN}-{number}")
    assert cluster.executions() == {f"{number}{end}": 1 for number in range(20) for end in ("", "b")}


def test_slow_nodes_only_take_longer(cluster):
    cluster.server.faults.add(Fault.SLOW_START, times=4, seconds=0.5)
    begun = time.monotonic()
    statuses = run_to_its_end(cluster)
    assert time.monotonic() - begun > 0.5
    assert cluster.executions() == dict.fromkeys(TWENTY, 1)
    require_scored_or_reported(cluster, statuses)


def test_the_quota_of_jobs_is_told_and_submitting_later_is_enough(cluster):
    cluster.server.account.active_jobs = 0
    engine = cluster.engine()
    engine.ensure()
    with pytest.raises(InputError, match=r"the quota of active jobs is reached \(ActiveJob"):
        engine.submit(RUN, specs("a"))
    cluster.server.account.active_jobs = 300
    assert engine.submit(RUN, specs("a")) == 1
    cluster.wait(engine)


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "UnauthorizedPermission", "give it the role 'Azure Batch Data Contributor'"),
        (401, "AuthenticationFailed", "authentication failed"),
        (404, "PoolNotFound", "there is no pool 'batch-scoring'"),
        (409, "JobBeingDeleted", "being deleted"),
        (400, "InvalidPropertyValue", "it answered 400 InvalidPropertyValue: A failure on demand"),
    ],
)
def test_refusals_are_one_sentence_each(cluster, status, code, said):
    cluster.server.failures.refuse(status, code)
    with pytest.raises(InputError) as caught:
        cluster.engine().submit(RUN, specs("a"))
    text = str(caught.value)
    assert said in text
    assert cluster.server.endpoint in text
    assert "\n" not in text
    assert caught.value.__cause__ is None
    assert cluster.server.key not in text


def test_a_wrong_key_is_told(cluster, monkeypatch):
    monkeypatch.setenv("AZURE_BATCH_ACCESS_KEY", "d3Jvbmc=")
    with pytest.raises(InputError, match="authentication failed"):
        cluster.engine().ensure()


def test_a_service_that_is_not_there_is_told(cluster):
    with pytest.raises(InputError, match="it cannot be reached"):
        cluster.engine(azure_endpoint="http://127.0.0.1:9").ensure()


def test_it_is_waited_as_the_service_asks_but_no_longer_than_half_a_minute(cluster, monkeypatch):
    slept = []
    monkeypatch.setattr(
        "azure.core.pipeline.transport._requests_basic.RequestsTransport.sleep",
        lambda self, seconds: slept.append(seconds),
    )
    cluster.server.failures.refuse(429, "TooManyRequests", retry_after=7)
    cluster.server.failures.refuse(429, "TooManyRequests", retry_after=86_400)
    cluster.engine().ensure()
    assert slept == [7, 30]
    cluster.server.failures.refuse(429, "TooManyRequests", 20, retry_after=60)
    with pytest.raises(InputError, match="TooManyRequests"):
        cluster.engine().ensure()


@pytest.mark.slow
def test_two_schedulers_at_the_same_instant_make_one_set_of_jobs(cluster, trials):
    engine = cluster.engine(azure_max_nodes=2)
    engine.ensure()
    for number in range(trials):
        jobs = specs(f"{number}a", f"{number}b")
        assert sum(at_once(lambda run=f"{RUN}-{number}", jobs=jobs: cluster.engine().submit(run, jobs))) == 2
    for number in range(trials):
        cluster.wait(engine, f"{RUN}-{number}")
    assert set(cluster.executions().values()) == {1}
    assert len(cluster.executions()) == 2 * trials
