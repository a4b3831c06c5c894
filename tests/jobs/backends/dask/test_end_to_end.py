"""A real hour on Dask workers, one of which is killed while it scores."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import contextmanager
from datetime import UTC, datetime

import psutil
import pytest

from batch_scoring.jobs import scheduler
from batch_scoring.jobs.backends.dask.backend import DaskBackend
from batch_scoring.jobs.backends.dask.settings import DaskSettings
from batch_scoring.jobs.records import Records
from batch_scoring.jobs.settings import JobsParameters
from batch_scoring.jobs.specs import State
from batch_scoring.jobs.workspace import Workspace as Data
from tests.end_to_end.workspaces import PREDICTIONS, PROJECT
from tests.jobs.backends.dask.dask_cluster import DaskCluster, is_alive, two_hosts
from tests.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("dask")]

AT = datetime(2026, 2, 1, tzinfo=UTC)


@contextmanager
def two_processes(folder):
    cluster = DaskCluster(folder)
    try:
        cluster.add_worker()
        cluster.add_worker()
        yield cluster
    finally:
        cluster.close()


def test_a_worker_killed_while_it_scores_costs_nothing(trained, scored, tmp_path):
    workspace = trained.copy_to(tmp_path / "data")
    (tmp_path / "dask").mkdir()
    # Network namespaces need root and `ip`.
    open_cluster = two_hosts if os.geteuid() == 0 and shutil.which("ip") else two_processes
    with open_cluster(tmp_path / "dask") as cluster:
        settings = JobsParameters(backend="dask", dask=DaskSettings(scheduler=cluster.address))
        data = str(workspace.folder)
        engine, records = DaskBackend(data, None, settings, PROJECT), Records(data)
        try:
            (done,) = scheduler.submit(engine, Data(data), records, "score", AT, settings)
            killed = kill_the_worker_of_a_job(cluster, records, done.run)
            ended = scheduler.wait(engine, done.run, pause=0.2)
        finally:
            engine.close()
    assert {one.state for one in ended} == {State.SUCCEEDED}
    attempts = {name: record.attempt for name, record in records.all_records(done.run).items()}
    assert attempts[killed] == 2
    assert workspace.rows(PREDICTIONS) == scored.rows(PREDICTIONS)


def kill_the_worker_of_a_job(cluster, records, run):
    """Kill -9 the worker that runs a job, as soon as one does; the job's name."""

    def running():
        found = (record for record in records.all_records(run).values() if record.state is State.RUNNING)
        return next(found, None)

    wait_for(lambda: running() is not None)
    record = running()
    (worker,) = [one for one in cluster.workers if one.pid == psutil.Process(record.pid).ppid()]
    os.kill(worker.pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(record.pid))
    assert (
        records.record(run, record.name).state is State.RUNNING
        or records.record(run, record.name).attempt > 1
    )
    return record.name
