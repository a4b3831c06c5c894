"""A live fleet: events through a hub to readings, with every process killed at random moments."""

import json
import os
import random
import signal
import time

import pyarrow.parquet as pq
import pytest

from batch_scoring.fleet.tables import READINGS
from tests.datasets.event_hub.clients import send
from tests.emulators.event_hubs.faults import Faults
from tests.emulators.event_hubs.process import KEY
from tests.end_to_end.workspaces import SMALL_FLEET, Workspace

pytestmark = pytest.mark.slow

AT = "at=2026-02-01T00:00Z"
KILLS = 4


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


def values(workspace):
    return sorted(workspace.table("02_intermediate/readings")["value"].to_pylist())


def test_what_a_fleet_publishes_becomes_the_readings_of_its_files(event_hubs, live, tmp_path):
    faults = "publish.duplicate_share=0.02,publish.disorder_share=0.05,publish.readings_per_event=7"
    live.run("publish", f"{SMALL_FLEET},{faults}")
    live.run("receive,ingest", SMALL_FLEET)
    files = Workspace(tmp_path / "files", SMALL_FLEET)
    files.run("simulate,ingest")
    folders = [workspace.folder / "02_intermediate/readings" for workspace in (live, files)]
    tables = [pq.read_table(folder) for folder in folders]
    assert tables[0].num_rows > 10_000
    assert tables[0].equals(tables[1])
    assert tables[0].schema.remove_metadata() == READINGS


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


def test_every_accepted_event_is_one_reading_whoever_is_killed(event_hubs, live):
    """The run and the broker are killed (kill -9) at random moments while events flow."""
    chance = random.Random(7)
    event_hubs.inject(Faults(slow_partitions=dict.fromkeys("0123", 0.05)))
    sent = 0
    for kill in range(KILLS):
        for partition in "0123":
            send(event_hubs, readings(sent, 500), partition_id=partition)
            sent += 500
        run = live.start("receive,ingest", "receive.max_events=700" if kill % 3 == 0 else "")
        time.sleep(chance.uniform(1.0, 6.0))
        if kill % 2:
            event_hubs.kill()
            time.sleep(0.3)
            event_hubs.start()
            time.sleep(chance.uniform(0.0, 3.0))
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
    live.run("receive,ingest")
    assert values(live) == [n + 0.5 for n in range(sent)]


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
