"""The script that cron starts: one run at a time, exit codes, and mail only when a person has to look."""

from __future__ import annotations

import fcntl
import re
import subprocess
from datetime import UTC, datetime

import pytest

from tests.end_to_end.workspaces import PREDICTIONS
from tests.schedulers.conftest import PROJECT, RECIPES

SCRIPT = RECIPES / "cron/fleet-hour"
CRONTAB = RECIPES / "cron/fleet.cron"


@pytest.fixture
def start(project, no_pauses, tmp_path):
    def start(*more: str) -> subprocess.CompletedProcess[str]:
        environment = no_pauses | {"BATCH_SCORING": str(project.folder)}
        command = [str(SCRIPT), str(tmp_path / "fleet"), "/srv/readings", *more]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return start


def test_an_hour_is_named_by_its_end_and_prints_nothing(start, project, tmp_path):
    before = datetime.now(UTC)
    done = start("score.allowed_lateness=15m")
    (call,) = project.calls()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    at = datetime.fromisoformat(re.search(r",at=([^,]+),", call)[1])
    assert at in {moment.replace(minute=0, second=0, microsecond=0) for moment in (before, datetime.now(UTC))}
    assert call.startswith("run --pipelines=ingest,")
    assert f"data={tmp_path / 'fleet'},readings=/srv/readings,at=" in call
    assert call.endswith(",score.allowed_lateness=15m")
    assert (tmp_path / "fleet/hour.log").read_text() == "Error: call 1\n"


def test_a_failure_is_printed_once_with_its_reason(start, project):
    project.will_end_with(1)
    done = start()
    assert (done.returncode, len(project.calls())) == (1, 1)
    assert done.stdout.endswith("Error: call 1\n")


def test_a_run_that_was_overtaken_is_repeated(start, project):
    project.will_end_with(75, 75)
    done = start()
    assert (done.returncode, done.stdout, len(project.calls())) == (0, "", 3)


def test_overtaken_three_times_it_says_so(start, project):
    project.will_end_with(75, 75, 75)
    done = start()
    assert (done.returncode, len(project.calls())) == (75, 3)
    assert "exit code 75" in done.stdout


def test_it_leaves_the_hour_to_a_run_that_is_at_work(start, project, tmp_path):
    (tmp_path / "fleet").mkdir()
    with (tmp_path / "fleet/.hour.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        busy = start()
    assert (busy.returncode, busy.stdout, project.calls()) == (75, "", [])
    assert start().returncode == 0


def test_the_lines_of_the_crontab_are_commands_of_the_project(project):
    lines = [line for line in CRONTAB.read_text().splitlines() if re.match(r"[\d*]", line)]
    commands = [line.split(maxsplit=6)[6] for line in lines]
    hourly, weekly = commands
    assert [line.split()[:6] for line in lines] == [
        ["10", "*", "*", "*", "*", "fleet"],
        ["30", "3", "*", "*", "0", "fleet"],
    ]
    assert (PROJECT / hourly.split()[0].removeprefix("/opt/batch_scoring/")) == SCRIPT
    # As cron does: % ends a command, and \% is one.
    assert re.search(r"(?<!\\)%", weekly) is None
    shell = weekly.replace("\\%", "%").replace("/opt/batch_scoring", str(project.folder))
    done = subprocess.run(["sh", "-c", shell.replace("/srv/fleet", str(project.folder))], check=False)
    (call,) = project.calls()
    assert done.returncode == 0
    assert re.search(r"--pipelines=train --params data=[^,]+,at=\d{4}-\d\d-\d\dT00:00Z,train\.", call)


@pytest.mark.slow
def test_it_scores_a_workspace(trained, scored, no_pauses, tmp_path):
    fleet = trained.copy_to(tmp_path / "fleet")
    environment = no_pauses | {"BATCH_SCORING": str(PROJECT)}
    command = [str(SCRIPT), str(fleet.folder), str(fleet.folder / "01_raw/readings")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert fleet.rows(PREDICTIONS) == scored.rows(PREDICTIONS)
