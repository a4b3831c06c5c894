"""Publishing over real sockets: all events arrive, by device, and throttling is waited out."""

import threading
import time

import pyarrow as pa
import pytest
from kedro.io import DatasetError

from batch_scoring.datasets.event_hub import PublishedEvents
from batch_scoring.event_hub import send as publish_module
from batch_scoring.simulation.events import EVENT
from tests.emulators.event_hubs.faults import Faults
from tests.emulators.event_hubs.process import KEY
from tests.event_hub.clients import bodies_of, dataset, drain

pytestmark = pytest.mark.slow


def events(devices, count, due=0.0, size=0):
    bodies = [f"d{n % devices}/{n:06d}{'x' * size}".encode() for n in range(count)]
    names = [f"d{n % devices}" for n in range(count)]
    return pa.table([names, pa.array(bodies, pa.binary()), [due] * count], schema=EVENT)


def published(hubs, key=KEY):
    return PublishedEvents(credentials={"connection_string": hubs.connection_string(key=key)})


def test_every_event_arrives_and_those_of_a_device_in_order_in_one_partition(event_hubs, tmp_path):
    published(event_hubs).save(events(devices=5, count=500))
    came = bodies_of(drain(dataset(event_hubs, tmp_path)))
    places = {}
    for partition, bodies in came.items():
        for body in bodies:
            device, _, number = body.partition("/")
            places.setdefault(device, []).append((partition, int(number)))
    assert sum(map(len, came.values())) == 500
    for device, found in places.items():
        assert len({partition for partition, _ in found}) == 1
        assert [number for _, number in found] == list(range(int(device[1:]), 500, 5))


def test_what_does_not_fit_into_one_batch_goes_in_several(event_hubs, tmp_path):
    published(event_hubs).save(events(devices=1, count=20, size=200_000))
    assert drain(dataset(event_hubs, tmp_path)).num_rows == 20


def test_throttling_is_waited_out(event_hubs, tmp_path):
    event_hubs.inject(Faults(busy_sends=2))
    published(event_hubs).save(events(devices=1, count=10))
    assert drain(dataset(event_hubs, tmp_path)).num_rows == 10


def test_a_hub_that_is_away_when_publishing_begins_is_waited_for(event_hubs, tmp_path):
    event_hubs.kill()
    starting = threading.Timer(4.0, event_hubs.start)
    starting.start()
    published(event_hubs).save(events(devices=1, count=10))
    starting.join()
    assert drain(dataset(event_hubs, tmp_path)).num_rows == 10


def test_events_are_sent_when_they_are_due(event_hubs):
    began = time.monotonic()
    published(event_hubs).save(events(devices=1, count=1, due=3.0))
    assert time.monotonic() - began >= 3.0


def test_what_is_wrong_is_one_sentence(event_hubs, monkeypatch):
    monkeypatch.setattr(publish_module, "PAUSES", (0.1,))
    with pytest.raises(DatasetError, match="publishing: the service refuses the key") as error:
        published(event_hubs, key="d3Jvbmc=").save(events(devices=1, count=1))
    assert "d3Jvbmc=" not in str(error.value)
    event_hubs.inject(Faults(busy_sends=1000))
    with pytest.raises(DatasetError, match="publishing: the service is throttling"):
        published(event_hubs).save(events(devices=1, count=1))
