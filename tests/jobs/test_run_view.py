"""A run is known by its name, and what became of its jobs also when the engine has forgotten them."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.jobs.records import JobRecord
from batch_scoring.jobs.run_view import known_run, planned_times, store_statuses
from batch_scoring.jobs.specs import State
from tests.jobs.runs import AT, Runs

NOW = datetime.now(UTC)


@pytest.fixture
def runs(tmp_path):
    return Runs(tmp_path)


def end_all(runs, specs, state=State.SUCCEEDED):
    for spec in specs:
        runs.engine.end(spec.run, spec.name, state, "why")


def test_the_last_run_is_the_one_that_was_planned_last(runs):
    later = runs.submit()[0].run
    assert known_run(runs.records, "last") == known_run(runs.records, later) == later
    earlier = runs.submit(at=AT - timedelta(hours=1))[0].run
    plan = runs.records.folder.path(f"{later}/plan.json")
    os.utime(plan, (1, 1))
    assert known_run(runs.records, "last") == earlier
    assert list(planned_times(runs.records)) == [earlier, later]


def test_an_unknown_run_is_answered_with_those_that_look_like_it(runs):
    runs.submit()
    with pytest.raises(InputError, match=r"run 'score-20261122t10' is not .* did you mean 'score-20261122t1"):
        known_run(runs.records, "score-20261122t10")
    with pytest.raises(InputError, match="there are no runs yet"):
        known_run(Runs(f"{runs.data}/empty").records, "last")


def test_a_job_is_named_by_its_name_or_its_sensor(runs):
    specs = runs.submit()
    named = runs.monitor(specs[0].run).named
    assert named(["b", specs[0].name, "b"]) == [specs[1].name, specs[0].name]
    with pytest.raises(InputError, match="job 'B' is not among"):
        named(["B"])


def test_what_the_engine_told_is_kept_for_when_it_has_forgotten_it(runs):
    specs = runs.submit()
    run = specs[0].run
    store_statuses(runs.records, runs.monitor(run).view())
    end_all(runs, specs, State.FAILED)
    before = runs.monitor(run).view()
    store_statuses(runs.records, before)
    runs.engine.delete(run)
    assert runs.monitor(run).view() == before
    assert before.failed[0].reason == "why"


def test_a_run_that_has_not_ended_is_not_kept(runs):
    specs = runs.submit()
    store_statuses(runs.records, runs.monitor(specs[0].run).view())
    runs.engine.delete(specs[0].run)
    assert runs.monitor(specs[0].run).view().counts == {"planned": 3}


def test_what_the_jobs_wrote_counts_where_nobody_kept_anything(runs):
    specs = runs.submit(is_submitted=False)
    run = specs[0].run
    runs.records.write_record(
        JobRecord(run, specs[0].name, State.SUCCEEDED, 1, exit_code=0, started=NOW, ended=NOW)
    )
    assert runs.monitor(run).view().counts == {"planned": 2, "succeeded": 1}


def test_the_log_of_a_job_is_its_own_or_else_the_engines(runs):
    specs = runs.submit()
    run, name = specs[0].run, specs[0].name
    monitor = runs.monitor(run)
    runs.engine.log = lambda run, name: "the image is not there"
    assert monitor.log(name) == "the image is not there"
    runs.records.write_record(JobRecord(run, name, State.FAILED, 2))
    runs.records.write_log(run, name, 1, b"first")
    runs.records.write_log(run, name, 2, b"second")
    assert monitor.log(name) == "second"
