"""`kedro deploy …` as a person types it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from kedro.framework.startup import bootstrap_project

from batch_scoring.cli import cli
from batch_scoring.deploy.stream_analytics.query import WindowsQuery

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]
RANGES = {"temperature": (-273.15, 10000), "vibration": (0, 10000)}


def set_parameters(monkeypatch, parameters):
    context = SimpleNamespace(params=parameters)
    monkeypatch.setattr("batch_scoring.cli.deploy.open_context", lambda data, env: context)


@pytest.fixture
def run(monkeypatch):
    bootstrap_project(PROJECT)
    monkeypatch.chdir(PROJECT)
    return lambda *arguments: CliRunner().invoke(cli, ["deploy", *arguments])


def test_the_query_is_that_of_the_configuration(run):
    assert run("stream-query").output == str(WindowsQuery(ranges=RANGES))


@pytest.mark.parametrize("chosen", ["Parquet", "Json"])
def test_the_template_has_the_query_and_the_format_in_it(run, chosen):
    (job,) = json.loads(run("stream-job", "--format", chosen).output)["resources"]
    assert job["properties"]["transformation"]["properties"]["query"] == str(WindowsQuery(ranges=RANGES))
    assert job["properties"]["outputs"][0]["properties"]["serialization"]["type"] == chosen


def test_settings_that_the_service_cannot_compute_are_one_line(run, monkeypatch):
    set_parameters(monkeypatch, {"aggregate": {"window": "7m"}})
    done = run("stream-query")
    assert done.exit_code == 1
    assert done.output.startswith("Error: aggregate.window: Stream Analytics cannot cut windows of 0:07:00;")
    assert done.output.count("\n") == 1


def test_the_names_of_the_fields_are_the_first_configured(run, monkeypatch):
    columns = {"device": ["machine", "Device"], "value": "v"}
    set_parameters(monkeypatch, {"ingest": {"columns": columns}})
    assert run("stream-query").output == str(WindowsQuery(columns={"device": "machine", "value": "v"}))
