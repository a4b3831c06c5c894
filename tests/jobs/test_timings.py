"""Times of jobs: waiting by the engine's clock, the rest as the job told, percentiles that are some job's."""

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.jobs.records import JobRecord
from batch_scoring.jobs.specs import JobStatus, State
from batch_scoring.jobs.timings import COUNTS, PHASES, as_csv, job_times, percentiles, table_rows

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
RUN = "score-20261122t100000z"


def after(seconds):
    return NOW + timedelta(seconds=seconds)


RECORD = JobRecord(
    *(RUN, "a", State.SUCCEEDED, 1),
    exit_code=0,
    started=after(150),
    ended=after(270),
    seconds={"start": 2.0, "read": 100.0, "score": 90.0, "write": 20.0},
    counts={"windows": 1200, "devices": 3, "failed": 1},
)


def test_waiting_is_what_the_engine_tells_and_the_rest_what_the_job_tells():
    status = JobStatus("a", State.SUCCEEDED, created=NOW, started=after(120), ended=after(271))
    assert job_times(RECORD, status).seconds == {
        **{"queue": 120.0, "pull": 30.0, "start": 2.0},
        **{"read": 100.0, "score": 90.0, "write": 20.0, "total": 120.0},
    }


def test_what_is_not_known_is_left_out():
    assert job_times(RECORD, None).seconds.keys().isdisjoint({"queue", "pull"})
    unknown = JobStatus("a", State.RUNNING, created=after(150), started=after(150))
    assert job_times(RECORD, unknown).seconds.keys().isdisjoint({"queue", "pull"})
    begun = JobRecord(RUN, "a", State.RUNNING, 1, started=NOW)
    assert job_times(begun, None).seconds == {}


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50))
def test_percentiles_are_times_of_some_job_and_in_order(values):
    found = percentiles(
        [replace(RECORD, name=str(n), seconds={"total": one}) for n, one in enumerate(values)]
    )
    told = [found["total"][name] for name in ("p50", "p90", "p100")]
    assert told == sorted(told)
    assert set(told) <= set(values)
    assert told[-1] == max(values)
    assert sum(one <= told[0] for one in values) >= len(values) / 2


def test_a_table_has_the_slowest_job_first_and_only_what_is_known():
    jobs = [
        job_times(RECORD, None),
        JobRecord(RUN, "b", State.FAILED, 2, seconds={"start": 1.0, "total": 500.0}),
    ]
    head, rows = table_rows(jobs, percentiles(jobs))
    assert head == ["job", "start", "read", "score", "write", "total", "windows", "devices", "failed"]
    assert rows[0][:6] == ["b", "1.00", "", "", "", "500.0"]
    assert rows[1] == ["a", "2.00", "100.0", "90.0", "20.0", "120.0", "1,200", "3", "1"]
    assert [row[0] for row in rows[2:]] == ["median", "90 % within", "longest", "sum"]
    assert rows[-1][-4:] == ["620.0", "1,200", "3", "1"]


def test_a_spreadsheet_gets_every_column_always():
    (row,) = csv.DictReader(io.StringIO(as_csv([job_times(RECORD, None)])))
    assert list(row) == ["run", "job", "state", "attempt", *PHASES, *COUNTS]
    assert (row["queue"], row["read"], row["windows"]) == ("", "100.0", "1200")
