"""A webhook gets each event with its id, again where that may help, and is given up where it cannot."""

import time

import pytest

from batch_scoring.alerts.delivery import deliver
from batch_scoring.alerts.post import Poster
from batch_scoring.alerts.sinks.base import RefusedError, UnreachableError
from batch_scoring.alerts.sinks.webhook import WebhookSink
from tests.alerts.events import make_message
from tests.alerts.ledgers import ledger_of

pytestmark = pytest.mark.slow


def make_sink(receiver, **more):
    pauses = []
    authorization = {name: more.pop(name) for name in ("authorization",) if name in more}
    poster = Poster(sleep=pauses.append, **more)
    sink = WebhookSink("hook", lambda: receiver.url, **authorization, poster=poster)
    return sink, pauses


def test_an_event_is_json_with_its_id_as_the_key_that_tells_repetitions(receiver):
    receiver.start()
    sink, _ = make_sink(receiver, authorization=lambda: "Bearer secret")
    message = make_message() | {"device": "Pumpe №7"}
    sink.send(message)
    (request,) = receiver.requests()
    assert request["body"] == message
    assert request["path"] == "/alerts"
    headers = {name.lower(): value for name, value in request["headers"].items()}
    assert headers["idempotency-key"] == message["event_id"]
    assert headers["content-type"] == "application/json"
    assert headers["authorization"] == "Bearer secret"


def test_the_message_has_plain_values():
    message = make_message()
    assert message == {
        "event_id": "pump-1@0-1",
        "change": "opened",
        "number": 1,
        "incident_id": "pump-1@0",
        "kind": "anomaly",
        "device": "pump-1",
        "priority": 1.0,
        "level": "low",
        "n_devices": 1,
        "devices": ["pump-1"],
        "n_sensors": 1,
        "sensors": ["s"],
        "n_incidents": 1,
        "start": "2026-01-05T00:00:00Z",
        "end": "2026-01-05T00:05:00Z",
        "last_start": "2026-01-05T00:00:00Z",
        "n_windows": 1,
        "peak_severity": 1.0,
        "peak_at": "2026-01-05T00:00:00Z",
        "top_feature": "std",
        "peak_sensor": "s",
        "top_value": None,
        "expected": None,
        "lower": None,
        "upper": None,
        "warming_up": False,
        "advice": "",
        "merged_into": None,
        "at": "2026-01-05T00:00:00Z",
        "opened_at": "2026-01-05T00:00:00Z",
        "link": None,
        "title": "pump-1: low anomaly opened, s",
        "text": "incident pump-1@0 opened: low, device 'pump-1', sensors 's', severity 1, std, "
        "2026-01-05T00:00:00Z to 2026-01-05T00:05:00Z, priority 1",
    }


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_an_answer_that_may_change_is_asked_for_again(receiver, status):
    receiver.start(answers=[(status, {}, 0), (status, {}, 0)])
    sink, pauses = make_sink(receiver)
    sink.send(make_message())
    assert len(receiver.requests()) == 3
    assert pauses == [0.5, 2.0]


def test_the_receiver_says_how_long_to_wait_up_to_a_limit(receiver):
    receiver.start(answers=[(429, {"Retry-After": "7"}, 0), (503, {"Retry-After": "999"}, 0)])
    sink, pauses = make_sink(receiver)
    sink.send(make_message())
    assert pauses == [7.0, 30.0]


def test_so_many_attempts_and_no_more(receiver):
    receiver.start(answers=[(500, {}, 0)] * 9)
    sink, _ = make_sink(receiver, attempts=2)
    with pytest.raises(UnreachableError, match="it answered 500, 2 times"):
        sink.send(make_message())
    assert len(receiver.requests()) == 2


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refused_event_is_sent_once_a_run(receiver, status):
    receiver.start(answers=[(status, {}, 0)])
    sink, _ = make_sink(receiver)
    with pytest.raises(RefusedError, match=f"it answered {status}"):
        sink.send(make_message())
    assert len(receiver.requests()) == 1
    sink.send(make_message())


@pytest.mark.parametrize("status", [401, 403, 404, 301, 303])
def test_a_wrong_address_or_authorization_is_no_refusal_of_the_event(receiver, status):
    # Followed, the redirect would end in a GET that is answered with 2xx by nobody who wants events.
    receiver.start(answers=[(status, {"Location": receiver.url}, 0)])
    sink, _ = make_sink(receiver)
    with pytest.raises(UnreachableError, match=f"it answered {status}; look at its address"):
        sink.send(make_message())
    assert len(receiver.requests()) == 1


def test_nobody_there(receiver):
    sink, pauses = make_sink(receiver)
    with pytest.raises(UnreachableError, match=r"no answer .*refused.*, 3 times"):
        sink.send(make_message())
    assert pauses == [0.5, 2.0]


def test_one_who_does_not_answer_is_not_waited_for(receiver):
    receiver.start(answers=[(204, {}, 600)])
    sink, _ = make_sink(receiver, attempts=1, timeout_seconds=0.2)
    began = time.monotonic()
    with pytest.raises(UnreachableError, match="no answer"):
        sink.send(make_message())
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("path", "authorization"),
    [("/s3cret\x7f", None), ("/s3cret№", None), ("/", "Bearer s3cret\nX-More: 1"), ("/", "Bearer s3cret№")],
)
def test_what_no_request_can_carry_is_told_without_the_secret_it_is_in(receiver, path, authorization, caplog):
    receiver.start()
    sink, pauses = make_sink(receiver, authorization=lambda: authorization)
    sink.url = lambda: receiver.url.removesuffix("/alerts") + path
    caplog.set_level("DEBUG")
    assert list(deliver(ledger_of([("pump-1", 0, 1, 1)], sinks=["hook"]), [sink], 60.0)) == []
    assert (receiver.requests(), pauses) == ([], [])
    assert "character that no request can carry" in caplog.text
    assert "s3cret" not in caplog.text
