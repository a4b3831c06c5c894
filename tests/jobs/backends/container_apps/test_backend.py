"""The engine with the real SDK, over real sockets, on the stand-in, whose replicas are real processes."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest

from batch_scoring.core.errors import CapacityError, InputError
from batch_scoring.jobs import capacity, scheduler
from batch_scoring.jobs.backends.container_apps import statuses
from batch_scoring.jobs.capacity import CapacityWatch
from batch_scoring.jobs.specs import State
from tests.at_once import at_once
from tests.jobs.backends.container_apps.conftest import RUN, specs
from tests.waiting import wait_for

pytestmark = pytest.mark.slow  # servers and processes, together longer than the quick tests may take

NAMES = ("a", "b", "c")


def test_each_shard_is_an_execution_of_the_job_with_what_the_job_has(environment):
    engine = environment.engine(apps_cpu=0.5)
    engine.ensure()
    assert engine.submit(RUN, specs(*NAMES)) == 3
    ended = environment.wait(engine)
    assert {name: one.state for name, one in ended.items()} == dict.fromkeys(NAMES, State.SUCCEEDED)
    assert environment.executions() == dict.fromkeys(NAMES, 1)
    one = ended["a"]
    assert one.created <= one.started <= one.ended == one.changed
    assert (one.exit_code, one.reason) == (0, "")
    (container,) = {str(execution.container | {"args": None}) for execution in environment.started()}
    assert "'image': 'acme.azurecr.io/batch-scoring:1'" in container
    assert "'secretRef': 'insights'" in container and "of-the-test" not in container
    assert "{'cpu': 0.5, 'memory': '1Gi'}" in container


def test_submitting_again_starts_nothing_whoever_does_it(environment):
    names = [f"s{number}" for number in range(6)]
    new = at_once(lambda: environment.engine().submit(RUN, specs(*names)), 3)
    assert sum(new) == 6
    engine = environment.engine()
    environment.wait(engine)
    assert engine.submit(RUN, specs(*names)) == 0
    assert environment.executions() == dict.fromkeys(names, 1)


def test_a_waiting_job_and_one_at_work_are_told_apart(environment, how):
    how[""] = "hang"
    environment.apps.cores.allow(1.0)
    engine = environment.engine()
    engine.submit(RUN, specs("a", "b"))
    (working,) = wait_for(lambda: [one for one in engine.statuses(RUN) if one.state is State.RUNNING])
    assert working.node == "replica"
    assert {one.state for one in engine.statuses(RUN)} == {State.RUNNING, State.QUEUED}
    engine.cancel(RUN, ["a", "b", "unknown"])
    assert {one.state for one in environment.wait(engine).values()} == {State.CANCELLED}
    engine.cancel(RUN, ["a"])
    assert environment.executions() == {working.name: 1}


def test_a_shard_that_fails_is_tried_again_and_then_told_with_its_reason(environment, how):
    how |= {"a": "fail once", "b": "fail", "c": "mute"}
    engine = environment.engine()
    engine.submit(RUN, specs(*NAMES))
    ended = environment.wait(engine)
    assert [ended[name].state for name in NAMES] == [State.SUCCEEDED, State.FAILED, State.FAILED]
    assert ended["c"].reason == "its container ended with exit code 1"
    assert environment.executions() == {"a": 2, "b": 2, "c": 2}
    assert "exit code 1" in engine.log(RUN, "c") and "ContainerAppConsoleLogs" in engine.log(RUN, "c")
    assert engine.log(RUN, "nothing") is None


def test_failed_jobs_are_started_again_once_however_many_ask(environment, how):
    how["b"] = "fail"
    engine = environment.engine()
    engine.submit(RUN, specs(*NAMES))
    environment.wait(engine)
    how.clear()
    at_once(lambda: environment.engine().retry(RUN, specs(*NAMES)), 2)
    assert {one.state for one in environment.wait(engine).values()} == {State.SUCCEEDED}
    assert environment.executions() == {"a": 1, "b": 3, "c": 1}


def test_what_a_killed_scheduler_started_and_did_not_keep_is_found(environment):
    engine = environment.engine()
    engine.submit(RUN, specs("a"))
    (environment.data / "09_jobs" / RUN / "engine/executions.json").unlink()
    assert {one.name for one in engine.statuses(RUN)} == {"a"}
    assert engine.submit(RUN, specs(*NAMES)) == 2
    environment.wait(engine)
    assert environment.executions() == dict.fromkeys(NAMES, 1)
    environment.apps.history = 0
    assert {one.state for one in engine.statuses(RUN)} == {State.SUCCEEDED}, "by what they wrote"


def test_executions_that_the_service_lists_late_are_waited_for(environment, how):
    environment.apps.lag_seconds = 0.5
    how["b"] = "slow"
    engine = environment.engine()
    engine.submit(RUN, specs(*NAMES))
    assert len(engine.statuses(RUN)) == 3
    assert {one.state for one in environment.wait(engine).values()} == {State.SUCCEEDED}
    assert environment.scored() == set(NAMES)


def test_executions_that_the_service_has_forgotten_are_known_by_what_they_wrote(environment, monkeypatch):
    engine = environment.engine()
    engine.submit(RUN, specs(*NAMES))
    environment.apps.wait()
    environment.apps.history = 0
    assert {one.state for one in engine.statuses(RUN)} == {State.SUCCEEDED}
    (environment.data / "09_jobs" / RUN / "a.json").unlink()
    assert {one.name: one.state for one in engine.statuses(RUN)}["a"] is State.QUEUED
    monkeypatch.setattr(statuses, "LISTED_WITHIN", timedelta(0))
    lost = {one.name: one for one in engine.statuses(RUN)}["a"]
    assert lost.state is State.FAILED and "retry the job" in lost.reason


def test_a_list_of_many_pages_is_read_to_its_end(environment):
    environment.apps.page = 2
    engine = environment.engine()
    assert engine.submit(RUN, specs(*(f"s{number}" for number in range(7)))) == 7
    assert len(environment.wait(engine)) == 7


def test_a_job_that_takes_too_long_is_ended_and_told(environment, how):
    how["a"] = "hang"
    environment.make_job(retries=0, timeout=1)
    engine = environment.engine(max_wall_time=timedelta(seconds=1), retries=0)
    engine.submit(RUN, specs("a"))
    assert environment.wait(engine)["a"].reason == "took longer than jobs.max_wall_time, 1 s"


def test_a_quota_that_is_used_up_is_told_given_up_and_made_good(environment, monkeypatch):
    monkeypatch.setattr(capacity, "SECONDS_BETWEEN_LOOKS", 0.05)
    environment.apps.cores.used = 100.0
    engine, said = environment.engine(), []
    engine.submit(RUN, specs("a", "b"))
    watch = CapacityWatch(engine, RUN, timedelta(seconds=0.5), said.append)
    with pytest.raises(
        CapacityError, match=r"the quota of cores of its environment is used up \(100 of 100\)"
    ):
        scheduler.wait(engine, RUN, pause=0.02, look=watch.look)
    assert len(said) == 1 and "2 jobs wait and none runs" in said[0]
    environment.apps.cores.used = 0.0
    assert {one.state for one in environment.wait(engine).values()} == {State.SUCCEEDED}
    assert environment.executions() == {"a": 1, "b": 1}


def test_a_shortage_is_told_in_the_words_of_the_service_or_within_two_minutes(environment):
    environment.apps.cores.allow(0.0)
    engine = environment.engine()
    engine.submit(RUN, specs("a"))
    environment.apps.answers.add(403, times=99, part="/usages")
    since = datetime.now(UTC)
    assert engine.trouble(since) is None
    environment.apps.shortage = "Maximum Allowed Cores exceeded for the Managed Environment"
    assert "AssigningReplicaFailed: Maximum Allowed Cores exceeded" in engine.trouble(since)
    environment.apps.shortage = ""
    late = environment.engine(apps_slow_start=timedelta(microseconds=1))
    assert "no replica has begun" in late.trouble(since)
    # Looked for every half minute, it is told within two minutes by default.
    assert environment.settings().container_apps.slow_start.total_seconds() + 30 <= 120


def test_what_another_run_does_is_no_trouble(environment, how):
    how["a"] = "hang"
    engine = environment.engine(apps_slow_start=timedelta(microseconds=1))
    engine.submit(RUN, specs("a"))
    wait_for(lambda: [one for one in engine.statuses(RUN) if one.state is State.RUNNING])
    assert engine.trouble(datetime.now(UTC)) is None


def test_a_quota_below_one_job_ends_before_anything_is_started(environment):
    environment.apps.cores.limit = 0.5
    with pytest.raises(CapacityError, match=r"quota of cores is 0\.5, and one job takes 1"):
        environment.engine().ensure()


def test_limits_of_the_job_that_are_not_those_of_the_settings_are_told(environment, caplog):
    with caplog.at_level(logging.WARNING):
        environment.engine(retries=3).ensure()
    assert "retries them 1 times" in caplog.text and "say 180 and 3" in caplog.text


def test_a_job_with_a_cron_is_refused(environment):
    environment.make_job(trigger="Schedule")
    with pytest.raises(InputError, match="expected Manual"):
        environment.engine().ensure()
