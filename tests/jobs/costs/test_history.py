"""Durations from the records of past runs, and the command that reads them."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from batch_scoring.cli.jobs_plan import plan
from batch_scoring.core.errors import InputError
from batch_scoring.jobs.costs.history import read_history
from batch_scoring.jobs.planning import Sharding, plan_jobs
from batch_scoring.jobs.records import JobRecord, Records
from batch_scoring.jobs.specs import State

pytestmark = pytest.mark.slow

AT = datetime(2026, 11, 22, 10, tzinfo=UTC)


def keep_run(records, hour, sensors, seconds):
    """A run with a record for each sensor that has seconds; None has failed."""
    specs = plan_jobs("score", AT + timedelta(hours=hour), sensors, Sharding(), {})
    records.keep_plan(specs[0].run, specs)
    for spec in specs:
        if spec.sensors[0] in seconds:
            took = seconds[spec.sensors[0]]
            state = State.FAILED if took is None else State.SUCCEEDED
            record = JobRecord(
                *(spec.run, spec.name, state, 1), started=AT, ended=AT + timedelta(seconds=took or 9)
            )
            records.write_record(record)
    return {spec.sensors[0]: spec.name for spec in specs}


def test_a_job_takes_the_median_of_its_runs_and_a_new_one_that_of_the_others(tmp_path):
    records = Records(str(tmp_path))
    for hour, seconds in enumerate([{"a": 10, "b": 100}, {"a": 20, "b": None}, {"a": 60}]):
        keep_run(records, hour, ["a", "b"], seconds)
    names = keep_run(records, 3, ["a", "b", "new"], {})
    history = read_history(records, "score")
    assert history.seconds == {names["a"]: 20, names["b"]: 100, names["new"]: 60}
    assert (history.runs, history.measured) == (4, 4)


def test_without_records_it_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match="--jobs and --minutes"):
        read_history(Records(str(tmp_path)), "score")


def run_plan(*arguments):
    done = CliRunner().invoke(plan, arguments)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_command_reads_the_records(tmp_path):
    keep_run(Records(str(tmp_path)), 0, ["a", "b"], {"a": 60, "b": 120})
    told = json.loads(
        run_plan("--data", str(tmp_path), "--json", "--params", "jobs.costs.job_overhead=0s,jobs.every=30m")
    )
    assert (told["jobs"], told["work_seconds"], told["every_seconds"]) == (2, 180, 1800)
    assert told["deadline_seconds"] == 1800
    assert told["cheapest"] == told["choices"][0]
    assert len(told["cheapest"]["makespan_seconds_of_runs"]) == 48


def test_the_command_names_the_cheapest_of_given_jobs(tmp_path):
    page = tmp_path / "costs.html"
    output = run_plan("--jobs", "5", "--minutes", "2", "--html", str(page))
    assert output.splitlines()[-2].startswith(
        "Cheapest that ends by 1 h: from zero, 2 cores, 0–1 nodes, 0.81"
    )
    assert "<svg" in page.read_text(encoding="utf-8")
    assert CliRunner().invoke(plan, ["--jobs", "5"]).exit_code == 2


def test_the_command_holds_the_cluster_of_the_settings_against_the_cheapest(tmp_path):
    page = tmp_path / "costs.html"
    pool = "jobs.backend=azure_batch,jobs.azure_batch.min_nodes=3,jobs.azure_batch.max_nodes=3"
    given = ("--jobs", "5", "--minutes", "2", "--params", pool)
    lines = run_plan(*given, "--html", str(page)).splitlines()
    assert [line.split("  ")[0] for line in lines if line.startswith("as configured")] == [
        "as configured, 2 cores"
    ]
    assert lines[-2].startswith("As configured (jobs.azure_batch): 3 dedicated nodes, 6.91 USD a day")
    assert lines[-2] in page.read_text(encoding="utf-8") and lines[-1] in page.read_text(encoding="utf-8")
    told = json.loads(run_plan(*given, "--json"))
    assert (told["configured"]["policy"], told["configured"]["cost_per_day"]) == (
        "fixed",
        pytest.approx(3 * 24 * 0.096),
    )
    unknown = pool + ",jobs.azure_batch.vm_size=Standard_X"
    assert (
        run_plan("--jobs", "5", "--minutes", "2", "--params", unknown)
        .splitlines()[-2]
        .endswith("vm_size Standard_X.")
    )
