"""A job leaves a log, a record and its exit code, however its run ends."""

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from batch_scoring.jobs import run_job as execute_module
from batch_scoring.jobs.records import Records
from batch_scoring.jobs.run_job import execute, main, why
from batch_scoring.jobs.specs import JobSpec, State
from tests.waiting import wait_for

RUN, JOB = "score-20260105t100000z", "temperature-1"
AT = datetime(2026, 1, 5, 10, tzinfo=UTC)


@pytest.fixture
def records(tmp_path):
    return Records(str(tmp_path / "data"))


@pytest.fixture
def run_of(monkeypatch):
    """Let a program take the place of ``kedro run``."""
    real = subprocess.Popen

    def program(text):
        def popen(command, **options):
            assert command[1:3] == ["-m", "batch_scoring"]
            return real([sys.executable, "-c", text, *command[3:]], **options)

        monkeypatch.setattr(execute_module.subprocess, "Popen", popen)

    return program


def test_a_job_that_succeeds_keeps_its_output_and_its_times(records, run_of, capfdbinary):
    run_of(
        "import os, json, sys; print('scored', sys.argv[1:]);"
        "open(os.environ['BATCH_SCORING_TIMINGS'], 'w')"
        ".write(json.dumps({'seconds': {'read': 0.5}, 'counts': {'windows': 7}}))"
    )
    assert execute(records, RUN, JOB, ["--x"]) == 0
    record = records.record(RUN, JOB)
    assert (record.state, record.attempt, record.exit_code, record.reason) == (State.SUCCEEDED, 1, 0, "")
    assert (record.seconds, record.counts) == ({"read": 0.5}, {"windows": 7})
    assert record.started < record.ended
    assert records.log(RUN, JOB) == "scored ['--x']\n"
    assert capfdbinary.readouterr().out == b"scored ['--x']\n"


def test_a_job_that_has_succeeded_is_not_run_again(records, run_of):
    run_of("")
    execute(records, RUN, JOB, [])
    run_of("raise SystemExit(3)")
    assert execute(records, RUN, JOB, []) == 0
    assert records.record(RUN, JOB).attempt == 1


def test_a_success_of_the_same_job_elsewhere_is_not_undone(records, run_of, tmp_path):
    """An engine thought it lost, and ran it a second time."""
    run_of("")
    execute(records, RUN, "other", [])
    theirs = replace(records.record(RUN, "other"), name=JOB)
    records.write_record(theirs)
    place = records.path(RUN, f"{JOB}.json")
    Path(place).rename(tmp_path / "theirs")
    run_of(f"import os; os.replace({str(tmp_path / 'theirs')!r}, {place!r}); raise SystemExit(1)")
    assert execute(records, RUN, JOB, []) == 0
    assert records.record(RUN, JOB) == theirs


def test_a_job_that_failed_tells_why_and_may_be_run_again(records, run_of):
    run_of("import sys; print('Error: no model', file=sys.stderr); print('bye'); sys.exit(1)")
    assert execute(records, RUN, JOB, []) == 1
    record = records.record(RUN, JOB)
    assert (record.state, record.exit_code, record.reason) == (State.FAILED, 1, "no model")
    run_of("print('well')")
    assert execute(records, RUN, JOB, []) == 0
    assert (records.record(RUN, JOB).attempt, records.log(RUN, JOB)) == (2, "well\n")


def test_a_run_killed_for_its_memory_leaves_a_reason(records, run_of):
    run_of("import os, signal; print('begun', flush=True); os.kill(os.getpid(), signal.SIGKILL)")
    assert execute(records, RUN, JOB, []) == 137
    assert records.record(RUN, JOB).reason == "killed by SIGKILL (probably out of memory)"
    assert records.log(RUN, JOB) == "begun\n"


def test_a_run_that_another_was_quicker_than_is_repeated(records, run_of, tmp_path, monkeypatch):
    monkeypatch.setattr(execute_module, "_LONGEST_PAUSE", 0.01)
    count = tmp_path / "count"
    run_of(
        f"import pathlib; p = pathlib.Path({str(count)!r}); n = len(p.read_text()) if p.exists() else 0;"
        "p.write_text('x' * (n + 1)); raise SystemExit(75 if n < 3 else 0)"
    )
    assert execute(records, RUN, JOB, []) == 0
    assert count.read_text() == "xxxx"
    run_of("raise SystemExit(75)")
    monkeypatch.setattr(execute_module, "MAX_CONFLICTS", 2)
    assert execute(records, RUN, "another", []) == 75


def test_a_job_that_is_told_to_end_ends_its_run_and_says_so(records, run_of, tmp_path):
    has_begun, default = tmp_path / "has_begun", signal.getsignal(signal.SIGTERM)
    run_of(
        "import pathlib, time; print('begun', flush=True);"
        f"pathlib.Path({str(has_begun)!r}).touch(); time.sleep(600)"
    )

    def tell_it():
        wait_for(lambda: has_begun.exists() and signal.getsignal(signal.SIGTERM) != default)
        os.kill(os.getpid(), signal.SIGTERM)

    telling = threading.Thread(target=tell_it)
    telling.start()
    assert execute(records, RUN, JOB, []) == 128 + signal.SIGTERM
    telling.join()
    assert records.log(RUN, JOB) == "begun\n"


SPEC = JobSpec(
    RUN, JOB, "score", AT, ('Motor\'s temp. "°C"',), models={'a "b"': "x y"}, overrides="score.top=3"
)


def test_a_job_finds_in_the_plan_of_its_run_what_to_do(records, run_of, capfd):
    records.keep_plan(RUN, [replace(SPEC, name="another"), SPEC])
    run_of("import json, sys; print(json.dumps(sys.argv[1:]))")
    data = str(records.folder.root.parent)
    assert main(["--data", data, "--run", RUN, "--job", JOB, "--env", "azure"]) == 0
    assert json.loads(capfd.readouterr().out) == SPEC.kedro_arguments(data, "azure")


@pytest.mark.parametrize("planned", [[], [replace(SPEC, name="another")]])
def test_a_job_that_is_not_planned_is_one_line(records, capsys, planned):
    if planned:
        records.keep_plan(RUN, planned)
    assert main(["--data", str(records.folder.root.parent), "--run", RUN, "--job", JOB]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"there is no job '{JOB}' in this plan" in line


def test_a_record_that_cannot_be_read_is_one_line(records, capsys):
    folder = records.folder.below(RUN)
    records.keep_plan(RUN, [SPEC])
    folder.replace(f"{JOB}.json", b"{", None)
    options = ["--data", str(records.folder.root.parent), "--run", RUN, "--job", JOB]
    assert main(options) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Error: ")
    assert f"{JOB}.json" in line


@pytest.mark.parametrize(
    ("code", "output", "says"),
    [
        (1, "Error: a\nError: b\nTraceback", "b"),
        (1, "Traceback\nKeyError: 'x'\n", "KeyError: 'x'"),
        (1, "", "ended with exit code 1 and no output"),
        (143, "", "killed by SIGTERM"),
        (255, "", "killed by signal 127"),
    ],
)
def test_why_a_run_failed_is_one_sentence(code, output, says):
    assert why(code, output) == says
