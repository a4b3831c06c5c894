"""Jobs as processes of this machine: each runs to its end once, whoever is killed."""

import multiprocessing
import os
import signal
import threading
from datetime import UTC, datetime, timedelta

import pytest

from batch_scoring.jobs.planning import Sharding, plan_jobs
from batch_scoring.jobs.records import Records
from batch_scoring.jobs.settings import JobsParameters, LocalSettings
from batch_scoring.jobs.specs import State
from tests.jobs.quick_jobs import QuickJobs, executions
from tests.waiting import PATIENCE_SECONDS, wait_for

pytestmark = pytest.mark.slow  # servers and processes, together longer than the quick tests may take

AT = datetime(2026, 11, 22, 10, tzinfo=UTC)
SPECS = plan_jobs("score", AT, [f"s{n:02d}" for n in range(6)], Sharding(), {})
RUN = SPECS[0].run


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BATCH_SCORING_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def data(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def settings(**changes):
    return JobsParameters(local=LocalSettings(processes=3), **changes)


def states(engine):
    return {one.name: one.state for one in engine.statuses(RUN)}


def submit_in_another_process(data, how, specs=SPECS):
    """Another scheduler of this machine; give it back."""
    context = multiprocessing.get_context("fork")
    child = context.Process(target=lambda: QuickJobs(data, settings(), how).submit(RUN, specs))
    child.start()
    return child


def test_every_job_runs_once_and_a_second_submission_changes_nothing(data):
    assert QuickJobs(data, settings()).submit(RUN, SPECS) == 6
    assert sorted(executions(data)) == sorted(f"{RUN}/{spec.name}" for spec in SPECS)
    again = QuickJobs(data, settings())
    assert again.submit(RUN, SPECS) == 0
    assert len(executions(data)) == 6
    assert states(again) == dict.fromkeys([spec.name for spec in SPECS], State.SUCCEEDED)


def test_two_schedulers_at_once_run_every_job_once(data):
    children = [submit_in_another_process(data, "slow") for _ in range(2)]
    for child in children:
        child.join()
    assert len(executions(data)) == 6


@pytest.mark.slow
def test_two_schedulers_at_the_same_instant_run_every_job_once(tmp_path, trials):
    for trial in range(trials):
        data = tmp_path / f"{trial}"
        data.mkdir()
        children = [submit_in_another_process(data, "succeed", SPECS[:2]) for _ in range(2)]
        for child in children:
            child.join()
        assert [child.exitcode for child in children] == [0, 0]
        assert sorted(executions(data)) == sorted(f"{RUN}/{spec.name}" for spec in SPECS[:2])


@pytest.mark.slow
@pytest.mark.parametrize("how", ["die once", "fail once"])
def test_what_fails_once_is_run_again(data, how):
    engine = QuickJobs(data, settings(), how)
    engine.submit(RUN, SPECS)
    assert list(states(engine).values()) == [State.SUCCEEDED] * 6
    assert len(executions(data)) == 12
    assert {one.attempt for one in Records(str(data)).all_records(RUN).values()} == {2}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "reason"), [("fail", "it failed"), ("die", "the job's process ended with exit code -9")]
)
def test_what_always_fails_is_tried_so_often_and_tells_why(data, how, reason):
    engine = QuickJobs(data, settings(retries=1), how)
    engine.submit(RUN, SPECS)
    assert len(executions(data)) == 12
    ended = [(one.state, one.reason.partition(",")[0]) for one in engine.statuses(RUN)]
    assert ended == [(State.FAILED, reason)] * 6
    mended = QuickJobs(data, settings())
    mended.retry(RUN, SPECS[:2])
    assert list(states(mended).values()).count(State.SUCCEEDED) == 2


@pytest.mark.slow
def test_jobs_that_take_too_long_are_ended_and_told(data):
    engine = QuickJobs(data, settings(max_wall_time=timedelta(seconds=1), retries=0), "hang")
    engine.submit(RUN, SPECS)
    told = {(one.state, one.reason) for one in engine.statuses(RUN)}
    assert told == {(State.FAILED, "took longer than jobs.max_wall_time, 1 s")}
    records = Records(str(data)).all_records(RUN)
    assert len(records) == 6
    # On a busy machine a job is ended before it has told its id.
    assert not any(record.pid and _alive(record.pid) for record in records.values())


def test_a_scheduler_that_is_killed_leaves_its_jobs_which_no_other_runs_twice(data):
    first = submit_in_another_process(data, "slow")
    wait_for(lambda: executions(data))
    first.kill()
    first.join()
    QuickJobs(data, settings(), "slow").submit(RUN, SPECS)
    assert len(executions(data)) == len(set(executions(data))) == 6
    assert set(states(QuickJobs(data, settings())).values()) == {State.SUCCEEDED}


def test_a_job_of_another_scheduler_can_be_cancelled_and_is_not_tried_again(data):
    child = submit_in_another_process(data, "hang", SPECS[:1])
    wait_for(lambda: State.RUNNING in states(QuickJobs(data, settings())).values())
    engine = QuickJobs(data, settings())
    engine.cancel(RUN, [SPECS[0].name])
    child.join(PATIENCE_SECONDS)
    assert child.exitcode == 0
    assert states(engine)[SPECS[0].name] in (State.CANCELLED, State.FAILED)
    assert len(executions(data)) == 1


def test_jobs_that_another_scheduler_has_yet_to_start_can_be_cancelled_and_submitted_again(data):
    child = submit_in_another_process(data, "hang")
    wait_for(lambda: list(states(QuickJobs(data, settings())).values()).count(State.RUNNING) == 3)
    waiting = {spec.name for spec in SPECS} - states(QuickJobs(data, settings())).keys()
    # Those that wait first, or a place that becomes free would be theirs.
    QuickJobs(data, settings()).cancel(RUN, sorted(waiting) + [spec.name for spec in SPECS])
    child.join(PATIENCE_SECONDS)
    assert child.exitcode == 0
    assert len(executions(data)) == 3
    assert {name: states(QuickJobs(data, settings()))[name] for name in waiting} == dict.fromkeys(
        waiting, State.CANCELLED
    )
    assert QuickJobs(data, settings()).submit(RUN, SPECS) == 6
    assert set(states(QuickJobs(data, settings())).values()) == {State.SUCCEEDED}


def test_a_job_whose_process_is_gone_is_told_as_failed(data):
    child = submit_in_another_process(data, "hang", SPECS[:1])
    wait_for(lambda: State.RUNNING in states(QuickJobs(data, settings())).values())
    child.kill()
    os.kill(Records(str(data)).record(RUN, SPECS[0].name).pid, signal.SIGKILL)
    wait_for(lambda: State.FAILED in states(QuickJobs(data, settings())).values())
    (status,) = QuickJobs(data, settings()).statuses(RUN)
    assert status.reason.startswith("its process is gone")


def test_an_interrupted_scheduler_ends_its_jobs(data):
    engine = QuickJobs(data, settings(), "hang")
    # Whoever started the tests in the background may have had them ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    records = Records(str(data))

    def interrupt():
        wait_for(lambda: [one.state for one in records.all_records(RUN).values()] == [State.RUNNING] * 2)
        os.kill(os.getpid(), signal.SIGINT)

    interrupting = threading.Thread(target=interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            interrupting.start()
            engine.submit(RUN, SPECS[:2])
            interrupting.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert not any(_alive(records.record(RUN, spec.name).pid) for spec in SPECS[:2])


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
