"""A simulated fleet is evaluated by the real command, twice, with and without feedback."""

import json

import pytest

from tests.end_to_end.workspaces import SMALL_FLEET

pytestmark = pytest.mark.slow


def test_the_command_evaluates_the_simulated_faults_and_feedback_changes_the_verdict(tmp_path, new_workspace):
    more = "simulate.faults_per_device.spike=2,evaluate.baselines=[robust_z]"
    workspace = new_workspace(tmp_path, f"{SMALL_FLEET},{more}")
    workspace.run("simulate,ingest,aggregate,train,score")
    workspace.run("evaluate")
    folder = tmp_path / "08_reporting/evaluation"
    first = workspace.files("08_reporting/evaluation")
    assert {path.name for path in folder.iterdir()} >= {"metrics.json", "evaluation.md", "methods.png"}
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["methods"].keys() == {"fleet_models", "robust_z"}
    assert metrics["judged"]["windows_seen_in_training"] == 0
    n_events = metrics["judged"]["events"]
    assert n_events > 0
    assert "the same as MLflow run" in workspace.run("evaluate")
    assert workspace.files("08_reporting/evaluation") == first

    end = metrics["judged"]["to"]
    feedback = tmp_path / "feedback.csv"
    series = [f"pump-0{n},{sensor}" for n in range(1, 5) for sensor in ("temperature", "vibration")]
    lines = ["device,sensor,start,end,verdict", *(f"{one},2026-01-01,{end},false_alarm" for one in series)]
    feedback.write_text("\n".join(lines) + "\n")
    workspace.run("evaluate", f"feedback={feedback}")
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["judged"]["events"] == 0

    said = workspace.run("evaluate", f"labels={tmp_path}/no.csv", expect=1)
    assert "no.csv: there is no such file" in said
