"""The DAG, executed by Airflow itself, with a task that is killed: the rows are those of one `kedro run`."""

from __future__ import annotations

import pytest

from tests.end_to_end.workspaces import TABLES
from tests.schedulers.environments import PROJECT, kill_first, program, run, unscored
from tests.schedulers.test_steps import HOUR

pytestmark = [pytest.mark.long, pytest.mark.slow]

DAG = PROJECT / "deploy/schedulers/airflow/fleet_hour.py"
AT = "2026-01-06T12"


@pytest.fixture
def airflow(tmp_path):
    """Runs Airflow with a database of its own; what it printed."""
    environment = {
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAG.parent),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "BATCH_SCORING": str(PROJECT),
    }
    command = program("airflow", "airflow")

    def airflow(*arguments: str, **variables: str) -> str:
        return run([command, *arguments], environment | variables)

    airflow("db", "migrate")
    return airflow


def test_a_task_that_is_killed_is_tried_again_and_the_rows_are_those_of_one_run(airflow, trained, tmp_path):
    readings = f"{trained.folder}/01_raw/readings"
    alone, fleet = unscored(trained, tmp_path / "alone"), unscored(trained, tmp_path / "fleet")
    alone.run(",".join(HOUR), f"readings={readings},at={AT}:00Z")
    places = {"FLEET": str(fleet.folder), "READINGS": readings}
    test = ("dags", "test", "fleet_hour", f"{AT}:10:00Z", "--dagfile-path", str(DAG))

    with kill_first(f"kedro run --pipelines=score --params data={fleet.folder},") as victims:
        printed = airflow(*test, **places)
    assert len(victims) == 1
    assert "exit code -9" in printed
    assert "DagRun Finished" in printed
    assert fleet.table("07_model_output/predictions").num_rows > 1000
    assert fleet.rows(*TABLES) == alone.rows(*TABLES)

    airflow(*test, **places)
    assert fleet.rows(*TABLES) == alone.rows(*TABLES)


def test_airflow_finds_no_error_in_it(airflow):
    assert "No data found" in airflow("dags", "list-import-errors")
