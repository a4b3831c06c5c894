"""Whatever fails, every shard is scored exactly once or reported with its reason."""

from __future__ import annotations

from datetime import timedelta

import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.jobs.specs import State
from tests.at_once import at_once
from tests.emulators.node_faults import Fault
from tests.jobs.backends.container_apps.conftest import RUN, specs

pytestmark = pytest.mark.slow  # servers and processes, together longer than the quick tests may take

FIVE = [f"s{number}" for number in range(5)]


def run_to_its_end(environment, **changes):
    engine = environment.engine(**changes)
    engine.ensure()
    engine.submit(RUN, specs(*FIVE))
    ended = environment.wait(engine)
    assert sorted(ended) == FIVE
    for name, one in ended.items():
        assert (one.state is State.SUCCEEDED) == (name in environment.scored())
        assert (one.state is State.SUCCEEDED) == (one.reason == "")
    return ended


def test_machines_are_lost_under_every_job(environment, how):
    how[""] = "slow"
    for name in FIVE:
        environment.apps.faults.add(
            Fault.NODE_LOST, seconds=0.2, fits=lambda key, name=name: key[1:] == (name, 1)
        )
    run_to_its_end(environment)
    assert environment.apps.faults.happened[Fault.NODE_LOST] == 5
    assert environment.scored() == set(FIVE)


def test_the_image_cannot_be_pulled_for_every_job(environment):
    environment.apps.faults.add(Fault.IMAGE, times=10)
    ended = run_to_its_end(environment)
    assert environment.executions() == {}
    assert {one.reason for one in ended.values()} == {"ImagePullBackOff: the image could not be pulled"}
    engine = environment.engine()
    engine.retry(RUN, specs(*FIVE))
    environment.wait(engine)
    assert environment.executions() == dict.fromkeys(FIVE, 1)


def test_every_job_is_stuck(environment):
    environment.make_job(retries=0, timeout=1)
    environment.apps.faults.add(Fault.STUCK, times=5)
    ended = run_to_its_end(environment, max_wall_time=timedelta(seconds=1), retries=0)
    assert all(one.reason.startswith("took longer than jobs.max_wall_time") for one in ended.values())


@pytest.mark.parametrize("after", [False, True], ids=["before it is done", "after it was done"])
@pytest.mark.parametrize("status", [0, 429, 503], ids=["no answer", "429", "503"])
def test_starts_that_are_refused_or_whose_answer_is_lost_are_one_execution_each(environment, status, after):
    environment.apps.answers.add(status, "Injected", times=5, method="POST", part="/start", after=after)
    run_to_its_end(environment)
    assert environment.apps.answers.given == 5
    assert environment.executions() == dict.fromkeys(FIVE, 1)


def test_a_retry_whose_answer_is_lost_is_one_execution(environment, how):
    how[""] = "fail"
    engine = environment.engine()
    engine.submit(RUN, specs("a"))
    environment.wait(engine)
    how[""] = "slow"
    environment.apps.answers.add(503, method="POST", part="/start", after=True)
    engine.retry(RUN, specs("a"))
    assert environment.wait(engine)["a"].state is State.SUCCEEDED
    assert len(environment.started()) == 2


def test_a_service_that_only_accepts_names_nothing_and_is_followed_all_the_same(environment):
    environment.apps.is_accepting_only = True
    run_to_its_end(environment)
    assert environment.executions() == dict.fromkeys(FIVE, 1)


def test_a_scheduler_that_hears_nothing_any_more_is_followed_by_another_one(environment):
    environment.apps.answers.add(503, "ServerBusy", times=12, method="POST", part="/start")
    with pytest.raises(InputError, match="503 ServerBusy"):
        environment.engine().submit(RUN, specs("a", "b"))
    engine = environment.engine()
    assert engine.submit(RUN, specs("a", "b")) == 2
    environment.wait(engine)
    assert environment.executions() == {"a": 1, "b": 1}


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "AuthorizationFailed", "give it the role 'Container Apps Jobs Operator'"),
        (401, "InvalidAuthenticationToken", "authentication failed"),
        (404, "ResourceNotFound", "run `kedro deploy up` once the registry has the image"),
        (400, "InvalidRequestContent", "it answered 400 InvalidRequestContent: An injected fault"),
        (400, "QuotaExceeded", "a quota is reached"),
    ],
)
def test_refusals_are_one_sentence_each(environment, status, code, said):
    environment.apps.answers.add(status, code, method="POST")
    with pytest.raises(InputError) as caught:
        environment.engine().submit(RUN, specs("a"))
    text = str(caught.value)
    assert said in text and "\n" not in text
    assert caught.value.__cause__ is None


def test_a_service_that_is_not_there_is_told(environment):
    with pytest.raises(InputError, match="cannot be reached"):
        environment.engine(apps_endpoint="https://127.0.0.1:9").ensure()


def test_two_schedulers_at_the_same_instant_start_one_set_of_jobs(environment, trials):
    engine = environment.engine()
    for number in range(trials):
        run, jobs = f"{RUN}-{number}", specs(f"{number}a", f"{number}b")
        jobs = [type(one)(run, one.name, one.pipeline, one.at, one.sensors) for one in jobs]
        assert sum(at_once(lambda run=run, jobs=jobs: environment.engine().submit(run, jobs), 2)) == 2
    for number in range(trials):
        environment.wait(engine, f"{RUN}-{number}")
    assert set(environment.executions().values()) == {1}
    assert len(environment.executions()) == 2 * trials
