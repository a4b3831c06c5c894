"""A run of the shipped workflow: one scheduler container, its exit code, nothing left, come what may."""

import subprocess
from datetime import timedelta
from itertools import pairwise

import pytest

from batch_scoring.deploy.template.workflow_check import actions_of
from tests.deploy.workflow.deployed import HOUR, definition, deployed
from tests.emulators.container_instances.group import Group
from tests.emulators.node_faults import Fault
from tests.emulators.work import ERR, OUT
from tests.waiting import wait_for

pytestmark = pytest.mark.slow  # a server each


def scripted(script):
    """A runner: the container prints its command and then does what the shell is told."""

    def start(work, folder):
        with (folder / OUT).open("wb") as out, (folder / ERR).open("wb") as err:
            command = ["sh", "-c", f'echo "$@"; {script}', "sh", *work.command]
            return subprocess.Popen(command, stdout=out, stderr=err, start_new_session=True)

    return start


@pytest.fixture
def app(tmp_path):
    with deployed(tmp_path, scripted("true")) as found:
        yield found


def statuses(run):
    return {name: record.status for name, record in run.actions.items()}


def test_the_scheduler_is_started_once_for_the_scheduled_time_and_deleted(app):
    run = app.run()
    assert run.status == "Succeeded", run.error
    assert app.containers.started == [f"score-{run.name.lower()}"]
    assert app.containers.groups == {}
    at = "2026-01-07T10:00:00.0000000Z"
    printed = f"/app/bin/schedule --pipeline score --at {at} --floor --wait\n"
    assert run.actions["Log"].outputs["body"]["content"] == printed


def test_a_scheduler_that_fails_fails_the_run_with_its_exit_code_and_last_lines(tmp_path):
    with deployed(tmp_path, scripted("echo 'Error: no windows' >&2; exit 3")) as app:
        run = app.run()
        assert run.status == "Failed"
        assert run.error["code"] == "SchedulerFailed"
        assert "container: Failed, exit code: 3" in run.error["message"]
        assert "Error: no windows" in run.error["message"]
        assert app.containers.groups == {}


def test_an_exit_code_counts_whatever_the_state_of_the_group_says(tmp_path, monkeypatch):
    tell = Group.describe

    def as_if_well(group):
        told = tell(group)
        if group.ended is not None:
            told["properties"]["instanceView"]["state"] = "Succeeded"
        return told

    monkeypatch.setattr(Group, "describe", as_if_well)
    with deployed(tmp_path, scripted("exit 3")) as app:
        assert "container: Succeeded, exit code: 3" in app.run().error["message"]


def test_a_scheduler_that_never_ends_is_ended_after_the_wait(tmp_path):
    with deployed(tmp_path, scripted("sleep 1000"), wait="PT2M") as app:
        run = app.run()
        assert run.status == "Failed"
        assert statuses(run)["Wait_for_its_end"] == "TimedOut"
        assert app.containers.groups == {}


def test_an_image_that_cannot_be_pulled_fails_the_run_and_is_cleared_away(tmp_path):
    with deployed(tmp_path, scripted("true"), wait="PT2M") as app:
        app.containers.faults.add(Fault.IMAGE)
        run = app.run()
        assert run.status == "Failed"
        assert "container: Pending" in run.error["message"]
        assert app.containers.groups == {}


def test_a_killed_container_fails_the_run(tmp_path):
    with deployed(tmp_path, scripted("sleep 100")) as app:
        app.containers.faults.add(Fault.NODE_LOST, seconds=0.05)
        run = app.run()
        assert "exit code: 137" in run.error["message"]
        assert app.containers.groups == {}


def test_a_group_that_cannot_be_made_fails_the_run_with_the_reason(app):
    app.containers.answers.add(
        400, "InaccessibleImage", "The image is not accessible.", method="PUT", times=2
    )
    run = app.run()
    assert run.status == "Failed"
    assert "create: Failed, once more: Failed" in run.error["message"]
    assert "The image is not accessible." in run.error["message"]
    assert statuses(run)["Wait_for_its_end"] == statuses(run)["Log"] == "Skipped"
    assert app.containers.started == []


def test_an_image_that_is_not_accessible_yet_is_asked_for_once_more(app):
    """The role to pull it was given just now."""
    app.containers.answers.add(400, "InaccessibleImage", "The image is not accessible.", method="PUT")
    run = app.run()
    assert run.status == "Succeeded", run.error
    assert len(app.containers.started) == 1 and app.containers.groups == {}


def test_a_group_that_cannot_be_provisioned_ends_the_wait(tmp_path, monkeypatch):
    tell = Group.describe

    def as_failed(group):
        told = tell(group)
        told["properties"]["provisioningState"] = "Failed"
        del told["properties"]["instanceView"]
        return told

    monkeypatch.setattr(Group, "describe", as_failed)
    with deployed(tmp_path, scripted("sleep 1000")) as app:
        run = app.run()
        assert "container: Failed, exit code: -1" in run.error["message"]
        assert statuses(run)["Wait_for_its_end"] == "Succeeded", "it waited on for what will never run"
        assert app.containers.groups == {}


def test_a_run_of_an_hour_is_looked_at_once_a_minute(tmp_path):
    (pause,) = [one for name, one in actions_of(definition()).items() if name == "Pause"]
    assert pause["inputs"]["interval"] == {"count": 60, "unit": "Second"}


def test_a_group_that_was_made_without_anybody_being_told_is_deleted(tmp_path):
    with deployed(tmp_path, scripted("sleep 1000")) as app:
        app.containers.answers.add(0, method="PUT", times=1000, after=True)
        run = app.run()
        assert run.status == "Failed"
        assert len(app.containers.started) == 1
        assert app.containers.groups == {}


def test_a_group_that_somebody_deletes_ends_the_wait(tmp_path):
    with deployed(tmp_path, scripted("sleep 100")) as app:
        run = app.app.fire(HOUR)
        (path,) = wait_for(lambda: list(app.containers.groups))
        app.containers.answer("DELETE", path, "api-version=2023-05-01", None, "")
        run.wait(60)
        assert run.status == "Failed"
        assert "container: Gone" in run.error["message"]
        assert statuses(run)["Wait_for_its_end"] == "Succeeded", "it waited on for what is not there"


def test_a_group_that_cannot_be_deleted_yet_is_asked_for_again(app):
    app.containers.answers.add(409, "Conflict", "in transition", method="DELETE", times=3)
    run = app.run()
    assert run.status == "Succeeded"
    assert app.containers.groups == {}


def test_a_group_that_cannot_be_deleted_fails_the_run_visibly(app):
    app.containers.answers.add(409, "Conflict", "in transition", method="DELETE", times=1000)
    run = app.run()
    assert run.status == "Failed"
    assert "exit code: 0, delete: 409" in run.error["message"]


# 2018's workflow deleted the group of the run before, ran over itself, and held a key.


def test_nothing_is_deleted_that_this_run_did_not_make(app):
    run = app.run()
    deleted = [path for method, path in app.calls if method == "DELETE"]
    assert [path.rpartition("/")[2] for path in deleted] == [f"score-{run.name.lower()}"]
    assert app.calls[0][0] == "PUT"


def test_runs_do_not_overlap_and_none_is_lost(tmp_path):
    with deployed(tmp_path, scripted("sleep 0.2")) as app:
        runs = [app.app.fire(HOUR + timedelta(hours=n)) for n in range(4)]
        for run in runs:
            run.wait(60)
        assert {run.status for run in runs} == {"Succeeded"}
        spans = sorted((run.began, run.ended) for run in runs)
        assert all(ended <= began for (_, ended), (began, _) in pairwise(spans))
        assert len(set(app.containers.started)) == 4


FAULTS = {
    "throttled": {"status": 429, "retry_after": 7},
    "broken": {"status": 503},
    "timed out after the act": {"status": 504, "after": True},
    "answer lost": {"status": 0, "after": True},
}
CALLS = [("PUT", ""), ("GET", ""), ("GET", "/logs"), ("DELETE", "")]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("method", "part"), CALLS)
# Six times is more than the service tries a look again.
@pytest.mark.parametrize("times", [1, 6])
def test_whichever_call_fails_for_a_while_the_hour_is_done_once(app, method, part, fault, times):
    app.containers.answers.add(**FAULTS[fault], method=method, part=part, times=times)
    run = app.run()
    assert run.status == "Succeeded", (run.error, statuses(run))
    assert len(app.containers.started) == 1
    assert app.containers.groups == {}
