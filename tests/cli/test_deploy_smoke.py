"""`kedro deploy smoke` on the stand-ins for the Resource Manager and Event Hubs: an hour, nothing left."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from kedro.framework.startup import bootstrap_project

from batch_scoring.cli import cli
from batch_scoring.deploy.arm.place import OWNER_TAG, Place
from batch_scoring.deploy.arm.up import DeploymentRequest
from batch_scoring.deploy.plan import DeploymentPlan
from batch_scoring.deploy.smoke_hour import SmokeHour
from tests.deploy.arm.conftest import arm, server  # noqa: F401
from tests.deploy.arm.templates import parameters, template
from tests.emulators.arm.groups import Group
from tests.emulators.arm.service import SUBSCRIPTION
from tests.emulators.batch_ai.answers import Answer
from tests.emulators.identity import IdentityServer
from tests.end_to_end.warm_kedro import warm_kedro

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]


class Cloud:
    """What the workflow of the stand-in does when it is fired: what the scheduler and the jobs would do."""

    def __init__(self, data: Path) -> None:
        self.data, self.runs = data, []

    def answer(self, method, path, query, body, host):
        if path.endswith("/triggers/Scheduled/run"):
            code, output = warm_kedro().run(
                ["run", "--pipelines=receive,ingest,aggregate,score", f"--params=data={self.data}"]
            )
            state = {"status": "Succeeded" if code == 0 else "Failed", "error": {"message": output[-300:]}}
            self.runs.append({"name": f"run{len(self.runs)}", "properties": state})
            return Answer(202)
        return Answer(200, {"value": self.runs}) if path.endswith("/runs") else None


def forked(command, more=None):
    """A program forked from one that has imported what it needs."""
    code, output = warm_kedro().run(command[2:], more)
    return code, output.encode()


@pytest.fixture
def cloud(arm, event_hubs, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setenv("EVENT_HUB_CONNECTION_STRING", event_hubs.connection_string())
    found = Cloud(tmp_path / "cloud")
    arm.mount("Microsoft.Logic", found.answer)
    return found


@pytest.fixture
def run(server, cloud, monkeypatch, tmp_path):  # noqa: F811
    bootstrap_project(PROJECT)
    monkeypatch.chdir(PROJECT)
    deploy = {
        "name": "plant7",
        "subscription": SUBSCRIPTION,
        "arm_endpoint": server.url,
        "names": {"registry": "theirs"},
        "scheduler": {"kind": "logic_app"},
    }
    monkeypatch.setattr(
        "batch_scoring.deploy.plan.open_context", lambda *_: SimpleNamespace(params={"deploy": deploy})
    )
    monkeypatch.setattr("batch_scoring.deploy.plan.Place", partial(Place, poll_seconds=0.01))
    monkeypatch.setattr("batch_scoring.deploy.smoke._PAUSE_SECONDS", 0.01)
    workflow = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-smoke/providers/Microsoft.Logic/workflows/w"
    told = {
        "data": str(cloud.data),
        "eventHubNamespace": "h",
        "eventHubName": "telemetry",
        "scoreWorkflowId": workflow,
    }
    outputs = {name: {"type": "string", "value": value} for name, value in told.items()}
    deployed = template()
    deployed["resources"] = [one for one in deployed["resources"] if "Logic" not in one["type"]]
    monkeypatch.setattr(
        DeploymentPlan,
        "request",
        lambda self, fires, deployer: DeploymentRequest(
            deployed | {"outputs": outputs, "parameters": template()["parameters"]}, parameters()
        ),
    )
    monkeypatch.setattr("batch_scoring.cli.deploy_smoke._push_image", lambda plan: plan.names.registry_host)
    monkeypatch.setattr("batch_scoring.deploy.smoke_hour.run_child", forked)
    monkeypatch.setattr("batch_scoring.deploy.smoke_hour._ROLES_SECONDS", 1.0)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.certificate))
    with IdentityServer() as identity:
        for name, value in identity.environment.items():
            monkeypatch.setenv(name, value)
        report = tmp_path / "report.md"
        yield lambda *given: (
            CliRunner().invoke(cli, ["deploy", "smoke", "--report", str(report), *given]),
            report,
        )


def test_an_hour_is_tried_out_compared_and_nothing_is_left(run, arm):  # noqa: F811
    done, report = run("--yes")
    assert done.exit_code == 0, done.output
    text = report.read_text("utf-8")
    assert text.startswith("# Smoke test: all is well") and SUBSCRIPTION not in text
    lines = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")][2:]
    assert {state for _, state, *_ in lines} == {"done"} and len(lines) == 9
    assert "predictions, the largest relative difference of a score 0" in lines[-2][-1]
    assert "crsmoke" in text and "theirs" not in text, "a deployment of its own"
    assert arm.groups == {}, "nothing is left"


def test_a_deployment_that_fails_is_deleted_and_what_was_not_tried_is_said(run, arm, monkeypatch):  # noqa: F811
    monkeypatch.setattr(SmokeHour, "run_locally", lambda self: "")
    arm.resources.fail("streamingjobs", "QuotaExceeded", "No more.")
    done, report = run("--yes")
    assert done.exit_code == 1 and "kedro deploy up, workflows off: InputError: " in done.output
    assert report.read_text("utf-8").count("| left out |") == 6
    assert arm.groups == {}


def test_a_group_that_is_there_is_not_touched_unless_it_is_asked_for(run, arm, server):  # noqa: F811
    arm.groups["rg-smoke"] = Group("rg-smoke", "westeurope", {OWNER_TAG: "smoke"})
    done, _ = run("--yes")
    assert done.exit_code == 1 and "resource group 'rg-smoke': it is there already" in done.output
    assert server.writes == []
    assert run("--clean-up")[0].exit_code == 0 and arm.groups == {}


def test_without_a_yes_nothing_is_made(run, server):  # noqa: F811
    done, _ = run()
    assert done.exit_code == 1 and "Paid while it lasts: Event Hubs" in done.output
    assert server.writes == []
