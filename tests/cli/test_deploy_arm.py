"""`kedro deploy up`, `what-if`, `status` and `down` as a person types them."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from kedro.framework.startup import bootstrap_project

from batch_scoring.cli import cli
from batch_scoring.deploy.arm.place import Place
from batch_scoring.deploy.arm.up import DeploymentRequest
from batch_scoring.deploy.plan import DeploymentPlan
from tests.deploy.arm.conftest import arm, server  # noqa: F401
from tests.deploy.arm.templates import ACCOUNT, STREAM_JOB, VAULT, parameters, template
from tests.emulators.arm.service import SUBSCRIPTION
from tests.emulators.batch_ai.answers import Answer
from tests.emulators.identity import IdentityServer

pytestmark = pytest.mark.slow  # a server each

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def run(server, monkeypatch):  # noqa: F811
    bootstrap_project(PROJECT)
    monkeypatch.chdir(PROJECT)
    deploy = {"name": "fleet", "subscription": SUBSCRIPTION, "arm_endpoint": server.url}
    context = SimpleNamespace(params={"deploy": deploy})
    monkeypatch.setattr("batch_scoring.deploy.plan.open_context", lambda *_: context)
    monkeypatch.setattr(
        DeploymentPlan,
        "request",
        lambda self, fire, deployer, digests=None: DeploymentRequest(
            template(), parameters(enabled=fire), STREAM_JOB, VAULT
        ),
    )
    monkeypatch.setattr("batch_scoring.deploy.plan.Place", partial(Place, poll_seconds=0.01))
    # Who we are, and whom we trust, comes the way that it comes in Azure.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.certificate))
    with IdentityServer() as identity:
        for name, value in identity.environment.items():
            monkeypatch.setenv(name, value)
        yield lambda *given, text=None: CliRunner().invoke(cli, ["deploy", *given], input=text)


def workflow_state(arm):  # noqa: F811
    (workflow,) = [one for one in arm.resources.within("/subscriptions") if one.place.types == ("workflows",)]
    return workflow.sent["properties"]["state"]


def test_up_makes_everything_and_prints_the_outputs(run, arm):  # noqa: F811
    done = run("up")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == f"blobEndpoint: https://{ACCOUNT}.blob.core.windows.net/"
    assert "workflows: off, as there is no registry yet" in done.stderr
    assert workflow_state(arm) == "Disabled"


def test_outputs_can_be_had_as_json(run):
    done = run("up", "--workflows", "on", "--json")
    assert json.loads(done.stdout) == {"blobEndpoint": f"https://{ACCOUNT}.blob.core.windows.net/"}


def test_workflows_fire_when_the_image_is_there(run, arm, monkeypatch):  # noqa: F811
    found = {"score": "sha256:1"}
    monkeypatch.setattr(DeploymentPlan, "image_digests", lambda self, client: (found, ""))
    run("up")
    assert workflow_state(arm) == "Enabled"


@pytest.mark.parametrize("command", [("up", "--dry-run"), ("what-if",), ("down", "--dry-run"), ("status",)])
def test_a_look_changes_nothing(run, server, command):  # noqa: F811
    assert run(*command).exit_code == 0
    assert server.writes == []
    run("up")
    before = list(server.writes)
    assert run(*command).exit_code == 0
    assert server.writes == before


def test_what_if_shows_what_would_be_changed(run):
    run("up")
    lines = run("what-if", "--workflows", "on").stdout.splitlines()
    assert "~ Microsoft.Logic/workflows/logic-fleet-score" in lines
    assert '    ~ properties.state: "Disabled" → "Enabled"' in lines
    assert lines[-1] == "6 to leave as it is, 1 to change"


def test_what_if_can_be_had_as_json(run):
    changes = json.loads(run("what-if", "--json").stdout)
    assert {one["change"] for one in changes} == {"Create"}


def test_status_shows_the_last_runs(run, arm):  # noqa: F811
    def runs(method, path, query, body, host):
        if not path.endswith("/runs"):
            return None
        failed = {"code": "Failed", "message": "exit code 1"}
        about = {"status": "Failed", "startTime": "2026-01-07T01:00:00Z", "endTime": "2026-01-07T01:09:00Z"}
        return Answer(200, {"value": [{"name": "0815", "properties": about | {"error": failed}}]})

    arm.mount("Microsoft.Logic", runs)
    run("up")
    shown = run("status").stdout
    assert "deployment fleet: Succeeded at " in shown
    assert "workflow logic-fleet-score: Disabled" in shown
    assert "2026-01-07T01:00:00Z  Failed  2026-01-07T01:09:00Z  Failed: exit code 1" in shown
    found = json.loads(run("status", "--json").stdout)
    states = {one["name"]: one["state"] for one in found["resources"]}
    assert states[STREAM_JOB] == "Running" and states[ACCOUNT] == "Succeeded"


def test_status_without_a_deployment_says_so(run):
    assert run("status").stdout == "nothing is deployed; run `kedro deploy up`\n"


def test_a_refusal_deletes_nothing(run, server):  # noqa: F811
    run("up")
    before = list(server.writes)
    assert run("down", text="n\n").exit_code == 1
    assert server.writes == before


def test_down_says_what_is_left(run, arm):  # noqa: F811
    run("up")
    done = run("down", text="y\n")
    assert f"stays: Microsoft.Storage/storageAccounts {ACCOUNT}, with all data" in done.stdout
    assert done.stdout.splitlines()[-1] == (
        f"left in resource group rg-fleet: Microsoft.Storage/storageAccounts {ACCOUNT}"
    )
    assert run("down").stdout.startswith("nothing of the deployment is in resource group rg-fleet")


def test_data_goes_only_when_its_name_is_typed(run, server, arm):  # noqa: F811
    run("up")
    before = list(server.writes)
    refused = run("down", "--yes", "--delete-data", text="no\n")
    assert refused.exit_code == 1 and "'no' is not its name; nothing was deleted" in refused.output
    assert server.writes == before
    assert run("down", "--yes", "--delete-data", text=f"{ACCOUNT}\n").exit_code == 0
    assert arm.groups == {}


def test_without_a_subscription_nothing_is_asked(run, monkeypatch, server):  # noqa: F811
    context = SimpleNamespace(params={"deploy": {"name": "fleet"}})
    monkeypatch.setattr("batch_scoring.deploy.plan.open_context", lambda *_: context)
    done = run("up")
    assert done.exit_code == 1 and done.output.count("\n") == 1
    assert done.output.startswith("Error: deploy.subscription: this setting is missing")
    assert server.recorder.exchanges == []


def test_what_an_environment_needs_is_kept_where_git_ignores_it(run, arm, monkeypatch, tmp_path):  # noqa: F811
    (tmp_path / "conf/azure").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert "run `kedro deploy up`, and then" in run("env").output, "nothing is deployed yet"
    run("up")
    (deployment,) = arm.deployments.values()
    deployment.outputs |= {name: {"type": "String", "value": f"the {name}"} for name in ("data", "jobs")}
    done = run("env")
    assert done.exit_code == 0 and done.output.strip() == str(tmp_path / "conf/azure/deployed.json")
    kept = json.loads((tmp_path / "conf/azure/deployed.json").read_text())
    assert kept == {"BATCH_SCORING_DATA": "the data", "BATCH_SCORING_JOBS": "the jobs"}
    ignored = [(PROJECT / name).read_text().splitlines() for name in (".gitignore", ".dockerignore")]
    assert "/conf/*/deployed.json" in ignored[0] and "conf/*/deployed.json" in ignored[1]
