"""The last runs, as they were recorded."""

from datetime import UTC, datetime, timedelta

from batch_scoring.jobs.records import JobRecord, Records
from batch_scoring.jobs.specs import JobSpec, State
from tests.reporting.fleet_factory import fleet_of, prediction_rows
from tests.server.sites import site_of

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
