"""Whole runs that tell a webhook, whose receiver is killed in the middle and comes back later."""

import shutil
from collections import Counter
from datetime import UTC, datetime

import pytest

from tests.alerts.conftest import receiver  # noqa: F401
from tests.end_to_end.workspaces import SMALL_FLEET, Workspace

pytestmark = pytest.mark.slow

# The native threshold flags a window in ten: enough to tell.
SENSORS = ("temperature", "vibration")
NATIVE = (
    "train.fit.threshold=native,train.fit.detector=one_class_svm,"
    "incidents.tolerated_gap=0,incidents.cool_down=0,alerts.outliers=true,alerts.warming_up=true,"
    "alerts.max_messages=1000"
)
FLEET = f"{SMALL_FLEET.replace('2026-02-01', '2026-01-07')},{NATIVE}"


def test_every_incident_of_the_last_day_arrives_though_the_receiver_dies(
    tmp_path,
    small_fleet,
    receiver,  # noqa: F811
):
    hook = f"{{type: webhook, url: {receiver.url}, attempts: 1}}"
    lines = tmp_path / "lines.jsonl"
    sinks = f"alerts.sinks=[{hook}, {{type: file, path: {lines}}}, {{type: log}}]"
    small_fleet("windows").workspace.copy_to(tmp_path / "data")
    workspace = Workspace(tmp_path / "data", f"{FLEET},{sinks}")
    receiver.start(die_after=5)
    output = workspace.run("train,score,incidents")
    assert len(receiver.events()) == 5
    assert "did not reach sink 'webhook', and will be sent again by the next run" in output
    before = workspace.files("07_model_output/incidents", "07_model_output/device_incidents")

    receiver.start()
    workspace.run("score,incidents")
    arrived = Counter(event["event_id"] for event in receiver.events())
    last_day = datetime(2026, 1, 6, tzinfo=UTC)
    rows = [
        row
        for row in workspace.table("07_model_output/device_incidents").to_pylist()
        if row["end"] >= last_day
    ]
    assert len(rows) > 10
    expected = {f"{row['incident_id']}-1" for row in rows}
    expected |= {f"{row['incident_id']}-2" for row in rows if row["state"] == "closed"}
    assert arrived.keys() == expected
    assert sorted(arrived.values())[-2:] == [1, 2]
    assert len(lines.read_text().splitlines()) == len(expected)
    assert workspace.files("07_model_output/incidents", "07_model_output/device_incidents") == before

    n_requests = len(receiver.requests())
    workspace.run("score,incidents")
    assert len(receiver.requests()) == n_requests


def test_new_devices_without_models_hold_up_no_alert_of_the_others(tmp_path, small_fleet):
    small_fleet("windows").workspace.copy_to(tmp_path / "data")
    lines = tmp_path / "lines.jsonl"
    sinks = f"alerts.sinks=[{{type: file, path: {lines}}}]"
    workspace = Workspace(tmp_path / "data", f"{FLEET},{sinks}")
    workspace.run("train,score,incidents")
    expected = sorted(lines.read_text().splitlines())
    assert len(expected) > 10

    # The same hour once more, as it would have been with many new devices: the first alerts of the good ones.
    lines.unlink()
    for name in ("predictions", "daily_totals", "incidents", "device_incidents", "notifications"):
        shutil.rmtree(tmp_path / "data/07_model_output" / name)
    # After the last alert: how many devices there are decides what is an event of the fleet.
    times = [f"2026-01-06T23:{m}:00Z" for m in range(40, 50)]
    more = [f"{time},new-{n},{s},1" for n in range(20) for s in SENSORS for time in times]
    readings = tmp_path / "data/01_raw/readings/new.csv"
    readings.write_text("timestamp,device,sensor,value\n" + "\n".join(more) + "\n")
    output = workspace.run("ingest,aggregate,score,incidents", expect=1)

    assert "score.max_failed_share" in output.strip().splitlines()[-1]
    assert sorted(lines.read_text().splitlines()) == expected
