"""Kedro's own commands answer for this project, and what they refuse is one line."""

import sys

import pytest
import yaml
from click.testing import CliRunner
from kedro.framework.startup import bootstrap_project

from batch_scoring.cli import cli
from batch_scoring.pipeline_registry import ORDER
from tests.cli.conftest import PROJECT

pytestmark = pytest.mark.slow


def ask(*arguments):
    return CliRunner().invoke(cli, arguments, obj=bootstrap_project(PROJECT))


def test_pipelines_are_listed_and_described(project):
    assert {"__default__", *ORDER} <= {*yaml.safe_load(ask("registry", "list").output)}
    assert yaml.safe_load(ask("registry", "describe", "score").output) == {
        "Nodes": ["score_windows (score_windows)"]
    }


def test_datasets_are_described(project):
    found = yaml.safe_load(ask("catalog", "describe-datasets", "--pipeline=monitor").output)
    tables = "batch_scoring.datasets.row_tables.RowTableDataset"
    assert {*found["monitor"]["datasets"][tables]} == {"daily_totals", "drift"}
    assert yaml.safe_load(ask("catalog", "list-patterns").output) == ["{default}"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["registry", "describe", "scor"], ["'scor'", "score"]),
        (["catalog", "describe-datasets", "--env=nope"], ["--env", "'nope'", "azure"]),
        (["catalog", "describe-datasets", "--pipeline=scor"], ["--pipeline", "'scor'", "score"]),
        (["catalog", "resolve-patterns", "--pipeline=scor"], ["--pipeline", "'scor'", "score"]),
    ],
)
def test_what_is_refused_is_one_line(project, arguments, named):
    done = ask(*arguments)
    assert (done.exit_code, done.output.count("\n")) == (1, 1), done.output
    assert [name for name in named if name not in done.output] == []


@pytest.mark.parametrize(("command", "package"), [("notebook", "notebook"), ("lab", "jupyterlab")])
def test_jupyter_that_is_not_installed_is_named(project, command, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    done = ask("jupyter", command)
    assert (done.exit_code, done.output) == (
        1,
        f"Error: {package!r} is not installed; run `pip install {package}`\n",
    )
