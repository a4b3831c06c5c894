"""What a task and a record say together of a job."""

from datetime import UTC, datetime

import pytest

from batch_scoring.jobs.backends.dask.backend import status_from, stays
from batch_scoring.jobs.records import JobRecord
from batch_scoring.jobs.specs import State

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def record(state, code=None, host="another machine"):
    return JobRecord("run", "job", state, 1, code, started=NOW, ended=NOW, host=host)


@pytest.mark.parametrize(
    ("task", "written", "state"),
    [
        ("queued", None, State.QUEUED),
        ("no-worker", record(State.RUNNING), State.QUEUED),  # its worker was lost
        ("processing", None, State.PREPARING),
        ("processing", record(State.FAILED, 1), State.PREPARING),  # it is tried again
        ("processing", record(State.RUNNING), State.RUNNING),
        ("processing", record(State.SUCCEEDED, 0), State.SUCCEEDED),
        ("memory", None, State.SUCCEEDED),
        ("memory", record(State.FAILED, 143), State.CANCELLED),
        ("erred", record(State.RUNNING), State.FAILED),
        ("erred", None, State.FAILED),
        (None, record(State.SUCCEEDED, 0), State.SUCCEEDED),
        (None, record(State.CANCELLED), State.CANCELLED),
        (None, record(State.RUNNING), State.FAILED),
        (None, record(State.FAILED, 1), State.FAILED),
    ],
)
def test_task_and_record_give_the_state(task, written, state):
    assert status_from("job", task, written, "why").state is state


def test_of_a_job_with_neither_nothing_is_known():
    assert status_from("job", None, None) is None


def test_a_failed_task_tells_why():
    assert status_from("job", "erred", record(State.RUNNING), "its workers died").reason == "its workers died"


def test_what_has_succeeded_or_was_cancelled_is_not_run_again():
    again = [None, record(State.RUNNING), record(State.FAILED, 1)]
    assert not any(map(stays, again))
    assert all(map(stays, [record(State.SUCCEEDED), record(State.CANCELLED), record(State.FAILED, 143)]))
