"""Report the status of the deployment, its resources, and the last runs of its workflows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from batch_scoring.core.text import text_table
from batch_scoring.deploy.arm import stream_job
from batch_scoring.deploy.arm.client import Client, word
from batch_scoring.deploy.arm.errors import explained, innermost

_LOGIC_VERSION = "2019-05-01"
_APP_VERSION = "2026-07-01"
_WORKFLOWS, _JOBS = "microsoft.logic/workflows", "microsoft.app/jobs"
_RUNS = 5


@dataclass(frozen=True)
class DeploymentStatus:
    """Status of a deployment.

    Attributes
    ----------
    deployment : mapping or None
        Its name, state, time and error.
    resources : list of mapping
        Type, name and state of each.
    workflows : list of mapping
        Name, state and last runs of each, also of jobs with a cron: name, state, start, end and error.
    """

    deployment: dict[str, Any] | None
    resources: list[dict[str, Any]]
    workflows: list[dict[str, Any]]


def read_status(client: Client) -> DeploymentStatus:
    """Read the status of everything."""
    if client.group() is None:
        return DeploymentStatus(None, [], [])
    found = client.in_group()
    resources = [
        {"type": one.type, "name": one.name, "state": word(one.provisioning_state) or "Succeeded"}
        for one in found
    ]
    for one in resources:
        if one["type"].lower() == "microsoft.streamanalytics/streamingjobs":
            one["state"] = stream_job.state(client, one["name"]) or one["state"]
    workflows = [_workflow(client, one.name) for one in found if one.type.lower() == _WORKFLOWS]
    jobs = [_cron(client, one.id, one.name) for one in found if one.type.lower() == _JOBS]
    return DeploymentStatus(_deployment(client), resources, [*workflows, *filter(None, jobs)])


def lines(found: DeploymentStatus) -> Iterable[str]:
    """Format the status for a person."""
    if found.deployment is None:
        yield "nothing is deployed; run `kedro deploy up`"
    else:
        error = f": {found.deployment['error']}" if found.deployment["error"] else ""
        about = f"{found.deployment['state']} at {found.deployment['time']}"
        yield f"deployment {found.deployment['name']}: {about}{error}"
    if found.resources:
        yield ""
        rows = [[str(value) for value in one.values()] for one in found.resources]
        yield text_table([("resource", "name", "state"), *rows])
    for one in found.workflows:
        yield ""
        yield f"workflow {one['name']}: {one['state']}" + ("" if one["runs"] else ", no run yet")
        rows = [[run[name] or "" for name in ("start", "state", "end", "error")] for run in one["runs"]]
        if rows:
            yield text_table([("start", "state", "end", "error"), *rows])
    if found.deployment is not None:
        yield ""
        yield "jobs and nodes: `kedro jobs list --env azure`"


def _deployment(client: Client) -> dict[str, Any] | None:
    found = client.deployment()
    if found is None:
        return None
    properties = found.properties
    error = innermost(properties.error.as_dict()) if properties.error is not None else None
    return {
        "name": found.name,
        "state": word(properties.provisioning_state),
        "time": properties.timestamp.isoformat(timespec="seconds") if properties.timestamp else "",
        "error": explained(error, client.place) if error else "",
    }


def _workflow(client: Client, name: str) -> dict[str, Any]:
    path = f"{client.place.group_id}/providers/Microsoft.Logic/workflows/{name}"
    about = client.ask("GET", path, _LOGIC_VERSION)
    page = client.ask("GET", f"{path}/runs", _LOGIC_VERSION, **{"$top": str(_RUNS)})
    runs = [_run(one) for one in page.get("value", [])[:_RUNS]]
    return {"name": name, "state": about["properties"].get("state", ""), "runs": runs}


def _cron(client: Client, path: str, name: str) -> dict[str, Any] | None:
    """Read a job of Container Apps and its last executions; None where it has no cron."""
    configuration = client.ask("GET", path, _APP_VERSION)["properties"]["configuration"]
    if configuration["triggerType"] != "Schedule":
        return None
    listed = [
        one["properties"] | {"name": one["name"]} for one in client.listed(f"{path}/executions", _APP_VERSION)
    ]
    newest = sorted(listed, key=lambda one: str(one.get("startTime")), reverse=True)[:_RUNS]
    runs = [
        {
            "name": one["name"],
            "state": one.get("status", ""),
            "start": one.get("startTime", ""),
            "end": one.get("endTime"),
            "error": ": ".join(filter(None, (one.get("reason"), one.get("message")))) or None,
        }
        for one in newest
    ]
    return {"name": name, "state": configuration["scheduleTriggerConfig"]["cronExpression"], "runs": runs}


def _run(one: dict[str, Any]) -> dict[str, Any]:
    properties = one["properties"]
    error = properties.get("error") or {}
    return {
        "name": one["name"],
        "state": properties.get("status", ""),
        "start": properties.get("startTime", ""),
        "end": properties.get("endTime"),
        "error": ": ".join(filter(None, (error.get("code"), error.get("message")))) or None,
    }
