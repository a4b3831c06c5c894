"""The shipped workflow as the Resource Manager would deploy it, on stand-ins over https."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from batch_scoring.deploy.template.build import workflow_definition
from tests.emulators.arm import Arm, ArmServer
from tests.emulators.arm.server import AUDIENCES
from tests.emulators.arm.service import SUBSCRIPTION
from tests.emulators.clock import Clock
from tests.emulators.container_instances import ContainerInstances
from tests.emulators.identity import issue
from tests.emulators.logic_app import LogicApp
from tests.emulators.work import Runner, run_process

HOUR = datetime(2026, 1, 7, 10, tzinfo=UTC)
GROUP = "rg-fleet"
IDENTITY = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/x/id-workflow"
SERVER = "acme.azurecr.io"
IMAGE = f"{SERVER}/batch-scoring:1"


def definition(pipeline="score", wait="PT10M"):
    """With what the template puts into it."""
    text = json.dumps(workflow_definition(pipeline))
    hourly = '{"frequency": "Hour", "interval": 1, "startTime": "2026-01-04T00:05:00Z"}'
    text, times = re.subn(r'"\[union\(.*?\)\)\]"', hourly, text)
    assert times == 1
    for name in ("scoreWaitLimit", "retrainWaitLimit"):
        text = text.replace(f"[parameters('{name}')]", wait)
    text = text.replace("[variables('workflowIdentityId')]", IDENTITY)
    return json.loads(text)


def parameters(endpoint, group_id, pipeline="score", **environment):
    group = {
        "location": "westeurope",
        "tags": {"project": "batch-scoring"},
        "identity": {"type": "UserAssigned", "userAssignedIdentities": {f"{group_id}/x/id-scheduler": {}}},
        "properties": {
            "osType": "Linux",
            "restartPolicy": "Never",
            "imageRegistryCredentials": [{"server": SERVER, "identity": f"{group_id}/x/id-scheduler"}],
            "containers": [
                {
                    "name": "scheduler",
                    "properties": {
                        "image": IMAGE,
                        "resources": {"requests": {"cpu": 1, "memoryInGB": 2}},
                        "environmentVariables": [
                            {"name": name, "value": value} for name, value in environment.items()
                        ],
                    },
                }
            ],
        },
    }
    values = {
        "armEndpoint": endpoint + "/",
        "resourceGroupId": group_id,
        "containerGroup": group,
        "groupPrefix": "score-",
        "pipeline": pipeline,
    }
    return {name: {"value": value} for name, value in values.items()}


class Deployed:
    """A workflow with the services that it talks to."""

    def __init__(self, arm, server, containers, app):
        self.arm, self.server, self.containers, self.app = arm, server, containers, app

    def run(self, scheduled=HOUR):
        return self.app.fire(scheduled).wait(120)

    @property
    def calls(self):
        """What was asked of Container Instances: method, and path behind the groups."""
        marker = "/containerGroups/"
        return [(one.method, one.path) for one in self.server.recorder.exchanges if marker in one.path]


@contextmanager
def deployed(folder: Path, runner: Runner = run_process, wait="PT6H", speed=500.0, **environment):
    """The services' time passes fast, so that pauses of seconds take milliseconds.

    Limits pass as fast, which a slow machine must not reach: six hours are 43 seconds here.
    """
    with ExitStack() as stack:
        arm = Arm()
        containers = ContainerInstances(folder / "groups", runner)
        stack.callback(containers.close)
        arm.mount("Microsoft.ContainerInstance", containers.answer)
        server = stack.enter_context(ArmServer(arm, folder / "arm"))
        group_id = f"/subscriptions/{arm.subscription}/resourceGroups/{GROUP}"
        arm.answer("PUT", group_id, "api-version=2021-04-01", {"location": "westeurope"}, "")
        app = LogicApp(
            definition(wait=wait),
            parameters(server.url, group_id, **environment),
            authority=server.certificate,
            clock=Clock(speed),
            # On loopback the Resource Manager takes tokens for the public one.
            token=lambda identity, audience: issue(AUDIENCES[0]),
        )
        yield Deployed(arm, server, containers, app)
