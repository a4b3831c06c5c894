"""An hour of a fleet as a flow of Prefect 3: a task a step, and one a sensor where sensors are scored.

``python fleet_hour.py`` serves it every hour, in an environment with Prefect; its tasks start the command of
the project's own environment on the same machine.

A task may be killed, retried and run twice: what a run has committed stays as it is, and the next one goes on
from there. Hours that were missed need no run of their own.
"""

import json
import os
import subprocess
from datetime import UTC, datetime
from typing import Any

from prefect import flow, runtime, task
from prefect.task_runners import ThreadPoolTaskRunner

PROJECT = os.environ.get("BATCH_SCORING", "/opt/batch_scoring")
FLEET = os.environ.get("FLEET", "/srv/fleet")  # the workspace
READINGS = os.environ.get("READINGS", "/srv/readings")


def kedro(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command in the project's environment; raises CalledProcessError with its exit code."""
    environment = os.environ | {"DO_NOT_TRACK": "1"}
    command = [f"{PROJECT}/.venv/bin/kedro", *arguments]
    return subprocess.run(command, cwd=PROJECT, env=environment, check=True, text=True, **options)


def may_pass(_task: Any, _run: Any, state: Any) -> bool:
    """Whether a failure may pass: not that of an input or a setting (1), nor of the command line (2)."""
    error = state.result(raise_on_failure=False)
    return not (isinstance(error, subprocess.CalledProcessError) and error.returncode in (1, 2))


@task(retries=3, retry_delay_seconds=30, retry_condition_fn=may_pass, task_run_name="{step}")
def run(step: str, params: str) -> None:
    """Run a pipeline of the project."""
    kedro("run", f"--pipelines={step}", "--params", params)


@task
def sensors() -> list[str]:
    """List the sensors with windows."""
    return json.loads(kedro("jobs", "sensors", "--json", f"--data={FLEET}", stdout=subprocess.PIPE).stdout)


@flow(task_runner=ThreadPoolTaskRunner(max_workers=8), timeout_seconds=50 * 60)
def fleet_hour(at: datetime | None = None) -> None:
    """Ingest → aggregate → score each sensor → incidents → monitor → report → maintain.

    Parameters
    ----------
    at : datetime, optional
        The end of the hour; default: the last full hour before the scheduled start.
    """
    end = (at or runtime.flow_run.scheduled_start_time).astimezone(UTC)
    params = f"data={FLEET},at={end:%Y-%m-%dT%H:00Z}"
    run("ingest", f"{params},readings={READINGS}")
    run("aggregate", params)
    run.map("score", [f"{params},sensor={json.dumps([sensor])}" for sensor in sensors()]).result()
    for step in ("incidents", "monitor", "report", "maintain"):
        run(step, params)


if __name__ == "__main__":
    # One at a time; the newest run does the work of all that were missed.
    fleet_hour.serve(name="hourly", cron="10 * * * *", limit=1)
