"""What Kedro-Viz reads of the last run, by its own reader."""

from __future__ import annotations

import logging

import pytest
from kedro.framework.hooks import hook_impl
from kedro.framework.hooks.manager import _create_hook_manager, _register_hooks
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner

from batch_scoring.core.errors import InputError
from batch_scoring.jobs.viz_hook import RunStatus

pytestmark = pytest.mark.slow  # importing Kedro-Viz takes seconds


class Shortfall:
    """Stands for the hook that ends a run which fell short of something."""

    @hook_impl
    def after_pipeline_run(self):
        raise InputError("7 of 10")


def run(folder, pipeline: Pipeline, *more) -> None:
    """Run as a session of Kedro does."""
    manager, catalog = _create_hook_manager(), DataCatalog()
    _register_hooks(manager, (RunStatus(), *more))
    shared = {"run_params": {"project_path": str(folder)}, "pipeline": pipeline, "catalog": catalog}
    manager.hook.before_pipeline_run(**shared)
    try:
        result = SequentialRunner().run(pipeline, catalog, manager)
    except Exception as error:
        manager.hook.on_pipeline_error(error=error, **shared)
        raise
    manager.hook.after_pipeline_run(run_result=result, **shared)


@pytest.fixture
def status(tmp_path, monkeypatch):
    """What Kedro-Viz answers about the project in this folder: nodes by name, and the pipeline."""
    from kedro_viz.api.rest.responses.run_events import get_run_status_response
    from kedro_viz.integrations.kedro.hooks_utils import hash_node

    (tmp_path / "pyproject.toml").write_text("[tool.kedro]\n")
    monkeypatch.chdir(tmp_path)

    def read(pipeline):
        answer = get_run_status_response()
        found = {node.name: answer.nodes.get(hash_node(node)) for node in pipeline.nodes}
        return found, answer.pipeline, {one.name for one in answer.datasets.values()}

    return read


def test_nodes_datasets_and_the_run_have_their_status(tmp_path, status):
    pipeline = Pipeline(
        [Node(lambda: 1, None, "a", name="first"), Node(lambda a: a, "a", "b", name="second")]
    )
    run(tmp_path, pipeline)
    nodes, whole, datasets = status(pipeline)
    assert [node.status.value for node in nodes.values()] == ["success", "success"]
    assert all(node.duration > 0 for node in nodes.values())
    assert (whole.status.value, whole.error, datasets) == ("success", None, {"a", "b"})
    assert whole.start_time < whole.end_time


def test_a_node_takes_until_its_last_piece_is_stored(tmp_path, status, monkeypatch):
    clock = iter(range(1_000))
    monkeypatch.setattr("batch_scoring.jobs.viz_hook.time.perf_counter", lambda: float(next(clock)))

    def pieces():
        yield from (1, 2, 3)

    pipeline = Pipeline([Node(pieces, None, "a", name="first")])
    run(tmp_path, pipeline)
    assert status(pipeline)[0]["first"].duration == 4  # its return, and three pieces


def test_the_node_that_failed_while_its_pieces_were_stored_is_marked(tmp_path, status):
    def pieces():
        yield 1
        raise InputError("https://a/b?sig=s3cret: gone")

    nodes = [Node(lambda: 0, None, "x", name="first"), Node(pieces, None, "a", name="second")]
    nodes += [Node(lambda a: a, "a", "b", name="third")]
    pipeline = Pipeline(nodes)
    with pytest.raises(InputError):
        run(tmp_path, pipeline)
    found, whole, _ = status(pipeline)
    assert found["first"].status.value == "success"
    assert found["second"].status.value == "failed"
    assert found["second"].error.message == "https://a/b?sig=…: gone"
    assert (found["third"], whole.status.value) == (None, "failed")


def test_a_run_that_fell_short_has_failed(tmp_path, status):
    pipeline = Pipeline([Node(lambda: 1, None, "a", name="first")])
    with pytest.raises(InputError):
        run(tmp_path, pipeline, Shortfall())
    found, whole, _ = status(pipeline)
    assert (found["first"].status.value, whole.status.value, whole.error.message) == (
        *("success", "failed", "7 of 10"),
    )


def test_a_packaged_run_and_a_folder_that_cannot_be_written_leave_nothing(tmp_path, caplog):
    pipeline = Pipeline([Node(lambda: 1, None, "a", name="first")])
    run(tmp_path, pipeline)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / ".viz").write_text("a file in the place of the folder")
    with caplog.at_level(logging.DEBUG, "batch_scoring.jobs.viz_hook"):
        run(tmp_path, pipeline)
    assert "not kept for Kedro-Viz" in caplog.text
