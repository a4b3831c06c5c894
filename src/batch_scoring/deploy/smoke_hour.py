"""The steps of `kedro deploy smoke`: a deployment of its own, an hour on it, and its end."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.deploy.arm.client import Client, word
from batch_scoring.deploy.arm.down import remove, survey
from batch_scoring.deploy.arm.up import ENDED, DeploymentRequest, follow, up
from batch_scoring.deploy.names import names_of
from batch_scoring.deploy.plan import DeploymentPlan
from batch_scoring.deploy.push import LAYERS, Push, files_of_layers, files_of_models
from batch_scoring.deploy.smoke import Say, Step, compare
from batch_scoring.jobs.run_job import run_child, why
from batch_scoring.storage import open_folder
from batch_scoring.storage.local import LocalFolder

NAME = "smoke"
SIMULATION: dict[str, Any] = {"devices": 2, "days": 3, "sensors": ["temperature", "vibration"]}
TRAINED = datetime(2026, 1, 7, tzinfo=UTC)
# What comes by the event hub.
HOUR = timedelta(hours=1)
# A role takes minutes to be known everywhere.
_ROLES_SECONDS = 900.0
_DELETE_SECONDS = 1800.0
_LOGIC_VERSION, _APP_VERSION, _ROLES_VERSION = "2019-05-01", "2026-07-01", "2022-04-01"
_SENDER = "2b629674-e913-4c01-ae53-ef4638d8f975"  # Azure Event Hubs Data Sender


def smoke_plan(plan: DeploymentPlan) -> DeploymentPlan:
    """Return a plan with names of its own, one node at most, and nothing that an hour cannot try out."""
    given = plan.settings
    settings = replace(
        given,
        name=NAME,
        resource_group=f"rg-{NAME}",
        names={},
        stream_analytics=replace(given.stream_analytics, enabled=False),
        iot_hub=replace(given.iot_hub, enabled=False),
        retrain=replace(given.retrain, enabled=False),
        nodes=replace(given.nodes, min_nodes=0, max_nodes=1),
        alerts=replace(given.alerts, email=None),
    )
    return DeploymentPlan(settings, names_of(settings), plan.parameters)


@dataclass
class SmokeHour:
    """A deployment that is made, tried out and deleted.

    Attributes
    ----------
    plan : DeploymentPlan
        Of :func:`smoke_plan`.
    client : Client
    folder : Path
        Of the local runs; empty at first.
    request : callable
        What to deploy; is given whether the workflows fire.
    push_image : callable
        Builds and pushes the image; returns its name.
    say : callable
    """

    plan: DeploymentPlan
    client: Client
    folder: Path
    request: Callable[[bool], DeploymentRequest]
    push_image: Callable[[], str]
    say: Say
    outputs: Mapping[str, Any] = field(default_factory=dict)
    expected: pa.Table | None = None

    def steps(self) -> list[Step]:
        """Return the steps, but for the last, :meth:`clean_up`."""
        return [
            Step("a local run trains on two days, and scores the hour after them", self.run_locally),
            Step("kedro deploy up, workflows off", lambda: self.deploy(False)),
            Step("kedro deploy image build, push", self.push_image),
            Step("kedro deploy models push, data push", self.push, _ROLES_SECONDS),
            Step("readings are sent to the event hub", self.publish, _ROLES_SECONDS),
            Step("kedro deploy up, workflows on", lambda: self.deploy(True)),
            Step("the scheduler that scores, from its start to its end", self.score),
            Step("predictions are compared with those of the local run", self.compare),
        ]

    def clean_up(self) -> Step:
        """Return the step that deletes everything."""
        return Step("kedro deploy down, with the data", self.delete, _DELETE_SECONDS)

    def run_locally(self) -> str:
        """Train on the history, and score the hour in a copy."""
        readings, local, expected = (self.folder / name for name in ("readings", "local", "expected"))
        _write_readings(readings / "history.jsonl", None, TRAINED)
        given = f"readings={readings}"
        self._kedro("ingest,aggregate,train", f"data={local},{given},train.fit.max_train_windows=200")
        shutil.copytree(local, expected)
        _write_readings(readings / "hour.jsonl", TRAINED, TRAINED + HOUR)
        self._kedro("ingest,aggregate,score", f"data={expected},{given}")
        self.expected = _predictions(str(expected))
        return f"{self.expected.num_rows:,} predictions"

    def deploy(self, fires: bool) -> str:
        """Deploy, and remember the outputs."""
        self.outputs = up(self.client, self.request(fires), self.say)
        return f"in {self.plan.settings.location}"

    def push(self) -> str:
        """Copy models, readings and windows of the history."""
        source = LocalFolder(str(self.folder / "local"))
        target = open_folder(str(self.outputs["data"]))
        push = Push(source, target, False)
        planned = push.plan([*files_of_models(source), *files_of_layers(source, tuple(LAYERS))])
        return f"{push.run(planned, lambda step: None).copied:,} files"

    def publish(self) -> str:
        """Let the person who deploys send to the hub, and send the hour."""
        hub = (
            f"{self.client.place.group_id}/providers/Microsoft.EventHub/namespaces/"
            f"{self.plan.names.event_hub_namespace}/eventhubs/{self.plan.names.event_hub}"
        )
        me, role = self.client.principal(), f"Microsoft.Authorization/roleDefinitions/{_SENDER}"
        name = uuid.uuid5(uuid.NAMESPACE_URL, f"{hub} {me} send")
        properties = {
            "principalId": me,
            "roleDefinitionId": f"/subscriptions/{self.client.place.subscription}/providers/{role}",
        }
        path = f"{hub}/providers/Microsoft.Authorization/roleAssignments/{name}"
        self.client.ask("PUT", path, _ROLES_VERSION, {"properties": properties})
        params = (
            f"data={self.folder / 'sent'},simulate.devices={SIMULATION['devices']},"
            f"simulate.days={SIMULATION['days']},simulate.sensors=[{','.join(SIMULATION['sensors'])}],"
            f"publish.from={_text(TRAINED)},publish.to={_text(TRAINED + HOUR)}"
        )
        variables = {
            "EVENT_HUB_NAMESPACE": str(self.outputs["eventHubNamespace"]),
            "EVENT_HUB_NAME": str(self.outputs["eventHubName"]),
        }
        self._kedro("publish", params, variables)
        return ""

    def score(self) -> str:
        """Start the job with a cron, or fire the workflow's trigger, and wait for the end of its run."""
        scheduler = str(self.outputs["scoreWorkflowId"])
        before = {one["name"] for one in self._runs(scheduler)}
        if _is_job(scheduler):
            self.client.ask("POST", f"{scheduler}/start", _APP_VERSION)
        else:
            self.client.ask("POST", f"{scheduler}/triggers/Scheduled/run", _LOGIC_VERSION)
        until = time.monotonic() + (self.plan.settings.schedule.wait + HOUR).total_seconds()
        while True:
            for one in self._runs(scheduler):
                state = one["properties"]["status"]
                if one["name"] not in before and state == "Succeeded":
                    return ""
                if one["name"] not in before and state in (
                    "Failed",
                    "Cancelled",
                    "TimedOut",
                    "Aborted",
                    "Stopped",
                ):
                    error = one["properties"].get("error") or one["properties"]
                    raise RuntimeError(
                        f"the scheduler's run is {state}: {error.get('message') or 'no details'}"
                    )
            if time.monotonic() > until:
                raise RuntimeError("the scheduler's run has not ended within an hour of its limit")
            time.sleep(self.client.place.poll_seconds)

    def compare(self) -> str:
        """Compare the predictions there with those of the local run."""
        assert self.expected is not None
        return compare(self.expected, _predictions(str(self.outputs["data"])))

    def delete(self) -> str:
        """Delete everything, with the data."""
        running = self.client.deployment() if self.client.group() is not None else None
        if running is not None and word(running.properties.provisioning_state) not in ENDED:
            follow(self.client, self.say)
        remove(self.client, survey(self.client, deletes_data=True), self.say)
        if self.client.group() is not None:
            raise InputError(
                f"resource group {self.client.place.resource_group!r}: it is still there; run `kedro deploy "
                "smoke --clean-up`, or delete it in the portal"
            )
        return f"resource group {self.client.place.resource_group} is gone"

    def _runs(self, scheduler: str) -> list[dict[str, Any]]:
        if _is_job(scheduler):
            return list(self.client.listed(f"{scheduler}/executions", _APP_VERSION))
        page = self.client.ask("GET", f"{scheduler}/runs", _LOGIC_VERSION, **{"$top": "5"})
        found: list[dict[str, Any]] = page.get("value", [])
        return found

    def _kedro(self, pipelines: str, params: str, variables: Mapping[str, str] | None = None) -> None:
        run = ["-m", "kedro", "run", f"--pipelines={pipelines}", f"--params={params}"]
        code, output = run_child(run, variables)
        if code != 0:
            raise InputError(
                f"kedro run --pipelines={pipelines}: {why(code, output.decode('utf-8', 'replace'))}"
            )


def _is_job(scheduler: str) -> bool:
    return "/microsoft.app/jobs/" in scheduler.lower()


def _write_readings(file: Path, start: datetime | None, end: datetime) -> None:
    """Write the simulated readings of a time as the events that ``publish`` sends, a line each."""
    from batch_scoring.pipelines.publish.nodes import publish_readings

    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as lines:
        for events in publish_readings(SIMULATION, {"from": start, "to": end}, None, None).batches:
            lines.writelines(body + b"\n" for body in events["body"].to_pylist())


def _predictions(data: str) -> pa.Table:
    from deltalake import DeltaTable

    address, options = open_folder(f"{data}/07_model_output/predictions").delta_address()
    return DeltaTable(address, storage_options=options).to_pyarrow_table()


def _text(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%MZ")
