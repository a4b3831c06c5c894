"""Jobs as tasks of Dask: each ends once, whoever submits it, whatever becomes of workers."""

import logging
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.jobs.backends.dask.settings import DaskSettings
from batch_scoring.jobs.planning import Sharding, plan_jobs
from batch_scoring.jobs.records import Records
from batch_scoring.jobs.settings import JobsParameters
from batch_scoring.jobs.specs import NodeCounts, State
from tests.jobs.backends.dask.dask_cluster import DaskCluster, is_alive
from tests.jobs.backends.dask.dask_jobs import QuickDask, executions
from tests.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("dask")]

AT = datetime(2026, 11, 22, 10, tzinfo=UTC)
MANY = plan_jobs("score", AT, [f"s{n:02d}" for n in range(20)], Sharding(), {})
SPECS = MANY[:4]
RUN, NAMES = SPECS[0].run, sorted(spec.name for spec in SPECS)
ALL_NAMES = sorted(spec.name for spec in MANY)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    opened = DaskCluster(tmp_path_factory.mktemp("dask"))
    try:
        opened.add_worker()
        opened.add_worker()
        yield opened
    finally:
        opened.close()


@pytest.fixture
def data(tmp_path):
    return planned(tmp_path / "data")


@pytest.fixture
def open_engine(cluster, data):
    """Opens engines as different commands do."""
    opened = []

    def open_one(how="succeed", place=data, **changes):
        dask = DaskSettings(scheduler=cluster.address)
        opened.append(QuickDask(place, JobsParameters(backend="dask", dask=dask, **changes), how))
        return opened[-1]

    yield open_one
    for engine in opened:
        engine.cancel(RUN, ALL_NAMES)
        engine.close()


def planned(folder, specs=MANY):
    folder.mkdir()
    Records(str(folder)).keep_plan(RUN, specs)
    return folder


def states(engine):
    return {one.name: one.state for one in engine.statuses(RUN)}


def all_are(engine, *wanted, specs=SPECS):
    found = states(engine)
    return len(found) == len(specs) and set(found.values()) <= set(wanted)


def test_every_job_runs_once_and_another_command_sees_it(open_engine, data):
    submitted, other = open_engine(), open_engine()
    assert submitted.submit(RUN, SPECS) == len(SPECS)
    submitted.close()  # the command has ended, the jobs go on
    wait_for(lambda: all_are(other, State.SUCCEEDED))
    assert other.submit(RUN, SPECS) == 0
    assert executions(data) == NAMES
    wait_for(lambda: other.nodes() == NodeCounts(idle=2))


def test_of_two_schedulers_at_the_same_instant_there_is_one_set_of_jobs(open_engine, data, trial):
    engines = [open_engine(), open_engine()]
    for engine in engines:
        engine.ensure()
    with ThreadPoolExecutor(2) as pool:
        new = list(pool.map(lambda engine: engine.submit(RUN, SPECS), engines))
    assert sorted(new) == [0, len(SPECS)]
    wait_for(lambda: all_are(engines[0], State.SUCCEEDED))
    assert executions(data) == NAMES


def test_a_job_that_fails_is_tried_again_and_then_told_with_its_reason(open_engine, data):
    engine = open_engine("fail", retries=2)
    engine.submit(RUN, SPECS)
    wait_for(lambda: all_are(engine, State.FAILED))
    assert executions(data) == sorted(NAMES * 3)
    assert {one.name: one.reason for one in engine.statuses(RUN)} == {
        name: f"it failed, {name}" for name in NAMES
    }
    assert engine.log(RUN, NAMES[0]) == f"it failed, {NAMES[0]}"
    other = open_engine()
    assert other.submit(RUN, SPECS) == 0
    other.retry(RUN, SPECS[:1])
    wait_for(lambda: states(other)[SPECS[0].name] is State.SUCCEEDED)
    assert len(executions(data)) == 3 * len(SPECS) + 1


def test_a_job_that_fails_once_ends_well(open_engine, data):
    engine = open_engine("fail once")
    engine.submit(RUN, SPECS)
    wait_for(lambda: all_are(engine, State.SUCCEEDED))
    assert executions(data) == sorted(NAMES * 2)


def test_a_job_that_takes_too_long_is_ended(open_engine, data):
    engine = open_engine("hang", retries=0, max_wall_time=timedelta(seconds=1))
    engine.submit(RUN, SPECS)
    wait_for(lambda: all_are(engine, State.FAILED))
    assert {one.reason for one in engine.statuses(RUN)} == {"took longer than jobs.max_wall_time, 1 s"}
    records = Records(str(data)).all_records(RUN).values()
    assert {(one.state, one.reason) for one in records} == {
        (State.FAILED, "took longer than jobs.max_wall_time, 1 s")
    }
    assert not any(is_alive(one.pid) for one in records)


def test_cancelled_jobs_end_and_stay_so_until_they_are_tried_again(open_engine, data):
    engine, records = open_engine("hang"), Records(str(data))
    engine.submit(RUN, SPECS)
    wait_for(lambda: list(states(engine).values()).count(State.RUNNING) == 2)
    assert engine.nodes() == NodeCounts(running=2)
    pids = [record.pid for record in records.all_records(RUN).values()]
    open_engine().cancel(RUN, NAMES)
    assert all_are(engine, State.CANCELLED)
    wait_for(lambda: not any(map(is_alive, pids)))
    again = open_engine()
    assert again.submit(RUN, SPECS) == 0
    assert all_are(again, State.CANCELLED)
    again.retry(RUN, SPECS)
    wait_for(lambda: all_are(again, State.SUCCEEDED))


def test_a_job_of_a_killed_worker_ends_with_it_and_runs_elsewhere(tmp_path, data):
    small = DaskCluster(tmp_path)
    try:
        settings = JobsParameters(backend="dask", dask=DaskSettings(scheduler=small.address))
        engine, records = QuickDask(data, settings, "hang"), Records(str(data))
        first = small.add_worker()
        engine.submit(RUN, SPECS[:1])
        wait_for(lambda: set(states(engine).values()) == {State.RUNNING})
        before = records.record(RUN, SPECS[0].name)
        os.kill(first.pid, signal.SIGKILL)
        wait_for(lambda: not is_alive(before.pid))
        wait_for(lambda: set(states(engine).values()) == {State.QUEUED})
        small.add_worker()
        wait_for(lambda: records.record(RUN, SPECS[0].name).attempt == 2)
        assert set(states(engine).values()) == {State.RUNNING}
    finally:
        engine.close()
        small.close()


def test_workers_are_lost_and_every_job_ends_once(tmp_path, trials):
    """Each job hangs at first, so that its worker is killed under it; what had ended is not run again."""
    specs = MANY[: 2 * trials]
    data, small = planned(tmp_path / "data", specs), DaskCluster(tmp_path)
    try:
        settings = JobsParameters(backend="dask", dask=DaskSettings(scheduler=small.address))
        engine, records = QuickDask(data, settings, "hang once"), Records(str(data))
        worker = small.add_worker()
        engine.submit(RUN, specs)
        for lost in range(1, 1 + len(specs)):
            wait_for(lambda lost=lost: len(records.all_records(RUN)) >= lost)
            worker.kill()
            worker.wait()
            worker = small.add_worker()
        wait_for(lambda: all_are(engine, State.SUCCEEDED, specs=specs))
        assert executions(data) == sorted([one.name for one in specs] * 2)
    finally:
        engine.close()
        small.close()


def test_a_restarted_scheduler_is_told_and_the_run_can_be_submitted_again(tmp_path, data):
    first = DaskCluster(tmp_path)
    first.add_worker()
    engine = QuickDask(data, JobsParameters(dask=DaskSettings(scheduler=first.address)), "hang")
    engine.submit(RUN, SPECS)
    wait_for(lambda: State.RUNNING in states(engine).values())
    engine.close()
    first.close()
    (tmp_path / "second").mkdir()
    second = DaskCluster(tmp_path / "second")
    try:
        second.add_worker()
        engine = QuickDask(data, JobsParameters(dask=DaskSettings(scheduler=second.address)))
        (lost,) = engine.statuses(RUN)
        assert (lost.state, "does not know the job any more" in lost.reason) == (State.FAILED, True)
        assert engine.submit(RUN, SPECS) == len(SPECS)
        wait_for(lambda: all_are(engine, State.SUCCEEDED))
    finally:
        engine.close()
        second.close()


def test_two_workspaces_share_a_cluster(open_engine, data, tmp_path):
    other = planned(tmp_path / "other")
    engines = open_engine(), open_engine(place=other)
    assert [engine.submit(RUN, SPECS) for engine in engines] == [len(SPECS)] * 2
    for engine in engines:
        wait_for(lambda engine=engine: all_are(engine, State.SUCCEEDED))
    assert executions(data) == executions(other) == NAMES


def test_a_worker_without_the_data_says_so(open_engine, tmp_path):
    (tmp_path / "not shared").mkdir()
    engine = open_engine(place=tmp_path / "not shared", retries=0)
    engine._records.plan = lambda run: SPECS
    engine.submit(RUN, SPECS)
    wait_for(lambda: all_are(engine, State.FAILED))
    assert "workers need the same data" in engine.statuses(RUN)[0].reason


def test_a_forgotten_run_leaves_its_records(open_engine, cluster):
    engine = open_engine()
    engine.submit(RUN, SPECS)
    wait_for(lambda: all_are(engine, State.SUCCEEDED))
    engine.delete(RUN)
    assert all_are(open_engine(), State.SUCCEEDED)
    assert all(RUN not in name or engine._prefix not in name for name in engine._client().list_datasets())


def test_credentials_do_not_travel(open_engine, cluster, monkeypatch):
    secret = "c2VjcmV0LW9mLXRoaXMtdGVzdA"
    monkeypatch.setenv("AZURE_STORAGE_KEY", secret)
    engine = open_engine("fail", retries=1)
    told = []
    client = engine._client()
    monkeypatch.setattr(
        client, "map", lambda *a, map=client.map, **k: told.append(repr((a, k))) or map(*a, **k)
    )
    engine.submit(RUN, SPECS)
    wait_for(lambda: all_are(engine, State.FAILED))
    assert NAMES[0] in told[0]
    assert secret not in told[0] + cluster.logs()


def test_workers_of_the_command_run_the_jobs_to_their_end(data):
    settings = JobsParameters(backend="dask", dask=DaskSettings(workers=2))
    environment = dict(os.environ)
    engine = QuickDask(data, settings)
    try:
        assert engine.submit(RUN, SPECS) == len(SPECS)
        assert dict(os.environ) == environment
        assert all_are(engine, State.SUCCEEDED)
    finally:
        engine.close()
    assert all_are(QuickDask(data, settings), State.SUCCEEDED)
    assert executions(data) == NAMES


def hold_the_process():
    threading.Thread(target=time.sleep, args=(600,), daemon=False).start()


def test_a_worker_that_is_slow_to_end_is_killed_without_a_word(data):
    engine = QuickDask(data, JobsParameters(backend="dask", dask=DaskSettings(workers=1)))
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    try:
        engine.submit(RUN, SPECS[:1])
        logging.getLogger("distributed.nanny").addHandler(handler)
        engine._client().run(hold_the_process)
    finally:
        began = time.monotonic()
        engine.close()
        logging.getLogger("distributed.nanny").removeHandler(handler)
    assert time.monotonic() - began < 300
    assert [record.getMessage() for record in records] == []


def test_nobody_at_the_address_is_one_sentence(data, monkeypatch):
    monkeypatch.setattr("batch_scoring.jobs.backends.dask.backend.CONNECT_SECONDS", 1.0)
    settings = JobsParameters(backend="dask", dask=DaskSettings(scheduler="tcp://127.0.0.1:1"))
    with pytest.raises(InputError, match=r"no answer from tcp://127.0.0.1:1 within 1 s"):
        QuickDask(data, settings).ensure()
    with pytest.raises(InputError, match=r"jobs\.dask\.scheduler"):
        DaskSettings(scheduler="localhost:8786")
