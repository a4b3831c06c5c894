"""`kedro jobs list`, `sensors`, `watch`, `logs`, `cancel`, `retry`, `delete` and `timings` as typed in."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from batch_scoring.cli import cli
from batch_scoring.core.errors import InputError
from batch_scoring.jobs import backends
from batch_scoring.jobs.records import JobRecord
from batch_scoring.jobs.specs import State
from tests.factories import make_windows
from tests.jobs.runs import AT, Runs
from tests.tables_on_disk import TableOnDisk

pytestmark = pytest.mark.slow  # each command reads the configuration anew

RUN = "score-20261122t100000z"
NOW = datetime.now(UTC)


@pytest.fixture
def runs(project, tmp_path, monkeypatch):
    made = Runs(tmp_path / "data")
    made.engine.name = "dask"
    monkeypatch.setattr(backends, "open_backend", lambda *_: made.engine)
    return made


@pytest.fixture
def jobs(runs):
    def type_in(*words, expect=0):
        done = CliRunner().invoke(cli, ["jobs", *words, "--data", runs.data])
        assert done.exit_code == expect, done.output
        return done.output

    return type_in


def fail(runs, spec, reason="sensor 'b' has no published model", log=b"read 7 files\nError: none\n"):
    runs.engine.end(spec.run, spec.name, State.FAILED, reason)
    record = JobRecord(spec.run, spec.name, State.FAILED, 1, exit_code=1, started=NOW, ended=NOW)
    runs.records.write_record(record)
    runs.records.write_log(spec.run, spec.name, 1, log)


def end(runs, spec):
    runs.engine.end(spec.run, spec.name)


def test_runs_are_listed_the_newest_first_with_their_jobs_by_state(runs, jobs):
    for spec in runs.submit():
        end(runs, spec)
    newer = runs.submit(at=AT + timedelta(hours=1))
    fail(runs, newer[0])
    head, *lines = jobs("list").splitlines()
    assert head.split() == ["run", "planned", "backend", "jobs", "states"]
    assert [line.split()[0] for line in lines] == [newer[0].run, RUN]
    assert lines[0].endswith("dask        3  2 queued, 1 failed")
    assert lines[1].endswith("dask        3  3 succeeded")
    assert jobs("list", "--limit", "1").splitlines()[-1] == "… and 1 older ones; --limit shows more"
    assert [one["states"] for one in json.loads(jobs("list", "--json"))] == [
        {"queued": 2, "failed": 1},
        {"succeeded": 3},
    ]


def test_runs_of_an_engine_that_cannot_be_reached_are_listed_from_what_is_known(runs, jobs):
    for spec in runs.submit():
        end(runs, spec)
    jobs("watch")

    def unreachable(run, since=None):
        raise InputError("the scheduler at tcp://10.0.0.4 does not answer; start it")

    runs.engine.statuses = unreachable
    lines = jobs("list").splitlines()
    assert "3 succeeded" in jobs("list")
    assert any("does not answer" in line for line in lines)
    assert "does not answer" in jobs("watch", expect=1)


def test_without_runs_the_command_that_makes_one_is_named(jobs):
    assert jobs("list") == "There are no runs yet; `kedro jobs submit` makes one.\n"
    assert "`kedro jobs submit` makes one" in jobs("watch", expect=1)


def test_the_sensors_with_windows_are_listed_for_people_and_programs(runs, jobs):
    assert "there are no windows yet" in jobs("sensors", "--json", expect=1)
    windows = TableOnDisk(Path(runs.data, "03_primary/windows"), "window_start")
    windows.add(*(make_windows([[1.0]], sensor=sensor) for sensor in ('a "b"', "é,1")))
    assert jobs("sensors").splitlines() == ['a "b"', "é,1"]
    assert json.loads(jobs("sensors", "--json")) == ['a "b"', "é,1"]


def test_the_jobs_of_a_run_are_listed_with_their_reasons(runs, jobs):
    specs = runs.submit()
    fail(runs, specs[1])
    runs.records.keep_plan("train-20260101t000000z", [])
    lines = jobs("list", RUN).splitlines()
    assert lines[0] == f"{RUN} on dask, 3 jobs: 2 queued, 1 failed"
    assert lines[3].split()[:2] == [specs[1].name, "failed"]
    assert lines[3].endswith("sensor 'b' has no published model")


def test_an_unknown_run_is_one_line_with_those_that_look_like_it(runs, jobs):
    runs.submit()
    for command in ("list", "watch", "logs", "cancel", "retry", "delete", "timings"):
        output = jobs(command, "score-20261122t10", expect=1)
        assert output.startswith("Error: run 'score-20261122t10' is not among the 1 known; did you mean")


def test_watching_elsewhere_than_on_a_terminal_prints_lines_and_tells_failure(runs, jobs):
    specs = runs.submit()
    end(runs, specs[0])
    end(runs, specs[2])
    fail(runs, specs[1])
    lines = jobs("watch", RUN, expect=1).splitlines()
    assert lines[0].endswith(f"{RUN} on dask, 3 jobs: 2 succeeded, 1 failed")
    assert lines[1].endswith(f"{specs[1].name} failed: sensor 'b' has no published model")
    told = [json.loads(line) for line in jobs("watch", "--json", expect=1).splitlines()]
    assert told[-1]["run"]["states"] == {"succeeded": 2, "failed": 1}


def test_logs_are_those_of_what_failed_unless_a_job_is_named(runs, jobs):
    specs = runs.submit()
    fail(runs, specs[1])
    assert jobs("logs", RUN) == "read 7 files\nError: none\n"
    assert jobs("logs", RUN, "--lines", "1") == "Error: none\n"
    runs.engine.log = lambda run, name: f"from the engine: {name}"
    assert jobs("logs", RUN, "a") == f"from the engine: {specs[0].name}\n"
    both = jobs("logs", "last", "a", "b").splitlines()
    assert both[0] == f"== {specs[0].name}"
    assert both[-1] == "Error: none"
    assert "did you mean" in jobs("logs", RUN, specs[1].name[:-1], expect=1)


def test_cancelling_ends_what_has_not_ended(runs, jobs):
    specs = runs.submit()
    end(runs, specs[0])
    assert jobs("cancel", RUN, "b") == f"{RUN}: 1 job cancelled, 0 had ended\n"
    assert jobs("cancel", RUN) == f"{RUN}: 1 job cancelled, 2 had ended\n"
    states = [runs.engine.jobs[RUN][spec.name].state for spec in specs]
    assert states == [State.SUCCEEDED, State.CANCELLED, State.CANCELLED]


def test_what_failed_is_run_again_and_nothing_else(runs, jobs):
    specs = runs.submit()
    end(runs, specs[0])
    fail(runs, specs[1])
    runs.engine.cancel(RUN, [specs[2].name])
    assert jobs("retry", RUN, "a") == f"{RUN}: none of 1 job has failed\n"
    assert jobs("retry", RUN, specs[1].name) == f"{RUN}: 1 job run again on dask\n"
    assert jobs("retry", RUN) == f"{RUN}: 1 job run again on dask\n"
    states = [runs.engine.jobs[RUN][spec.name].state for spec in specs]
    assert states == [State.SUCCEEDED, State.QUEUED, State.QUEUED]


def test_a_run_is_forgotten_by_the_engine_and_not_by_the_workspace(runs, jobs):
    specs = runs.submit()
    assert "have not ended" in jobs("delete", RUN, expect=1)
    for spec in specs:
        end(runs, spec)
    assert jobs("delete", RUN).startswith(f"{RUN}: dask has forgotten it; its logs are in ")
    assert runs.engine.jobs == {}
    assert "3 succeeded" in jobs("list")


def test_times_are_a_table_a_spreadsheet_or_json(runs, jobs):
    specs = runs.submit()
    for n, spec in enumerate(specs[:2]):
        record = JobRecord(
            *(RUN, spec.name, State.SUCCEEDED, 1),
            started=NOW,
            ended=NOW + timedelta(seconds=10 * (n + 1)),
            seconds={"read": 1.0 + n},
            counts={"windows": 1000},
        )
        runs.records.write_record(record)
    lines = jobs("timings", RUN).splitlines()
    assert lines[1].split() == ["job", "read", "total", "windows"]
    assert lines[2].split() == [specs[1].name, "2.00", "20.0", "1,000"]
    assert lines[5].split() == ["median", "1.00", "10.0"]
    rows = list(csv.DictReader(io.StringIO(jobs("timings", "--csv"))))
    assert [(row["job"], row["total"]) for row in rows] == [(specs[0].name, "10.0"), (specs[1].name, "20.0")]
    told = json.loads(jobs("timings", RUN, "--json"))
    assert told[RUN]["percentiles"]["total"]["sum"] == 30.0
    assert jobs("timings").splitlines()[2].split() == [RUN, "2", "1.00", "10.0", "20.0"]


def test_settings_that_the_plan_gives_the_jobs_are_refused(runs, jobs):
    for name in ("at=2026-01-01", "sensor=a", "models={}", "staged=x", "judged=x"):
        output = jobs("submit", "--params", name, expect=1)
        assert f"--params {name.partition('=')[0]}: " in output


def test_scoring_has_nothing_to_put_together(runs, jobs):
    runs.submit()
    assert "there is nothing to register" in jobs("register", RUN, expect=1)
    (train,) = {spec.run for spec in runs.submit("train")}
    assert "jobs have not ended" in jobs("register", train, expect=1)


def test_an_evaluation_is_summed_up_when_all_of_its_jobs_have_succeeded(runs, jobs, monkeypatch):
    summed = []
    monkeypatch.setattr(
        "batch_scoring.jobs.run_job.run_here", lambda *given: summed.append(given) or len(summed) - 1
    )
    specs = runs.submit("evaluate")
    for spec in specs[1:]:
        end(runs, spec)
    fail(runs, specs[0], "sensor 'a': no model records its training range")
    assert "no model records its training range" in jobs("register", specs[0].run, expect=1)
    assert summed == []
    end(runs, specs[0])
    jobs("register", specs[0].run)
    assert summed == [
        (
            *("evaluate", ["", f"data={runs.data}", f"judged={runs.data}/09_jobs/{specs[0].run}"], None),
            "--from-inputs=judged_sensors",
        )
    ]
    jobs("register", specs[0].run, expect=1)  # summing up fails
