"""Events of a device go to one partition of an Event Hub, each with its id; a stand-in for Azure's client."""

import json

import pytest

from batch_scoring.alerts.sinks.base import RefusedError, UnreachableError
from batch_scoring.alerts.sinks.event_hub import EventHubSink, Settings
from tests.alerts.events import make_message


class Client:
    def __init__(self, problem=None, room=1):
        self.problem, self.room = problem, room
        self.sent, self.is_closed = [], False

    def create_batch(self, *, partition_key):
        return Batch(partition_key, self.room)

    def send_batch(self, event_data_batch, *, timeout):
        if self.problem:
            raise self.problem
        self.sent.append((event_data_batch, timeout))

    def close(self):
        self.is_closed = True


class Batch:
    def __init__(self, key, room):
        self.key, self.room, self.events = key, room, []

    def add(self, event):
        if len(self.events) >= self.room:
            raise ValueError("EventDataBatch has reached its size limit")
        self.events.append(event)


def test_an_event_is_json_with_the_device_as_its_key():
    client = Client()
    sink = EventHubSink("hub", lambda: client, 7.0)
    sink.send(make_message(1))
    sink.send(make_message(2, "x" * 200))
    sink.close()
    (first, timeout), (second, _) = client.sent
    assert (first.key, second.key, timeout) == ("pump-1", "x" * 128, 7.0)
    event = first.events[0]
    assert json.loads(event.body_as_str()) == make_message(1)
    assert event.message_id == "pump-1@0-1"
    assert event.properties == {"event_id": "pump-1@0-1", "change": "opened"}
    assert client.is_closed


def test_nobody_is_connected_to_before_there_is_an_event():
    EventHubSink("hub", lambda: pytest.fail("connected")).close()


def test_a_hub_that_is_down_is_asked_again_next_time():
    def refuse():
        raise ConnectionError("no route\nand more")

    with pytest.raises(UnreachableError, match=r"ConnectionError: no route$"):
        EventHubSink("hub", refuse).send(make_message())
    with pytest.raises(UnreachableError, match="OSError: gone"):
        EventHubSink("hub", lambda: Client(OSError("gone"))).send(make_message())


def test_an_event_that_is_too_large_keeps_no_other_back():
    with pytest.raises(RefusedError, match="too large"):
        EventHubSink("hub", lambda: Client(room=0)).send(make_message())


def test_without_azures_library_the_sink_says_so(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "azure.eventhub", None)
    with pytest.raises(UnreachableError, match="azure-eventhub is not installed"):
        Settings("HUB").open(lambda name: "Endpoint=sb://x").send(make_message())
