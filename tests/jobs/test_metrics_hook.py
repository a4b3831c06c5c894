"""A run notes how it went, and writes its metrics, where it is asked to; and never fails for it."""

from __future__ import annotations

import json

import pytest
from kedro.framework.hooks.manager import _create_hook_manager, _register_hooks
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner

from batch_scoring.core.errors import InputError
from batch_scoring.hooks import ProjectHooks
from batch_scoring.jobs.metrics_hook import RunMetrics
from batch_scoring.jobs.timing_hook import TIMINGS_FILE
from batch_scoring.reporting.metrics import TABLES
from batch_scoring.storage import open_folder
from batch_scoring.tables.arrow_arrays import empty_table
from batch_scoring.tables.schemas import DEVICES
from tests.row_tables import table_at


class Run:
    """A run of one node in a workspace, with the hooks of the project."""

    def __init__(self, folder, file):
        self.folder, self.file = folder, file
        self.catalog = DataCatalog(
            {
                "workspace": MemoryDataset(open_folder(str(folder)), copy_mode="assign"),
                "params:metrics": MemoryDataset({"file": file and str(file)}),
                "devices": MemoryDataset(empty_table(DEVICES), copy_mode="assign"),
                **{name: MemoryDataset(table_at(folder / name), copy_mode="assign") for name in TABLES},
            }
        )

    def go(self, counts=None, error=None):
        def score():
            if error:
                raise error
            return counts or {"shortfalls": [], "windows": 7}

        pipeline = Pipeline([Node(score, None, "score_counts", name="score")])
        hook = RunMetrics()
        hook.before_pipeline_run(catalog=self.catalog)
        manager = _create_hook_manager()
        _register_hooks(manager, (hook,))
        try:
            SequentialRunner().run(pipeline, self.catalog, manager)
        except Exception:
            hook.on_pipeline_error(catalog=self.catalog)
            return
        self.catalog["score_counts"] = counts or {"shortfalls": [], "windows": 7}
        hook.after_pipeline_run(pipeline=pipeline, catalog=self.catalog)

    def known(self):
        return json.loads((self.folder / "08_reporting/last_run.json").read_text())


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "data", tmp_path / "batch_scoring.prom")


def test_a_run_that_succeeds_and_one_that_does_not(run):
    run.go()
    good = run.known()
    assert (good["is_success"], good["counts"], good["last_success"]) == (
        True,
        {"windows_scored": 7},
        good["ended"],
    )
    assert list(good["step_seconds"]) == ["score"]
    assert "batch_scoring_last_run_succeeded 1.0" in run.file.read_text()
    run.go(error=OSError("the disk is full"))
    bad = run.known()
    assert (bad["is_success"], bad["last_success"]) == (False, good["ended"])
    assert "batch_scoring_last_run_succeeded 0.0" in run.file.read_text()


def test_a_run_with_shortfalls_is_no_success(run):
    run.go({"shortfalls": ["7 of 10"], "windows": 3})
    assert run.known()["is_success"] is False
    assert run.known()["last_success"] is None


def test_nothing_is_written_unless_asked_for_nor_in_a_job(run, tmp_path, monkeypatch):
    silent = Run(tmp_path / "data", None)
    silent.go()
    monkeypatch.setenv(TIMINGS_FILE, str(tmp_path / "timings.json"))
    run.go()
    assert not run.file.exists()
    assert not (tmp_path / "data/08_reporting").exists()


def test_a_file_that_cannot_be_written_is_a_warning(tmp_path, caplog):
    run = Run(tmp_path / "data", tmp_path / "no folder/batch_scoring.prom")
    run.go()
    assert "metrics.file" in caplog.text
    assert "was not written" in caplog.text
    assert run.known()["is_success"]


def test_a_file_of_another_kind_is_refused(run, tmp_path):
    run.catalog["params:metrics"] = {"file": str(tmp_path / "metrics.txt")}
    with pytest.raises(InputError, match=r"metrics\.file: .* ends in \.prom"):
        RunMetrics().before_pipeline_run(catalog=run.catalog)


def test_it_comes_before_the_hook_that_fails_the_run():
    manager = _create_hook_manager()
    _register_hooks(manager, (RunMetrics(), ProjectHooks()))
    order = [one.plugin.__class__ for one in manager.hook.after_pipeline_run.get_hookimpls()]
    assert order[-1] is RunMetrics  # pluggy calls the last one first
