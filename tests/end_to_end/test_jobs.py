"""The same hour as jobs and as one run: the same predictions, however it is cut and whoever is killed."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pyarrow.compute as pc
import pytest

from batch_scoring.jobs.records import Records
from batch_scoring.jobs.specs import State
from tests.end_to_end.warm_kedro import warm_kedro
from tests.end_to_end.workspaces import PREDICTIONS, PROJECT, SMALL_FLEET

pytestmark = pytest.mark.slow

AT = "2026-01-07T00:00Z"
SCORED = (PREDICTIONS, "07_model_output/daily_totals")


@pytest.fixture
def workspace(trained, tmp_path, monkeypatch):
    monkeypatch.setenv("BATCH_SCORING_CACHE", str(tmp_path / "cache"))
    return trained.copy_to(tmp_path / "data")


def submit(workspace, params="", at="2026-01-07T00:00:07.1234567Z"):
    """The command line of a scheduler, which is late."""
    more = [f"--params={params}"] if params else []
    return ["jobs", "submit", f"--data={workspace.folder}", f"--at={at}", "--floor", *more]


def start(command):
    """A scheduler that is to be killed, or to have its jobs killed."""
    return subprocess.Popen(
        [sys.executable, "-m", "kedro", *command], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )


def run(command, expect=0):
    code, output = warm_kedro().run(command)
    assert code == expect, output
    return output


@pytest.mark.parametrize(
    ("sharding", "jobs"),
    [("", 2), ("shards_per_sensor=2", 4), ("per=device_sensor", 8)],
)
def test_jobs_score_what_one_run_scores_however_the_hour_is_cut(workspace, scored, sharding, jobs):
    params = f"jobs.sharding.{sharding},jobs.local.processes=4" if sharding else ""
    words = f"score-20260107t000000z: {jobs} jobs"
    assert f"{words}, {jobs} new, on local" in run(submit(workspace, params))
    assert workspace.rows(*SCORED) == scored.rows(*SCORED)
    before = workspace.files(*SCORED)  # bytes: nothing is committed
    assert f"{words}, 0 new, on local" in run(submit(workspace, params))
    assert workspace.files(*SCORED) == before
    workspace.run("score", f"at={AT}")
    assert workspace.rows(*SCORED) == scored.rows(*SCORED), "a run after the jobs has nothing left to score"
    after = workspace.files(*SCORED)
    # Of parts of a sensor's devices, it notes once that they are all of them.
    assert all("_delta_log" in name for name in after.keys() - before.keys())
    assert before.items() <= after.items()
    workspace.run("score", f"at={AT}")
    assert workspace.files(*SCORED) == after


def test_pipelines_run_first_make_what_the_jobs_score(tmp_path, new_workspace):
    workspace = new_workspace(tmp_path / "data")
    small_fleet = SMALL_FLEET.rpartition(",at=")[0]
    command = [*submit(workspace, small_fleet), "--first=simulate,ingest,aggregate,train"]
    assert "2 jobs, 2 new, on local" in run(command)
    assert workspace.table(PREDICTIONS).num_rows > 1000


def test_nothing_is_submitted_when_what_runs_first_fails(workspace):
    command = [*submit(workspace), "--first=receive"]
    assert "set EVENT_HUB_CONNECTION_STRING" in run(command, expect=1).splitlines()[-1]
    assert not (workspace.folder / "09_jobs").exists()


def test_a_scheduler_killed_at_any_moment_and_repeated_ends_in_the_same(workspace, scored, trials):
    params = "jobs.sharding.shards_per_sensor=2"
    for _ in range(trials + 1):
        process = start(submit(workspace, params))
        time.sleep(random.uniform(1, 4))
        process.kill()
        process.communicate()
    run(submit(workspace, params))
    assert workspace.rows(*SCORED) == scored.rows(*SCORED)


def test_killed_jobs_are_run_again_and_end_in_the_same(workspace, scored):
    process = start(submit(workspace, "jobs.retries=3"))
    records, killed = Records(str(workspace.folder)), set()
    deadline = time.monotonic() + 300
    while process.poll() is None and len(killed) < 3 and time.monotonic() < deadline:
        for name in records.runs("score"):
            for record in records.all_records(name).values():
                if record.state is State.RUNNING and record.pid not in killed and len(killed) < 3:
                    with suppress(ProcessLookupError):  # it has ended just now
                        os.kill(record.pid, signal.SIGKILL)
                        killed.add(record.pid)
        time.sleep(0.05)
    process.communicate(timeout=600)
    assert process.returncode == 0
    assert len(killed) == 3
    assert workspace.rows(*SCORED) == scored.rows(*SCORED)


def test_a_sensor_without_models_fails_alone_and_is_told(workspace, scored):
    for file in (workspace.folder / "06_models/published/vibration").iterdir():
        file.unlink()
    output = run(submit(workspace, "jobs.retries=0"), expect=1)
    (line,) = [line for line in output.splitlines() if "/vibration-" in line]
    assert " failed: " in line
    assert "no published model" in line or "without a prediction" in line or "could not be scored" in line
    there = workspace.table(PREDICTIONS)
    assert there.equals(scored.table(PREDICTIONS).filter(_is("temperature")))


def test_hours_that_were_missed_are_caught_up_and_give_the_same(workspace, scored):
    one_job = "jobs.sharding.sensors_per_job=9"
    run(submit(workspace, one_job, at="2026-01-06T22:00Z"))
    output = run(submit(workspace, one_job))
    assert [line for line in output.splitlines() if "new, on local" in line] == [
        f"score-2026010{hour}0000z: 1 job, 1 new, on local" for hour in ("6t23", "7t00")
    ]
    assert workspace.rows(*SCORED) == scored.rows(*SCORED)


def _is(sensor):
    return pc.field("sensor") == sensor
