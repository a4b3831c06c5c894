"""Whole runs of models that have not seen a week: their alarms are marked, listed last, and not sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.end_to_end.workspaces import Workspace

pytestmark = pytest.mark.slow

STEP = timedelta(minutes=15)
WHOLE_RUN = "ingest,aggregate,train,score,incidents"


def at(day: int, hour: int = 0) -> datetime:
    """A moment of March 2026, whose 13th is a Friday; days may go on into April."""
    return datetime(2026, 3, 1, hour, tzinfo=UTC) + timedelta(days=day - 1)


def write_readings(path: Path, first: datetime, last: datetime, level) -> None:
    """A reading every quarter of an hour: a level that depends on the moment, and a little noise."""
    n = (last - first) // STEP
    noise = np.random.default_rng(0).normal(0, 0.03, n)
    moments = [first + i * STEP for i in range(n)]
    rows = [
        f"{moment:%Y-%m-%dT%H:%M:%SZ},m,s,{level(moment) + more:.3f}"
        for moment, more in zip(moments, noise, strict=True)
    ]
    path.write_text("\n".join(["timestamp,device,sensor,value", *rows]) + "\n", encoding="utf-8")


def shifts(moment: datetime) -> float:
    """The load of a machine that works from Monday to Friday, from 6 to 18, most at noon."""
    hour = moment.hour + moment.minute / 60
    return 1 + (moment.weekday() < 5) * max(0.0, np.sin(np.pi * (hour - 6) / 12))


def office(moment: datetime) -> float:
    """The temperature of a room by Berlin's clock, which goes on by an hour on the 29th."""
    hour = moment + timedelta(hours=1 if moment < at(29, 1) else 2)
    return 18 + 3 * np.sin(2 * np.pi * (hour.hour + hour.minute / 60 - 9) / 24)


@pytest.fixture
def workspace(tmp_path, new_workspace) -> Workspace:
    """A workspace with alerts of every kind in a file."""
    sinks = f"alerts.sinks=[{{type: file, path: {tmp_path / 'alerts.jsonl'}}}]"
    params = f"readings={tmp_path / 'readings.csv'},aggregate.window=15m,alerts.max_age=60d,{sinks}"
    return new_workspace(tmp_path / "data", params)


def alerts(folder: Path) -> list[dict[str, object]]:
    path = folder / "alerts.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def found(workspace: Workspace) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """The anomalous windows, and the device incidents but outliers."""
    predictions = workspace.table("07_model_output/predictions").to_pylist()
    incidents = workspace.table("07_model_output/device_incidents").to_pylist()
    return [row for row in predictions if row["is_anomaly"]], [
        row for row in incidents if row["kind"] != "outlier"
    ]


def test_a_device_that_began_on_a_friday_evening_alarms_on_no_working_day(tmp_path, workspace):
    write_readings(tmp_path / "readings.csv", at(13, 18), at(19, 18), shifts)
    trained = "train.hold_out=0s,at=2026-03-16T00:00Z"
    workspace.run("ingest,aggregate,train", trained)
    # Calibration that follows would know working days by the fourth.
    workspace.run("score,incidents", "at=2026-03-19T18:00Z,score.recalibrate=never")
    windows, incidents = found(workspace)
    assert {row["window_start"].day for row in windows} >= {16, 17, 18, 19}
    assert all(row["warming_up"] for row in (*windows, *incidents))
    # One each working day: they flap.
    assert [row["n_incidents"] for row in incidents] == [4]
    assert alerts(tmp_path) == []

    # Asked for, they are sent.
    workspace.run("incidents", "at=2026-03-19T18:00Z,alerts.warming_up=true")
    assert {one["incident_id"] for one in alerts(tmp_path)} == {one["incident_id"] for one in incidents}
    assert all(one["warming_up"] for one in alerts(tmp_path))


def test_a_history_that_ends_on_a_friday_is_warned_of_and_its_weekend_is_not_alerted(tmp_path, workspace):
    write_readings(tmp_path / "readings.csv", at(9), at(16), shifts)
    workspace.run(WHOLE_RUN, "train.to=2026-03-14T00:00Z,at=2026-03-16T00:00Z")
    (status,) = workspace.table("07_model_output/status/train").to_pylist()
    assert "warming up: trained on 5 d" in status["message"]
    assert "no weekend: " in status["message"]
    windows, incidents = found(workspace)
    weekend = [row for row in windows if row["window_start"] >= at(14)]
    assert len(weekend) > 50
    assert incidents
    assert all(row["warming_up"] for row in (*windows, *incidents))
    assert alerts(tmp_path) == []


def test_a_model_of_a_whole_week_is_not_young_and_its_fault_is_alerted(tmp_path, workspace):
    def broken(moment):
        return shifts(moment) + 3 * (at(17, 9) <= moment < at(17, 12))

    write_readings(tmp_path / "readings.csv", at(2), at(18), broken)
    workspace.run(WHOLE_RUN, "train.to=2026-03-16T00:00Z,at=2026-03-18T00:00Z")
    windows, incidents = found(workspace)
    assert not any(row["warming_up"] for row in (*windows, *incidents))
    assert at(17, 9) in {one["start"] for one in incidents}
    assert {one["start"] for one in alerts(tmp_path)} >= {"2026-03-17T09:00:00Z"}


@pytest.mark.parametrize(("zone", "alarms"), [("Europe/Berlin", False), ("UTC", True)])
def test_a_change_to_summer_time_raises_no_alarm_where_the_zone_is_known(tmp_path, workspace, zone, alarms):
    write_readings(tmp_path / "readings.csv", at(8), at(34), office)
    trained = "train.from=2026-03-08T00:00Z,train.to=2026-03-28T00:00Z"
    workspace.run(WHOLE_RUN, f"{trained},train.timezone={zone},at=2026-04-03T00:00Z")
    later = [row for row in found(workspace)[0] if row["window_start"] >= at(29)]
    sent = [one for one in alerts(tmp_path) if one["end"] >= "2026-03-29"]
    assert (len(later) > 20, bool(sent)) == (alarms, alarms)
    if not alarms:
        # Of 480 windows; the budget is one alarm a week.
        assert len(later) <= 3
