"""The flow, executed by Prefect itself, with a task that is killed: the rows are those of one `kedro run`."""

from __future__ import annotations

import pytest

from tests.end_to_end.workspaces import TABLES
from tests.schedulers.environments import PROJECT, kill_first, program, run, unscored
from tests.schedulers.test_steps import HOUR

pytestmark = [pytest.mark.long, pytest.mark.slow]

FLOW = PROJECT / "deploy/schedulers/prefect/fleet_hour.py"
AT = "2026-01-06T12"


def test_a_task_that_is_killed_is_tried_again_and_the_rows_are_those_of_one_run(trained, tmp_path):
    readings = f"{trained.folder}/01_raw/readings"
    alone, fleet = unscored(trained, tmp_path / "alone"), unscored(trained, tmp_path / "fleet")
    alone.run(",".join(HOUR), f"readings={readings},at={AT}:00Z")
    environment = {
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        # A machine that is busy with other tests.
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "600",
        "BATCH_SCORING": str(PROJECT),
        "FLEET": str(fleet.folder),
        "READINGS": readings,
    }
    command = [program("prefect", "python"), str(PROJECT / "tests/schedulers/run_flow.py"), str(FLOW)]

    with kill_first(f"kedro run --pipelines=score --params data={fleet.folder},") as victims:
        printed = run([*command, f"{AT}:10:00Z"], environment)
    assert len(victims) == 1
    assert "Retry 1/3 will start" in printed
    assert fleet.table("07_model_output/predictions").num_rows > 1000
    assert fleet.rows(*TABLES) == alone.rows(*TABLES)

    run([*command, f"{AT}:10:00Z"], environment)
    assert fleet.rows(*TABLES) == alone.rows(*TABLES)


def test_a_wrong_setting_is_not_tried_again(trained, tmp_path):
    environment = {
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "600",
        "BATCH_SCORING": str(PROJECT),
        "FLEET": str(unscored(trained, tmp_path / "fleet").folder),
        "READINGS": str(tmp_path / "nowhere"),
    }
    command = [program("prefect", "python"), str(PROJECT / "tests/schedulers/run_flow.py"), str(FLOW)]
    printed = run([*command, f"{AT}:10:00Z"], environment, succeeds=False)
    assert "returned non-zero exit status 1" in printed
    assert "Retry" not in printed
