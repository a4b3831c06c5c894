"""Each run is recorded with its steps, and why it failed; and never fails for its record."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from kedro.framework.hooks import hook_impl
from kedro.framework.hooks.manager import _create_hook_manager, _register_hooks
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner

from batch_scoring.core.errors import InputError
from batch_scoring.datasets.workspace import WorkspaceDataset
from batch_scoring.hooks import ProjectHooks
from batch_scoring.jobs.records_hook import RunRecords
from batch_scoring.jobs.timing_hook import TIMINGS_FILE
from batch_scoring.reporting.run_records import read_records
from batch_scoring.storage import open_folder


class Settings:
    """Stands for the hook that checks the settings."""

    def __init__(self, refusal):
        self.refusal = refusal

    @hook_impl
    def before_pipeline_run(self):
        if self.refusal:
            raise self.refusal


@pytest.fixture
def workspace(tmp_path):
    WorkspaceDataset(str(tmp_path)).load()  # marked as a workspace
    return tmp_path


def run(folder, error=None, shortfalls=(), refusal=None, asked=("score",), **options):
    """Run one node as a session of Kedro does; return what is recorded."""

    def node():
        if error:
            raise error
        return {"shortfalls": list(shortfalls)}

    pipeline = Pipeline([Node(node, None, "score_counts", name="score")])
    catalog = DataCatalog({"workspace": WorkspaceDataset(str(folder)), "score_counts": MemoryDataset()})
    manager = _create_hook_manager()
    shortfall = type("Shortfall", (), {"after_pipeline_run": ProjectHooks.after_pipeline_run})
    _register_hooks(manager, (Settings(refusal), shortfall(), RunRecords()))
    shared = {
        "run_params": {"pipeline_names": list(asked)} | options,
        "pipeline": pipeline,
        "catalog": catalog,
    }
    manager.hook.before_pipeline_run(**shared)
    assert [one.state for one in read_records(open_folder(str(folder)))][:1] in ([], ["running"])
    try:
        found = SequentialRunner().run(pipeline, catalog, manager)
    except Exception as failed:
        manager.hook.on_pipeline_error(error=failed, **shared)
        raise
    manager.hook.after_pipeline_run(run_result=found, **shared)


def recorded(folder):
    return read_records(open_folder(str(folder)))


def test_a_run_that_succeeds_has_its_steps(workspace):
    run(workspace)
    (one,) = recorded(workspace)
    assert (one.state, one.pipelines, list(one.step_seconds), one.reason) == (
        "succeeded",
        ["score"],
        ["score"],
        "",
    )
    assert one.seconds is not None


@pytest.mark.parametrize(
    ("asked", "options", "expected"),
    [
        ((), {"tags": (), "node_names": None, "only_missing_outputs": False}, []),
        ((), {"tags": ("score", "monitor")}, ["--tags=score,monitor"]),
        (("evaluate",), {"to_outputs": ["judged_sensors"]}, ["evaluate", "--to-outputs=judged_sensors"]),
        ((), {"only_missing_outputs": True}, ["--only-missing-outputs"]),
    ],
)
def test_a_part_of_a_run_is_not_called_the_whole(workspace, asked, options, expected):
    run(workspace, asked=asked, **options)
    assert [one.pipelines for one in recorded(workspace)] == [expected]


def test_a_run_that_fails_says_in_which_step_and_why_without_secrets(workspace):
    with pytest.raises(InputError):
        run(workspace, InputError("https://a?sig=s3cret is not readable; try again"))
    (one,) = recorded(workspace)
    assert (one.state, one.failed_step) == ("failed", "score")
    assert one.reason == "https://a?sig=… is not readable; try again"


def test_of_a_bug_the_log_file_is_named_and_written_once(workspace):
    from batch_scoring.core.failures import sentence_of

    bug = ZeroDivisionError("division by zero")
    with pytest.raises(ZeroDivisionError):
        run(workspace, bug)
    (one,) = recorded(workspace)
    log = Path(re.search(r"send the log file (\S+)", one.reason)[1])
    try:
        assert "ZeroDivisionError" in log.read_text()
        assert str(sentence_of(bug)) == one.reason  # what the command says
    finally:
        log.unlink()


def test_shortfalls_and_refused_settings_are_failures(workspace):
    with pytest.raises(InputError):
        run(workspace, shortfalls=["7 of 10"])
    with pytest.raises(InputError):
        run(workspace, refusal=InputError("train.x: not a setting"))
    refused, short = recorded(workspace)
    assert (short.state, short.failed_step, short.reason) == ("failed", "", "7 of 10")
    assert (refused.state, refused.reason, refused.step_seconds) == ("failed", "train.x: not a setting", {})


def test_nothing_is_recorded_in_a_misspelt_folder_nor_of_a_job(tmp_path, monkeypatch):
    folder = tmp_path / "misspelt"
    run(folder)
    assert not folder.exists()
    WorkspaceDataset(str(folder)).load()
    monkeypatch.setenv(TIMINGS_FILE, str(tmp_path / "timings.json"))
    run(folder)
    assert recorded(folder) == []


def test_a_run_whose_record_cannot_be_written_goes_on(workspace):
    (workspace / "08_reporting").write_text("a file where a folder is wanted")
    run(workspace)
    assert (workspace / "08_reporting").is_file()
