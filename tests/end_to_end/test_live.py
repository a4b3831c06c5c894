"""A live fleet: events through a hub to readings, with every process killed at random moments."""

import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from azure.eventhub import EventHubProducerClient

from batch_scoring.tables.schemas import PREDICTIONS as SCHEMA
from batch_scoring.tables.schemas import READINGS, WINDOW_KEY
from tests.emulators import azurite
from tests.emulators.event_hubs.process import KEY
from tests.end_to_end.kills import kill_everything
from tests.end_to_end.workspaces import PREDICTIONS, SMALL_FLEET, BlobWorkspace, Workspace
from tests.event_hub.clients import iot_hub_message, send
from tests.mlflow_stores import put_database

pytestmark = pytest.mark.slow

AT = "at=2026-02-01T00:00Z"
BOTH = (("temp", 1.5), ("hum", 40.0))


@pytest.fixture
def live(event_hubs, tmp_path, monkeypatch):
    """A workspace that receives from the stand-in."""
    monkeypatch.setenv("EVENT_HUB_CONNECTION_STRING", event_hubs.connection_string())
    return Workspace(tmp_path / "live", AT)


def readings(first, count):
    """Bodies of so many readings, each with a time of its own."""
    return [
        json.dumps(
            {
                "timestamp": 1767571200 + n,
                "device": f"d{n % 7}",
                "sensor": "s",
                "value": n + 0.5,
            }
        )
        for n in range(first, first + count)
    ]


def predictions(workspace):
    order = [(name, "ascending") for name in WINDOW_KEY]
    return workspace.table(PREDICTIONS).sort_by(order).combine_chunks()


def test_what_a_fleet_publishes_becomes_the_readings_of_its_files(event_hubs, live, whole):
    faults = "publish.duplicate_share=0.02,publish.disorder_share=0.05,publish.readings_per_event=7"
    live.run("publish", f"{SMALL_FLEET},{faults}")
    live.run("receive,ingest", SMALL_FLEET)
    ours, theirs = (workspace.table("02_intermediate/readings") for workspace in (live, whole))
    assert ours.num_rows > 10_000
    assert ours.equals(theirs)
    assert ours.schema == READINGS


def test_a_second_run_finds_nothing_new_and_changes_nothing(event_hubs, live):
    send(event_hubs, readings(0, 100), partition_id="0")
    live.run("receive,ingest")
    before = live.files("01_raw", "02_intermediate/readings")
    assert "nothing new in event hub 'telemetry'" in live.run("receive,ingest")
    assert live.files("01_raw", "02_intermediate/readings") == before


def test_landed_files_may_be_deleted_as_the_checkpoints_know_how_far_they_went(event_hubs, live):
    send(event_hubs, readings(0, 100), partition_id="0")
    live.run("receive")
    for file in live.folder.rglob("*.events.parquet"):
        file.unlink()
    assert "nothing new in event hub 'telemetry'" in live.run("receive")


def test_messages_of_an_iot_hub_are_read_whatever_their_shape(event_hubs, live):
    start = "2026-01-05T00:00:00Z"
    bodies = {
        "long": {"timestamp": 1767571200, "sensor": "temp", "value": 1.5},
        "wide": {"ts": start, "temp": 1.5, "hum": 40.0},
        "nested": {"time": start, "data": {"temp": 1.5, "hum": 40.0}},
        "list": [{"ts": start, "temp": 1.5}, {"ts": "2026-01-05T00:01:00Z", "temp": 2.5}],
        "in a list": {"battery": 3.7, "data": [{"ts": start, "temp": 1.5, "hum": 40.0}]},
        "its own": {"device": "gateway/7", "timestamp": start, "sensor": "temp", "value": 1.5},
        "no time": {"temp": 1.5},
    }
    with EventHubProducerClient.from_connection_string(event_hubs.connection_string()) as producer:
        messages = [iot_hub_message(json.dumps(body), device) for device, body in bodies.items()]
        producer.send_batch(messages)
    live.run("receive,ingest")
    found = [
        (row["device"], row["sensor"], row["timestamp"].minute, row["value"])
        for row in live.table("02_intermediate/readings").to_pylist()
    ]
    both = [
        (device, sensor, 0, value) for device in ("wide", "nested", "in a list") for sensor, value in BOTH
    ]
    others = [(device, "temp", 0, 1.5) for device in ("long", "list", "gateway/7", "no time")]
    # What stands beside a list holds for each of its readings.
    others += [("in a list", "battery", 0, 3.7)]
    assert sorted(found) == sorted([*both, *others, ("list", "temp", 1, 2.5)])
    assert {row["timestamp"].day for row in live.table("02_intermediate/readings").to_pylist()} == {5}


@pytest.mark.azurite
def test_every_accepted_reading_is_in_one_window_whoever_is_killed(tmp_path):
    """`python -m tests.end_to_end.kills`, small."""
    if reason := azurite.why_not_there():
        pytest.skip(reason)
    # Of this seed the kills follow quickly, and each of the three is killed while blobs are being written.
    result = kill_everything(kills=6, events=6000, seed=1217, folder=tmp_path)
    assert result.is_all_well, str(result)
    assert result.accepted == result.found.in_windows == 6000


def test_a_run_that_cannot_sign_in_ends_with_one_line_and_no_key(event_hubs, live, monkeypatch):
    monkeypatch.setenv("EVENT_HUB_CONNECTION_STRING", event_hubs.connection_string(key="d3Jvbmc="))
    output = live.run("receive,ingest", expect=1)
    assert "the service refuses the key or token" in output.splitlines()[-1]
    assert "Traceback" not in output
    assert "d3Jvbmc=" not in output
    assert KEY not in output


def test_a_run_without_a_hub_says_what_to_set(live, monkeypatch):
    monkeypatch.delenv("EVENT_HUB_CONNECTION_STRING")
    assert "set EVENT_HUB_CONNECTION_STRING" in live.run("receive", expect=1)


@pytest.fixture
def blobs(event_hubs, container, new_database, tmp_path, monkeypatch):
    """A workspace in a container that receives from the stand-in, whole runs of which are possible."""
    put_database(new_database, tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow/mlflow.db")
    monkeypatch.setenv("EVENT_HUB_CONNECTION_STRING", event_hubs.connection_string())
    return BlobWorkspace(f"abfs://{container}/live")


@pytest.mark.azurite
def test_predictions_of_what_a_fleet_publishes_are_those_of_its_files_value_for_value(blobs, whole):
    faults = "publish.duplicate_share=0.02,publish.disorder_share=0.05"
    blobs.run("publish", faults)
    blobs.run("receive,ingest,aggregate,train,score")
    ours, theirs = predictions(blobs), predictions(whole)
    assert ours.num_rows > 4000
    assert ours.schema.names == SCHEMA.names
    assert ours.equals(theirs)


@pytest.mark.azurite
def test_a_late_reading_from_the_hub_replaces_the_prediction_that_it_changes(event_hubs, blobs):
    # No feature looks at the window before; with one, test_runs.py has a late reading change two.
    small = "simulate.devices=2,simulate.sensors=[vibration]"
    at = f"{small},aggregate.features=[mean,std,min,max,change],at=2026-01-07T00:00Z"
    blobs.run("publish", at)
    blobs.run("receive,ingest,aggregate,train,score", at)
    before = predictions(blobs)
    device = before["device"][-1].as_py()
    late = datetime(2026, 1, 6, 22, 57, 30, tzinfo=UTC)  # an hour ago
    reading = {"timestamp": late.isoformat(), "device": device, "sensor": "vibration", "value": 1234.5}
    send(event_hubs, [json.dumps(reading)], partition_key=device)
    output = blobs.run("receive,ingest,aggregate,score", at)
    after = predictions(blobs)
    assert "score: 1 window scored" in output

    rows = ["window_start", "window_end", "device", "sensor"]
    assert after.select(rows).equals(before.select(rows))
    is_changed = pc.not_equal(after["window_fingerprint"], before["window_fingerprint"])
    start = datetime(2026, 1, 6, 22, 55, tzinfo=UTC)
    changed = after.filter(is_changed)
    assert changed.select(WINDOW_KEY).to_pylist() == [
        {"sensor": "vibration", "device": device, "window_start": start}
    ]
    assert after.filter(pc.invert(is_changed)).equals(before.filter(pc.invert(is_changed)))

    old = before.filter(is_changed)
    assert changed["score"][0] != old["score"][0]
    assert changed["is_anomaly"][0].as_py()
    counts = blobs.table("03_primary/windows").filter(
        (pc.field("device") == device)
        & (pc.field("sensor") == "vibration")
        & (pc.field("window_start") == pa.scalar(start))
    )
    assert counts["count"].to_pylist() == [6]
    assert changed["value"][0].as_py() == pytest.approx((5 * old["value"][0].as_py() + 1234.5) / 6)
