"""A request ends in time, whatever the receiver does, and goes nowhere but where it was sent."""

from __future__ import annotations

import socket
import time

import pytest

from batch_scoring.alerts.delivery import deliver
from batch_scoring.alerts.post import ForbiddenAddressError, Poster, check_url, refuse_link_local
from batch_scoring.alerts.settings import read_sinks
from batch_scoring.alerts.sinks.base import UnreachableError
from batch_scoring.alerts.sinks.webhook import WebhookSink
from batch_scoring.core.errors import InputError
from tests.alerts.events import make_message
from tests.alerts.ledgers import ledger_of
from tests.alerts.slow_receiver import dripping
from tests.waiting import wait_for


def test_a_byte_at_a_time_is_no_answer():
    with dripping() as (url, connections):
        began = time.monotonic()
        with pytest.raises(
            UnreachableError, match=r"no answer \(TimeoutError: it took longer than 0.3 s\), 2 times"
        ):
            Poster(0.3, 2, sleep=lambda _: None).post(url, b"{}", {})
        # Each read was answered in a tenth of a second: only the whole takes too long.
        assert 0.6 <= time.monotonic() - began < 60
    wait_for(lambda: len(connections) == 2)  # accepted by a thread of its own


def test_the_body_of_an_answer_may_not_drip_either():
    first = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    with dripping(first) as (url, _), pytest.raises(UnreachableError, match="it took longer"):
        Poster(0.3, 1).post(url, b"{}", {})


def test_the_time_of_a_sink_is_over_for_a_message_that_is_being_sent(caplog):
    with dripping() as (url, _):
        sink = WebhookSink("hook", lambda: url, poster=Poster(3600, 1), takes_all=True)
        began = time.monotonic()
        assert list(deliver(ledger_of([("a", 0, 1, 1), ("b", 0, 1, 1)], ["hook"]), [sink], 0.5)) == []
        assert time.monotonic() - began < 60
    assert "2 of 2 notifications did not reach sink 'hook'" in caplog.text
    assert "alerts.time_limit was reached" in caplog.text


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "fe80::1",
        "fe80::1%eth0",
        "febf::1",
        "::ffff:169.254.169.254",
        "fd00:ec2::254",
        "100.100.100.200",
        "168.63.129.16",
    ],
)
def test_a_link_local_address_is_refused(address):
    with pytest.raises(ForbiddenAddressError, match="allow_link_local"):
        refuse_link_local(address)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "93.184.216.34", "2001:db8::1"]
)
def test_others_are_not(address):
    refuse_link_local(address)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_nothing_is_sent_to_a_name_that_has_such_an_address(monkeypatch, scheme):
    """Whatever the name resolves to: the address of the connection itself is looked at."""
    ours, theirs = socket.socketpair()

    class Connected:
        def __getattr__(self, name):
            return getattr(ours, name)

        def getpeername(self):
            return ("169.254.169.254", 80)

    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: Connected())
    with pytest.raises(UnreachableError, match="link-local"):
        Poster(5, 3, sleep=lambda _: None).post(f"{scheme}://metadata.example/latest", b"secret", {})
    assert theirs.recv(1) == b""  # closed, and nothing was said


def test_it_may_be_allowed(receiver):
    receiver.start()
    answer = Poster(5, 1, allow_link_local=True).post(receiver.url, b"{}", {})
    assert answer == "204 No Content"
    (settings,) = read_sinks([{"type": "webhook", "url": "http://169.254.1.1/", "allow_link_local": True}])
    assert settings.open(lambda _: None).poster.allow_link_local


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_nowhere(receiver, tmp_path, status):
    with dripping() as (elsewhere, connections):
        receiver.start(answers=[(status, {"Location": elsewhere}, 0)])
        with pytest.raises(UnreachableError, match=f"it answered {status}"):
            Poster(5, 3).post(receiver.url, b"{}", {})
    assert connections == []


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://a/b", "gopher://a/", "http:///x", "javascript:1"]
)
def test_an_address_of_another_kind_is_refused(url):
    with pytest.raises(InputError, match="expected one such as https://host/path"):
        check_url(url, "here")


def test_what_came_back_is_said(receiver):
    receiver.start()
    (settings,) = read_sinks([{"type": "webhook", "url": receiver.url}])
    assert settings.open(lambda _: None).send(make_message()) == "204 No Content"
