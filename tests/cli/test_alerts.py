"""`kedro alerts test` as a person types it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from kedro.framework.startup import bootstrap_project

from batch_scoring.cli import cli
from tests.alerts.conftest import receiver  # noqa: F401

PROJECT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def project(monkeypatch: pytest.MonkeyPatch) -> None:
    bootstrap_project(PROJECT)
    monkeypatch.chdir(PROJECT)


def run(tmp_path: Path, sinks: str, *arguments: str) -> Result:
    params = f"alerts.link=https://fleet.example.com,alerts.sinks=[{sinks}]"
    command = ["alerts", "test", "--data", str(tmp_path / "data"), "--params", params, *arguments]
    result = CliRunner().invoke(cli, command)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.mark.slow
def test_each_sink_gets_a_beginning_and_an_end_and_says_what_came_back(tmp_path, receiver):  # noqa: F811
    receiver.start(answers=[(200, {}, 0)])
    lines = tmp_path / "alerts.jsonl"
    result = run(
        tmp_path, f"{{type: webhook, url: {receiver.url}}}, {{type: file, path: {lines}, name: notes}}"
    )
    assert result.output.splitlines() == [
        "webhook: opened: delivered: 200 OK",
        "webhook: closed: delivered: 204 No Content",
        f"notes: opened: delivered: a line at the end of {lines}",
        f"notes: closed: delivered: a line at the end of {lines}",
    ]
    first, last = receiver.events()
    assert (first["change"], last["change"], first["incident_id"]) == (
        "opened",
        "closed",
        last["incident_id"],
    )
    assert first["advice"] == "a test: nothing is wrong"
    assert first["link"] == f"https://fleet.example.com/incidents/{first['incident_id']}"
    assert len(lines.read_text().splitlines()) == 2
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
def test_a_sink_that_did_not_take_it_is_exit_code_1(tmp_path, receiver):  # noqa: F811
    receiver.start(answers=[(403, {}, 0)])
    result = run(tmp_path, f"{{type: log}}, {{type: webhook, url: {receiver.url}}}", "--sink", "webhook")
    assert (result.exit_code, result.output.splitlines()) == (
        1,
        [
            "webhook: opened: NOT delivered: it answered 403; look at its address and authorization",
            "Error: 1 sink of 1 did not take the test",
        ],
    )


@pytest.mark.slow
def test_a_sink_that_there_is_not_is_named_with_those_there_are(tmp_path):
    result = run(tmp_path, "{type: log}, {type: log, name: second}", "--sink", "slack")
    assert result.exit_code == 1
    assert "--sink 'slack' is not valid; the sinks of alerts.sinks are log, second" in result.output
