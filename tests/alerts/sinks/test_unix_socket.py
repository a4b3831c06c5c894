"""The sink of docs/how-to/add-a-sink.md, from the page itself, in front of a real socket."""

import json
import re
import socket
import sys
from tempfile import TemporaryDirectory

import pytest

from batch_scoring.alerts import settings
from batch_scoring.alerts.settings import read_sinks
from batch_scoring.alerts.sinks import TYPES
from batch_scoring.alerts.sinks.base import RefusedError, UnreachableError
from batch_scoring.core.errors import InputError
from batch_scoring.datasets.alert_sinks import NotificationSinks
from tests.alerts.events import make_message
from tests.alerts.sinks.unix_socket import FULL_NAME, NAME, unix_socket
from tests.alerts.test_notify_run import Site


@pytest.fixture
def path():
    """Where the socket is to be; a short path, since that of a socket may have some hundred characters."""
    with TemporaryDirectory() as folder:
        yield f"{folder}/alerts.sock"


@pytest.fixture
def listener(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(path)
        bound.setblocking(False)
        yield bound


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Add the module of the page and its name."""
    unix_socket(tmp_path, sys.modules)
    monkeypatch.setattr(settings, "TYPES", (*TYPES, NAME))
    yield
    del sys.modules[FULL_NAME]


@pytest.fixture
def sink(module, path):
    """Open the sink from its settings."""
    (opened,) = NotificationSinks().load()([{"type": NAME, "path": path}])
    yield opened
    opened.close()


def received(listener):
    return json.loads(listener.recv(1 << 20))


def test_an_event_arrives_as_it_was_sent(sink, listener):
    message = make_message(device="über\n1")
    sink.send(message)
    assert received(listener) == message


def test_one_that_is_too_large_is_refused_and_the_next_one_arrives(sink, listener):
    with pytest.raises(RefusedError, match="too large"):
        sink.send(make_message() | {"text": "x" * (8 << 20)})
    sink.send(make_message())
    assert received(listener)["event_id"] == "pump-1@0-1"


def test_a_password_is_sent_along_and_read_by_its_name(module, path, listener, monkeypatch):
    (sink,) = NotificationSinks().load()([{"type": NAME, "path": path, "password_from": "SOCKET_PASSWORD"}])
    with pytest.raises(UnreachableError, match="SOCKET_PASSWORD is neither"):
        sink.send(make_message())
    monkeypatch.setenv("SOCKET_PASSWORD", "open sesame")
    sink.send(make_message())
    assert received(listener)["password"] == "open sesame"


def test_without_a_listener_nothing_can_be_delivered(sink, path):
    with pytest.raises(UnreachableError, match=re.escape(path)):
        sink.send(make_message())


def test_what_did_not_arrive_is_sent_by_the_next_run_once(sink, path, tmp_path):
    site = Site(tmp_path)
    site.put(("a", 0, 3, "open"), ("b", 0, 3, "open"))
    site.sink = sink
    site.notify()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path)
        listener.setblocking(False)
        site.notify()
        site.notify()
        assert [received(listener)["event_id"] for _ in range(2)] == ["a@0-1", "b@0-1"]
        with pytest.raises(BlockingIOError):
            listener.recv(1)


def test_its_settings_are_checked_like_those_of_the_others(module):
    with pytest.raises(InputError, match=r"sink 1\.path: this setting is missing"):
        read_sinks([{"type": NAME}])
