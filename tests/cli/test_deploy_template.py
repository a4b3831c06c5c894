"""`kedro deploy template` and `check` as a person types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from kedro.framework.startup import bootstrap_project

from batch_scoring.cli import cli
from batch_scoring.deploy.template.build import workflow_definition

PROJECT = Path(__file__).parents[2]
DEFINITION = "batch_scoring.deploy.template.build.workflow_definition"
SUBSCRIPTION = "deploy.subscription=00000000-0000-0000-0000-00000000000a"


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setattr(DEFINITION, workflow_definition)
    bootstrap_project(PROJECT)
    monkeypatch.chdir(PROJECT)
    return lambda *arguments: CliRunner().invoke(cli, ["deploy", *arguments])


@pytest.mark.slow
def test_both_files_are_written_and_are_what_is_deployed(run, tmp_path):
    done = run(
        "template",
        "-o",
        str(tmp_path / "out"),
        "--env",
        "azure",
        "--params",
        f"{SUBSCRIPTION},deploy.tracking_uri=https://mlflow",
        "--tag",
        "1.2.3",
    )
    assert done.exit_code == 0, done.output
    template = json.loads((tmp_path / "out/azuredeploy.json").read_text("utf-8"))
    given = json.loads((tmp_path / "out/azuredeploy.parameters.json").read_text("utf-8"))
    assert template["parameters"].keys() >= given["parameters"].keys()
    assert given["parameters"]["image"]["value"] == "batch-scoring:1.2.3"
    assert given["parameters"]["trainImage"]["value"] == "batch-scoring:1.2.3-train"
    assert "az deployment group create --resource-group rg-batchscore" in done.output


@pytest.mark.slow
def test_written_twice_they_are_the_same(run, tmp_path):
    for folder in ("a", "b"):
        assert run("template", "-o", str(tmp_path / folder)).exit_code == 0
    for name in ("azuredeploy.json", "azuredeploy.parameters.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.slow
def test_a_check_has_a_line_for_each_resource(run):
    done = run("check", "--params", f"{SUBSCRIPTION},deploy.retrain.enabled=false")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0].startswith("Microsoft.Storage/storageAccounts stbatchscore")
    assert not any("actionGroups" in line for line in lines), "nobody is to be told"
    assert lines[-1] == f"{len(lines) - 1} resources, no fault"


CONFIGURATIONS = {
    "default": "",
    "private network": "deploy.network.access=private,deploy.scheduler.kind=logic_app",
    "Container Apps": "deploy.compute=container_apps",
    "IoT Hub": "deploy.iot_hub.enabled=true",
    "keys": "deploy.event_hub.keys=true",
    "Batch AI": "deploy.compute=batch_ai,deploy.nodes.ssh_public_key=ssh-ed25519 AAAA me",
}


@pytest.mark.slow
def test_six_configurations_are_without_a_finding(run):
    ended = {
        name: run("check", "--params", f"{SUBSCRIPTION},{chosen}".rstrip(","))
        for name, chosen in CONFIGURATIONS.items()
    }
    assert {one.exit_code for one in ended.values()} == {0}, ended
    listed = {name: one.stdout.splitlines() for name, one in ended.items()}
    for lines in listed.values():
        assert lines[-1] == f"{len(lines) - 1} resources, no fault"
    assert len({"".join(lines) for lines in listed.values()}) == len(CONFIGURATIONS)


@pytest.mark.slow
def test_what_is_no_fault_and_yet_to_be_known_is_said(run):
    said = run("check").output
    assert "note: retraining is off; it needs an MLflow server" in said
    assert "note: deploy.subscription is not set" in said


@pytest.mark.slow
def test_a_fault_in_a_workflow_is_one_sentence_and_nothing_is_written(run, monkeypatch, tmp_path):
    def broken(pipeline):
        definition = workflow_definition(pipeline)
        definition["parameters"].pop("groupPrefix")
        return definition

    monkeypatch.setattr(DEFINITION, broken)
    done = run("template", "-o", str(tmp_path / "out"), "--params", "deploy.scheduler.kind=logic_app")
    assert done.exit_code == 1
    said = "parameter 'groupPrefix' is given and not in the definition"
    assert f"Error: Microsoft.Logic/workflows logic-batchscore-score: {said}\n" in done.output
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_settings_that_no_query_can_compute_end_it_with_one_line(run):
    done = run("check", "--params", "aggregate.window=7m")
    assert done.exit_code == 1
    assert done.output.startswith("Error: aggregate.window: Stream Analytics cannot cut windows of 0:07:00;")
