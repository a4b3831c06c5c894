"""The last runs, as they were recorded."""

from datetime import UTC, datetime, timedelta

import pytest

from batch_scoring.core.processes import host, process
from batch_scoring.jobs.records import JobRecord, Records
from batch_scoring.jobs.specs import JobSpec, State
from batch_scoring.reporting.run_records import FAILED, RunRecord
from tests.reporting.fleet_factory import fleet_of, prediction_rows
from tests.server.sites import site_of

pytestmark = pytest.mark.slow

START = datetime(2026, 1, 5, 10, tzinfo=UTC)


def test_commits_and_failures_are_listed():
    with site_of(fleet_of(prediction_rows("a", "flow", [1.0] * 40))) as site:
        records, run = Records(str(site.folder)), "score-20260105t100000z"
        records.keep_plan(run, [JobSpec(run, name, "score", START, (name,)) for name in ("flow", "power")])
        records.mark_submitted(run, "local")
        shared = {"started": START, "ended": START + timedelta(seconds=7)}
        records.write_record(JobRecord(run, "flow", State.SUCCEEDED, 1, 0, **shared))
        records.write_record(JobRecord(run, "power", State.FAILED, 1, 1, "the disk is <full>", **shared))
        with site.client() as client:
            text = client.get("/jobs").text

    assert "<code>predictions</code>" in text
    assert "1 failed" in text
    assert "the disk is &lt;full&gt;" in text
    assert "longest 7 s" in text


def test_the_last_runs_are_listed_with_their_steps_and_why_one_failed():
    shared = {"host": host(), "process": process()}
    hour = timedelta(hours=1)
    runs = [
        RunRecord(START + hour, ("score",), **shared),
        RunRecord(
            START, (), FAILED, START + timedelta(seconds=75), {"ingest": 61.0}, "ingest", "no <b>", **shared
        ),
        RunRecord(START - hour, (), host=host(), process="1 gone"),
    ]
    with site_of(fleet_of(prediction_rows("a", "flow", [1.0] * 40))) as site:
        with site.client() as client:
            assert "No <code>kedro run</code> is recorded yet." in client.get("/jobs").text
        site.runs = runs
        with site.client() as client:
            text = client.get("/jobs").text

    assert "5 Jan 2026 11:00</b> score" in text
    assert "the whole run: 1 min 15 s" in text
    assert "<b>ingest</b>: no &lt;b&gt;" in text
    assert "1 min 1 s" in text
    assert "Its process is gone" in text
