"""Start and stop the Stream Analytics job, which a template cannot do; a running one is left alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from batch_scoring.core.errors import InputError
from batch_scoring.deploy.arm.client import Client

API_VERSION = "2020-03-01"
_PATIENCE_SECONDS = 900.0
# The job reads and writes by roles that were assigned just now, and that are not known everywhere yet.
_ROLES_SECONDS = 600.0
# Of the service: it runs, whatever else it does.
_RUNS = ("Running", "Processing", "Idle", "Degraded", "Scaling")


def start(client: Client, name: str, say: Callable[[str], None]) -> None:
    """Start the job, from where its output ended, or from now on; wait until it runs.

    A start that fails is repeated for ten minutes.

    Raises
    ------
    InputError
        When it fails to start.
    """
    job = _job(client, name)
    if job["jobState"] in (*_RUNS, "Starting", "Restarting"):
        return
    # It catches up on events that arrived while it was stopped.
    mode = "LastOutputEventTime" if job.get("lastOutputEventTime") else "JobStartTime"
    give_up, waits = time.monotonic() + _ROLES_SECONDS, False
    while True:
        try:
            client.ask("POST", f"{_path(client, name)}/start", API_VERSION, {"outputStartMode": mode})
            _wait(client, name, _RUNS)
            break
        except InputError as error:
            # Who starts it may not, which waiting does not change.
            if "AuthorizationFailed" in str(error) or time.monotonic() > give_up:
                raise
        if not waits:
            say(f"waiting: Stream Analytics job {name} does not start yet; roles take minutes to be known")
        waits = True
        time.sleep(client.place.poll_seconds)
    say(f"started: Stream Analytics job {name}")


def stop(client: Client, name: str, say: Callable[[str], None]) -> None:
    """Stop the job where it runs: a running one cannot be changed."""
    if state(client, name) in (*_RUNS, "Restarting"):
        client.ask("POST", f"{_path(client, name)}/stop", API_VERSION)
        _wait(client, name, ("Stopped",))
        say(f"stopped: Stream Analytics job {name}, to be changed")


def state(client: Client, name: str) -> str | None:
    """Return the job's state, such as ``Running``; None without a job."""
    try:
        return str(_job(client, name)["jobState"])
    except FileNotFoundError:
        return None


def _job(client: Client, name: str) -> dict[str, Any]:
    properties: dict[str, Any] = client.ask("GET", _path(client, name), API_VERSION)["properties"]
    return {"jobState": "Created"} | properties


def _path(client: Client, name: str) -> str:
    return f"{client.place.group_id}/providers/Microsoft.StreamAnalytics/streamingjobs/{name}"


def _wait(client: Client, name: str, states: tuple[str, ...]) -> None:
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while (now := _job(client, name)["jobState"]) not in states:
        if now == "Failed" or time.monotonic() > give_up:
            raise InputError(
                f"Stream Analytics job {name!r}: it is {now}, and not {states[0]}; see its activity log in "
                "the portal, and run `kedro deploy up` again"
            )
        time.sleep(client.place.poll_seconds)
