"""All that a scheduler printed is kept in the workspace, however it ended."""

from __future__ import annotations

import subprocess
import sys

import pytest

from batch_scoring.jobs import run_job, run_scheduler
from batch_scoring.jobs.records import Records


@pytest.fixture
def run_of(monkeypatch, tmp_path):
    """Let a program take the place of ``kedro jobs submit``."""
    real = subprocess.Popen
    monkeypatch.setenv("BATCH_SCORING_DATA", str(tmp_path / "data"))

    def program(text):
        def popen(command, **options):
            assert command[1:5] == ["-m", "kedro", "jobs", "submit"]
            return real([sys.executable, "-c", text, *command[5:]], **options)

        monkeypatch.setattr(run_job.subprocess, "Popen", popen)

    return program


@pytest.mark.parametrize("code", [0, 1, 69])
def test_the_whole_log_is_kept_with_the_exit_code_of_the_command(run_of, tmp_path, capfdbinary, code):
    run_of(f"import sys; [print('line', n, sys.argv[1:]) for n in range(1000)]; sys.exit({code})")
    assert run_scheduler.main(["--wait"]) == code
    (log,) = (tmp_path / "data/09_jobs/schedulers").glob("*.log")
    assert log.read_bytes() == capfdbinary.readouterr().out
    assert log.read_text().splitlines()[-1] == f"scheduler ended with exit code {code}"
    assert len(log.read_text().splitlines()) == 1001 and "['--wait']" in log.read_text()
    assert Records(str(tmp_path / "data")).runs() == [], "it is no run"


@pytest.mark.parametrize(
    ("given", "told"),
    [([], ["--at", "2026-01-05T10:05:00Z"]), (["--at", "2026-01-05T09:00Z"], ["--at", "2026-01-05T09:00Z"])],
)
def test_a_cron_tells_the_scheduled_time_by_the_name_of_its_execution(
    run_of, monkeypatch, capfd, given, told
):
    monkeypatch.setenv("CONTAINER_APP_JOB_EXECUTION_NAME", "caj-plant-score-29460125")
    run_of("import sys; print(sys.argv[1:])")
    assert run_scheduler.main(given) == 0
    assert capfd.readouterr().out.splitlines()[0] == str(told)


def test_a_log_that_cannot_be_kept_changes_nothing_but_is_said(run_of, tmp_path, capsys):
    run_of("print('all is well')")
    (tmp_path / "data/09_jobs").mkdir(parents=True)
    (tmp_path / "data/09_jobs/schedulers").write_text("a file in the way")
    assert run_scheduler.main([]) == 0
    assert "the scheduler's log is not kept" in capsys.readouterr().err


def test_without_a_workspace_in_the_environment_nothing_is_kept(run_of, monkeypatch, tmp_path):
    monkeypatch.delenv("BATCH_SCORING_DATA")
    run_of("")
    assert run_scheduler.main([]) == 0
    assert not (tmp_path / "data").exists()
