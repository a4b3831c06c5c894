"""The real Alertmanager takes the alerts, holds them while an incident is open, and lets go of them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest

from batch_scoring.alerts.messages import one_by_one
from tests.alerts.sinks.forms import EVERY, closed, opened, settings_of

pytestmark = pytest.mark.slow

CONFIGURATION = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory):
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if program is None:
        reason = "there is no prometheus-alertmanager; Debian's package has it, `make test` installs it"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    folder = tmp_path_factory.mktemp("alertmanager")
    (folder / "configuration.yml").write_text(CONFIGURATION)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = subprocess.Popen(
        [
            program,
            f"--config.file={folder}/configuration.yml",
            f"--storage.path={folder}/data",
            f"--web.listen-address={address}",
            "--cluster.listen-address=",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://{address}"
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{url}/-/ready", timeout=5).close()
            break
        except OSError:
            assert process.poll() is None
            time.sleep(0.1)
    yield url
    process.kill()
    process.wait()


def held(url):
    """The alerts that it holds for open, by incident."""
    with urllib.request.urlopen(f"{url}/api/v2/alerts?active=true", timeout=30) as answer:
        return {one["labels"]["incident_id"]: one for one in json.load(answer)}


def now(message, hours=0):
    """The message as it would be now: Alertmanager compares times with its clock."""
    at = datetime.now(UTC) + timedelta(hours=hours)
    times = {"at": at.isoformat(), "start": (at - timedelta(hours=1)).isoformat()}
    events = [one | times for one in message.get("events", [])]
    return message | times | ({"events": events} if events else {})


def sink_of(url):
    return settings_of("alertmanager", url=url).open(lambda _: None)


def test_an_open_incident_is_held_and_a_closed_one_is_let_go(alertmanager):
    sink = sink_of(alertmanager)
    assert sink.send(now(opened())).startswith("200 OK")
    one = held(alertmanager)["pump-1@0"]
    assert one["labels"] == {
        "alertname": "DeviceAnomaly",
        "device": "pump-1",
        "sensor": "s",
        "kind": "anomaly",
        "incident_id": "pump-1@0",
    }
    assert one["annotations"]["summary"] == "pump-1: high anomaly opened, s"
    assert one["generatorURL"] == "https://fleet.example.com/incidents/pump-1%400"
    ends = datetime.fromisoformat(one["endsAt"])
    assert timedelta(days=6) < ends - datetime.now(UTC) <= timedelta(days=7)
    sink.send(now(closed()))
    assert "pump-1@0" not in held(alertmanager)


def test_a_level_that_rises_is_the_same_alert(alertmanager):
    sink = sink_of(alertmanager)
    for priority in (1.0, 13.0):
        sink.send(now(opened("pump-2", priority)))
    assert held(alertmanager)["pump-2@0"]["annotations"]["level"] == "critical"


@pytest.mark.parametrize("kind", EVERY)
def test_it_takes_every_message(alertmanager, kind):
    assert sink_of(alertmanager).send(now(EVERY[kind])).startswith("200 OK")


def test_a_storm_is_one_request_of_all_alerts(alertmanager):
    message = now(EVERY["several"])
    sink_of(alertmanager).send(message)
    ids = {one["incident_id"] for one in one_by_one(message)}
    assert len(ids) == 100
    assert ids <= held(alertmanager).keys()
