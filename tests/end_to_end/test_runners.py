"""Kedro's runners, each to the same rows."""

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("runner", ["ThreadRunner", "ParallelRunner"])
def test_every_runner_gives_the_rows_of_the_sequential_one(whole, new_workspace, tmp_path, runner):
    workspace = new_workspace(tmp_path, whole.params)
    workspace.kedro("run", "--runner", runner, "--params", f"data={tmp_path},{whole.params}")
    assert workspace.data() == whole.data()
    assert (tmp_path / "08_reporting/report.html").stat().st_size > 10_000


def test_an_evaluation_in_several_processes_is_refused_before_its_first_node(whole, tmp_path):
    workspace = whole.copy_to(tmp_path)
    options = ("--pipelines", "evaluate", "--runner", "ParallelRunner")
    output = workspace.kedro("run", *options, "--params", f"data={tmp_path},{whole.params}", expect=1)
    (line,) = output.splitlines()
    assert line.startswith("Error: --runner: ")
    assert "judged_sensors" in line
