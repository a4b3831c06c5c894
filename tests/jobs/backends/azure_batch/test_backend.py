"""The engine with the real SDK, over real sockets, on the stand-in, whose jobs are real processes."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta

import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.jobs import scheduler
from batch_scoring.jobs.backends.azure_batch import client
from batch_scoring.jobs.backends.azure_batch.autoscale import autoscale_formula
from batch_scoring.jobs.specs import State
from tests.at_once import at_once
from tests.jobs.backends.azure_batch.conftest import RUN, specs
from tests.waiting import wait_for

pytestmark = pytest.mark.slow  # servers and processes, together longer than the quick tests may take

NAMES = ("a", "b", "c")


def test_a_run_from_zero_nodes_and_back_to_zero(cluster):
    engine = cluster.engine()
    engine.ensure()
    assert engine.nodes().total == 0
    assert engine.submit(RUN, specs(*NAMES)) == 3
    statuses = cluster.wait(engine)
    assert {name: one.state for name, one in statuses.items()} == dict.fromkeys(NAMES, State.SUCCEEDED)
    assert cluster.executions() == dict.fromkeys(NAMES, 1)
    one = statuses["a"]
    assert one.created < one.started < one.ended == one.changed
    assert (one.node[:5], one.exit_code, one.reason) == ("node-", 0, "")
    wanted = [target for _, target in cluster.server.account.pools["batch-scoring"].history]
    assert 0 < max(wanted) <= 4
    wait_for(lambda: engine.nodes().total == 0)
    assert cluster.server.account.jobs[RUN].state == "completed"


def test_submitting_again_changes_nothing(cluster):
    engine = cluster.engine()
    engine.ensure()
    engine.submit(RUN, specs(*NAMES))
    assert cluster.engine().submit(RUN, specs(*NAMES)) == 0
    cluster.wait(engine)
    assert cluster.engine().submit(RUN, specs(*NAMES)) == 0
    assert list(cluster.server.account.jobs) == [RUN]
    assert cluster.executions() == dict.fromkeys(NAMES, 1)


def test_schedulers_at_once_give_one_set_of_jobs(cluster):
    names = [f"s{number}" for number in range(12)]

    def schedule():
        engine = cluster.engine()
        engine.ensure()
        return engine.submit(RUN, specs(*names))

    new = at_once(schedule, 4)
    cluster.wait(cluster.engine())
    assert sum(new) == 12
    assert cluster.executions() == dict.fromkeys(names, 1)
    assert len(cluster.server.account.pools) == 1


def test_what_a_killed_scheduler_left_out_is_added(cluster):
    engine = cluster.engine()
    engine.ensure()
    engine._create_job(RUN)
    client.add_tasks(engine._client, RUN, engine._tasks(specs("a")))
    assert cluster.engine().submit(RUN, specs(*NAMES)) == 2
    cluster.wait(engine)
    assert cluster.executions() == dict.fromkeys(NAMES, 1)
    assert cluster.server.account.jobs[RUN].state == "completed"


def test_what_is_missing_in_a_run_that_has_ended_goes_to_a_second_job(cluster):
    engine = cluster.engine()
    engine.ensure()
    engine.submit(RUN, specs("a"))
    cluster.wait(engine)
    assert engine.submit(RUN, specs(*NAMES)) == 2
    assert set(cluster.wait(engine)) == set(NAMES)
    assert sorted(cluster.server.account.jobs) == [RUN, f"{RUN}-r2"]
    assert cluster.executions() == dict.fromkeys(NAMES, 1)


def test_only_what_has_changed_is_told(cluster, monkeypatch, how):
    monkeypatch.setattr("batch_scoring.jobs.backends.azure_batch.backend._OVERLAP", timedelta(0))
    how["c"] = "slow"
    engine = cluster.engine(azure_max_nodes=1)
    engine.ensure()
    engine.submit(RUN, specs(*NAMES))
    follower, told = scheduler.Follower(engine, RUN), []
    while not told or not all(one.state.is_final for one in follower._known.values()):
        since = max((one.changed for one in follower._known.values()), default=None)
        told.append(len(engine.statuses(RUN, since)))
        follower.poll()
        time.sleep(0.05)
    assert told[0] == 3
    assert told[-1] <= 2
    assert {one.state for one in follower.poll()} == {State.SUCCEEDED}


def test_a_shard_that_fails_is_tried_again_and_then_told_with_its_reason(cluster, how):
    how |= {"a": "fail once", "b": "fail"}
    engine = cluster.engine()
    engine.ensure()
    engine.submit(RUN, specs(*NAMES))
    statuses = cluster.wait(engine)
    assert [statuses[name].state for name in NAMES] == [State.SUCCEEDED, State.FAILED, State.SUCCEEDED]
    assert statuses["b"].reason == "its container ended with exit code 1"
    assert cluster.executions() == {"a": 2, "b": 2, "c": 1}


def test_retry_of_a_run_that_has_ended(cluster, how):
    how["b"] = "fail"
    engine = cluster.engine(retries=0)
    engine.ensure()
    engine.submit(RUN, specs(*NAMES))
    cluster.wait(engine)
    how.clear()
    engine.retry(RUN, specs(*NAMES))
    assert {one.state for one in cluster.wait(engine).values()} == {State.SUCCEEDED}
    assert cluster.executions() == {"a": 1, "b": 2, "c": 1}
    assert [*cluster.server.account.jobs[f"{RUN}-r2"].tasks] == ["b"]


def test_retry_while_others_still_run(cluster, how):
    how |= {"a": "fail", "c": "hang"}
    engine = cluster.engine(retries=0)
    engine.ensure()
    engine.submit(RUN, specs(*NAMES))
    wait_for(lambda: any(one.state is State.FAILED for one in engine.statuses(RUN)))
    how["a"] = ""
    engine.retry(RUN, specs("a"))
    wait_for(lambda: {one.state for one in engine.statuses(RUN) if one.name != "c"} == {State.SUCCEEDED})
    assert list(cluster.server.account.jobs) == [RUN]
    engine.cancel(RUN, ["c"])
    assert cluster.wait(engine)["c"].state is State.CANCELLED


def test_cancelling_ends_running_and_waiting_shards(cluster, how):
    how[""] = "hang"
    engine = cluster.engine(azure_max_nodes=1)
    engine.ensure()
    engine.submit(RUN, specs(*NAMES))
    wait_for(lambda: any(one.state is State.RUNNING for one in engine.statuses(RUN)))
    engine.cancel(RUN, NAMES)
    statuses = cluster.wait(engine)
    assert {one.state for one in statuses.values()} == {State.CANCELLED}
    assert statuses["a"].reason == "cancelled"
    engine.cancel(RUN, NAMES)
    engine.delete(RUN)
    assert engine.statuses(RUN) == []


def test_runs_that_ended_long_ago_are_forgotten_and_others_are_not(cluster):
    engine = cluster.engine()
    engine.ensure()
    engine.submit(RUN, specs("a"))
    cluster.wait(engine)
    account = cluster.server.account
    account.create_job({"id": "of-others", "poolInfo": {"poolId": "theirs"}})
    account.end_job("of-others", "UserTerminate")
    account.create_job({"id": "at-work", "poolInfo": {"poolId": "batch-scoring"}})
    assert engine.forget(datetime.now(UTC) - timedelta(minutes=10)) == 0
    assert engine.forget(datetime.now(UTC) + timedelta(minutes=10)) == 1
    assert sorted(account.jobs) == ["at-work", "of-others"]
    assert engine.forget(datetime.now(UTC) + timedelta(minutes=10)) == 0


def test_a_job_that_takes_too_long_is_ended_and_told(cluster, how):
    how["a"] = "hang"
    engine = cluster.engine(max_wall_time=timedelta(seconds=0.5))
    engine.ensure()
    engine.submit(RUN, specs("a", "b"))
    statuses = cluster.wait(engine)
    assert statuses["a"].state is State.FAILED
    assert statuses["a"].reason.startswith("took longer than jobs.max_wall_time")
    assert statuses["b"].state is State.SUCCEEDED


def test_a_broken_image_ends_the_run_and_what_never_ran_is_told(cluster, how):
    how |= {"a": "127"}
    engine = cluster.engine(retries=0, azure_max_nodes=1)
    engine.ensure()
    engine.submit(RUN, specs(*NAMES))
    statuses = cluster.wait(engine)
    assert {one.state for one in statuses.values()} == {State.FAILED}
    assert statuses["a"].reason == "its container ended with exit code 127"
    assert "the image is broken" in statuses["c"].reason
    assert cluster.executions() == {"a": 1}


def test_the_log_comes_from_the_node(cluster, how):
    how["a"] = "slow"
    engine = cluster.engine(azure_min_nodes=1)
    engine.ensure()
    engine.submit(RUN, specs("a"))
    cluster.wait(engine)
    assert engine.log(RUN, "a") == "run 1 of a"
    assert engine.log(RUN, "zzz") is None


def test_the_log_comes_from_where_it_was_uploaded_when_the_node_is_gone(cluster, monkeypatch):
    uploaded = {}
    monkeypatch.setattr(
        cluster.server.account, "_upload", lambda url, path, content: uploaded.update({path: content})
    )
    folder = cluster.data / "09_jobs" / RUN
    folder.mkdir(parents=True)
    engine = cluster.engine()
    engine.ensure()
    engine.submit(RUN, specs("a"))
    cluster.wait(engine)
    wait_for(lambda: engine.nodes().total == 0)
    assert engine.log(RUN, "a") is None
    (folder / "a.stdout.txt").write_text("as uploaded\n")
    assert engine.log(RUN, "a") == "as uploaded\n"


def test_another_formula_is_given_to_a_pool_that_is_there(cluster):
    cluster.engine().ensure()
    engine = cluster.engine(azure_max_nodes=7)
    engine.ensure()
    pool = cluster.server.account.pools["batch-scoring"]
    assert pool.asked["autoScaleFormula"] == autoscale_formula(engine._settings)
    calls = cluster.server.calls()["POST /pools/*/enableautoscale"]
    engine.ensure()
    assert (calls, cluster.server.calls()["POST /pools/*/enableautoscale"]) == (1, 1)


def test_who_may_not_change_the_formula_scores_all_the_same(cluster, caplog):
    cluster.engine().ensure()
    cluster.server.failures.refuse(
        403, "UnauthorizedPermission", fits=lambda method, path: path.endswith("enableautoscale")
    )
    engine = cluster.engine(azure_max_nodes=7)
    with caplog.at_level(logging.WARNING):
        engine.ensure()
    assert "scales by another formula" in caplog.text
    engine.submit(RUN, specs("a"))
    assert cluster.wait(engine)["a"].state is State.SUCCEEDED


def test_a_pool_of_other_nodes_is_left_and_told(cluster, caplog):
    cluster.engine().ensure()
    with caplog.at_level(logging.WARNING):
        cluster.engine(azure_vm_size="Standard_D8s_v3").ensure()
    assert "Standard_D8s_v3" in caplog.text


def test_calls_grow_with_the_chunks(cluster):
    engine = cluster.engine(azure_max_nodes=1)
    names = [f"s{number:04d}" for number in range(250)]
    cluster.server.account.create_job({"id": "other", "poolInfo": {"poolId": "none"}})
    engine.submit(RUN, specs(*names))
    calls = cluster.server.calls()
    assert calls == {
        "POST /jobs": 1,
        "POST /jobs/*/addtaskcollection": 3,
        "PATCH /jobs/*": 1,
    }
    assert len(engine.statuses(RUN)) == 250


def test_tasks_too_large_for_one_call_go_in_halves(cluster, monkeypatch):
    monkeypatch.setattr("tests.emulators.azure_batch.server.LARGEST_BODY", 40_000)
    names = [f"s{number:04d}" for number in range(60)]
    assert cluster.engine().submit(RUN, specs(*names)) == 60
    assert len(cluster.server.account.jobs[RUN].tasks) == 60


def test_variables_are_handed_on_and_never_shown(cluster, monkeypatch, caplog):
    monkeypatch.setenv("APPLICATIONINSIGHTS_CONNECTION_STRING", "InstrumentationKey=of-the-test")
    with caplog.at_level(logging.DEBUG):
        engine = cluster.engine(azure_environment={"AZURE_CLIENT_ID": "me"})
        engine.submit(RUN, specs("a"))
    task = cluster.server.account.jobs[RUN].tasks["a"]
    assert task.environment == {
        "APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=of-the-test",
        "AZURE_CLIENT_ID": "me",
    }
    assert "of-the-test" not in caplog.text
    assert cluster.server.key not in caplog.text


def test_data_of_this_machine_is_of_no_use_to_nodes_elsewhere(cluster):
    with pytest.raises(InputError, match="put the data in Blob Storage"):
        cluster.engine(azure_endpoint="https://acme.westeurope.batch.azure.com")
