"""An hour as tasks of Azure Batch gives what one run gives: the true commands, jobs that really score."""

import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from kedro.framework.startup import bootstrap_project

from batch_scoring.cli import cli
from batch_scoring.core.errors import NO_CAPACITY
from batch_scoring.jobs import capacity
from batch_scoring.jobs.backends.azure_batch.backend import AzureBatchBackend
from batch_scoring.jobs.backends.azure_batch.settings import AzureBatchSettings
from batch_scoring.jobs.records import Records
from batch_scoring.jobs.settings import JobsParameters
from batch_scoring.jobs.specs import State
from tests.emulators.azure_batch import AzureBatch
from tests.emulators.azure_batch.server import ACCOUNT
from tests.emulators.node_faults import Fault
from tests.end_to_end.workspaces import PREDICTIONS, PROJECT
from tests.jobs.backends.azure_batch.conftest import RUN, specs

pytestmark = pytest.mark.slow


def test_an_hour_as_tasks_gives_the_predictions_of_one_run(tmp_path, trained, scored):
    fleet = trained.copy_to(tmp_path / "fleet")
    with AzureBatch(
        tmp_path / "nodes", sample_seconds=0.1, evaluate_seconds=0.3, start_seconds=0.2
    ) as server:
        server.faults.add(Fault.NODE_LOST, seconds=0.3)  # sooner than a job can end
        first = submit(server, fleet.folder, tmp_path, "--wait")
        again = submit(server, fleet.folder, tmp_path, "--wait")
        assert "score-20260107t000000z: 2 jobs, 2 new, on azure_batch" in first
        assert "score-20260107t000000z: 2 jobs, 0 new, on azure_batch" in again
        assert server.faults.happened[Fault.NODE_LOST] == 1
        job = server.account.jobs["score-20260107t000000z"]
        assert {task.info["result"] for task in job.tasks.values()} == {"success"}
        assert sorted(task.info["requeueCount"] for task in job.tasks.values()) == [0, 1]
    assert fleet.rows(PREDICTIONS) == scored.rows(PREDICTIONS)
    records = Records(str(fleet.folder))
    assert all(records.log("score-20260107t000000z", name) for name in job.tasks)


def test_an_hour_without_machines_is_said_ends_with_its_own_code_and_is_made_good(
    tmp_path, trained, scored, monkeypatch
):
    """The true command; only the engine is asked more often than twice a minute."""
    monkeypatch.setattr(capacity, "SECONDS_BETWEEN_LOOKS", 0.2)
    monkeypatch.chdir(PROJECT)
    bootstrap_project(PROJECT)
    fleet = trained.copy_to(tmp_path / "fleet")
    with AzureBatch(
        tmp_path / "nodes", sample_seconds=0.1, evaluate_seconds=0.3, start_seconds=0.2
    ) as server:
        monkeypatch.setenv("AZURE_BATCH_ACCESS_KEY", server.key)
        monkeypatch.setenv("AZURE_BATCH_ACCOUNT", ACCOUNT)
        service = AzureBatchSettings(endpoint=server.endpoint, image="acme.azurecr.io/batch-scoring:1")
        settings = JobsParameters(backend="azure_batch", azure_batch=service)
        AzureBatchBackend(str(fleet.folder), None, settings).ensure()
        pool = server.account.pools["batch-scoring"]
        pool.shortage = ("AllocationFailed", "Desired number could not be allocated")
        given = [
            "--backend",
            "azure_batch",
            "--data",
            str(fleet.folder),
            "--at",
            "2026-01-07T00:00Z",
            "--wait",
        ]
        params = [
            f"jobs.azure_batch.endpoint={server.endpoint}",
            "jobs.azure_batch.image=acme.azurecr.io/batch-scoring:1",
            f"jobs.azure_batch.environment.BATCH_SCORING_CACHE={tmp_path / 'cache'}",
            "jobs.wait_for_nodes=1s",
        ]
        command = ["jobs", "submit", *given, "--params", ",".join(params)]
        done = CliRunner().invoke(cli, command)
        assert done.exit_code == NO_CAPACITY == 69, done.output
        assert "2 jobs wait and none runs: pool batch-scoring gets no nodes" in done.stderr
        assert "Error: score-20260107t000000z: no job has begun for" in done.stderr
        pool.shortage = None
        assert CliRunner().invoke(cli, command).exit_code == 0
    assert fleet.rows(PREDICTIONS) == scored.rows(PREDICTIONS)


def submit(server, data, place, *options):
    service = {"endpoint": server.endpoint, "image": "acme.azurecr.io/batch-scoring:1"}
    cache = {"BATCH_SCORING_CACHE": str(place / "cache")}
    params = [
        *(f"jobs.azure_batch.{name}={value}" for name, value in service.items()),
        *(f"jobs.azure_batch.environment.{name}={value}" for name, value in cache.items()),
    ]
    done = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "kedro",
                "jobs",
                "submit",
                "--backend",
                "azure_batch",
                "--data",
                str(data),
            ),
            *("--at", "2026-01-07T00:00Z", "--params", ",".join(params), *options),
        ],
        cwd=PROJECT,
        env=os.environ
        | {"DO_NOT_TRACK": "1", "AZURE_BATCH_ACCESS_KEY": server.key, "AZURE_BATCH_ACCOUNT": ACCOUNT},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert server.key not in done.stdout + done.stderr
    return done.stdout


def test_the_reason_is_the_one_that_the_job_wrote_down(cluster, how):
    how["a"] = "fail"
    engine = cluster.engine(retries=0)
    engine.ensure()
    folder = cluster.data / "09_jobs" / RUN
    folder.mkdir(parents=True)
    (folder / "a.json").write_text(
        f'{{"run": "{RUN}", "name": "a", "state": "failed", "attempt": 1, "exit_code": 1, '
        '"reason": "sensor \'a\' has no published model", "started": null, "ended": null}'
    )
    engine.submit(RUN, specs("a"))
    assert cluster.wait(engine)["a"].reason == "sensor 'a' has no published model"


def test_calls_grow_linearly_to_five_thousand_sensors(tmp_path, monkeypatch, capsys):
    counts = {}
    for size in (500, 5000):
        with AzureBatch(tmp_path / f"nodes{size}", start_seconds=3600.0) as server:
            monkeypatch.setenv("AZURE_BATCH_ACCESS_KEY", server.key)
            monkeypatch.setenv("AZURE_BATCH_ACCOUNT", ACCOUNT)
            engine = AzureBatchBackend(str(tmp_path), None, settings(server))
            engine.ensure()
            begun = time.perf_counter()
            assert engine.submit(RUN, specs(*(f"s{number:04d}" for number in range(size)))) == size
            submitted, before = time.perf_counter() - begun, len(server.recorder.exchanges)
            statuses = engine.statuses(RUN)
            listing = len(server.recorder.exchanges) - before
            # Three change: a look asks for those only.
            changed = [one for one in statuses if one.state is State.QUEUED][:3]
            time.sleep(0.01)
            engine.cancel(RUN, [one.name for one in changed])
            monkeypatch.setattr("batch_scoring.jobs.backends.azure_batch.backend._OVERLAP", timedelta(0))
            newest = max(one.changed for one in statuses) + timedelta(microseconds=1)
            assert sorted(one.name for one in engine.statuses(RUN, newest)) == [one.name for one in changed]
            counts[size] = (server.calls()["POST /jobs/*/addtaskcollection"], listing, submitted)
    with capsys.disabled():
        print(f"\n(calls to submit, calls to list, seconds to submit) by tasks: {counts}")
    assert [counts[size][:2] for size in counts] == [(5, 2), (50, 6)]


def settings(server):
    service = AzureBatchSettings(endpoint=server.endpoint, image="acme.azurecr.io/batch-scoring:1")
    return JobsParameters(backend="azure_batch", azure_batch=service)


def test_nothing_of_azure_is_imported_before_the_engine_is_chosen():
    code = "import sys, batch_scoring.cli.jobs as _, batch_scoring.jobs.backends as _\n"
    code += "import batch_scoring.jobs.run_job\n"
    code += "print([name for name in sys.modules if name.split('.')[0] == 'azure'])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(PROJECT)
    )
    assert done.stdout.strip() == "[]"
