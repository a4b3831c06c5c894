"""An hour of a fleet as a DAG of Airflow 3: a task a step, and one a sensor where sensors are scored.

Copy it into Airflow's folder of DAGs. Airflow's dependencies are not ours: its tasks start the command of the
project's own environment, which lies on the workers.

A task may be killed, retried and run twice: what a run has committed stays as it is, and the next one goes on
from there. Hours that were missed need no run of their own.
"""

import json
import os
import subprocess
from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag, task

PROJECT = os.environ.get("BATCH_SCORING", "/opt/batch_scoring")
FLEET = os.environ.get("FLEET", "/srv/fleet")  # the workspace
READINGS = os.environ.get("READINGS", "/srv/readings")

# The last full hour. A run that somebody triggers may have no logical date.
AT = "{{ (dag_run.logical_date or dag_run.run_after).strftime('%Y-%m-%dT%H:00Z') }}"


def command(step: str, params: str = "") -> str:
    """Return the shell command of a step; params begin with a comma."""
    run = f'.venv/bin/kedro run --pipelines={step} --params "data={FLEET},at={AT}{params}"'
    return f"exec env DO_NOT_TRACK=1 {run}"


@task
def sensors() -> list[dict[str, str]]:
    """List the sensors with windows, each as the environment of its task: ids are no part of a command."""
    listing = [".venv/bin/kedro", "jobs", "sensors", "--json", f"--data={FLEET}"]
    found = subprocess.run(listing, cwd=PROJECT, check=True, stdout=subprocess.PIPE).stdout
    return [{"SENSOR": json.dumps([sensor])} for sensor in json.loads(found)]


@dag(
    schedule="10 * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,  # the newest run does the work of all that were missed
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=50),
    default_args={
        # A lost worker, or another run that wrote first (exit code 75).
        "retries": 3,
        "retry_delay": timedelta(seconds=30),
    },
    tags=["batch_scoring"],
)
def fleet_hour() -> None:
    """Ingest → aggregate → score each sensor → incidents → monitor → report → maintain."""
    shell = {"cwd": PROJECT, "append_env": True, "do_xcom_push": False}

    def step(name: str, params: str = "") -> BashOperator:
        return BashOperator(task_id=name, bash_command=command(name, params), **shell)

    found = sensors()
    score = BashOperator.partial(
        task_id="score",
        bash_command=command("score", ",sensor=$SENSOR"),
        max_active_tis_per_dag=8,
        map_index_template="{{ task.env['SENSOR'] }}",
        **shell,
    ).expand(env=found)
    step("ingest", f",readings={READINGS}") >> step("aggregate") >> found
    score >> step("incidents") >> step("monitor") >> step("report") >> step("maintain")


fleet_hour()
