"""A sink that fails keeps its events and takes nothing from the others."""

import pytest

from batch_scoring.alerts.delivery import deliver
from batch_scoring.alerts.sinks.base import BATCH, RefusedError, UnreachableError
from tests.alerts.events import Recorder
from tests.alerts.ledgers import ledger_of

THREE = [("a", 0, 1, 1), ("a", 0, 1, 2), ("b", 5, 6, 1)]
IDS = ["a@0-1", "a@0-2", "b@5-1"]


def ids(sink):
    return [message["event_id"] for message in sink.got]


def last(deliveries, ledger):
    return [ledger, *(after for after, _ in deliveries)][-1]


def test_events_are_sent_in_the_order_in_which_they_came_about():
    sink, ledger = Recorder(), ledger_of(THREE[::-1])
    ledger = last(deliver(ledger, [sink], 60), ledger)
    assert ids(sink) == IDS
    assert ledger.pending("recorder").size == 0
    assert sink.is_closed
    assert list(deliver(ledger, [sink], 60)) == []
    assert len(sink.got) == 3


@pytest.mark.parametrize("problem", [UnreachableError("down"), KeyError("unforeseen")])
def test_a_sink_that_is_down_waits_and_the_others_do_not(problem):
    down, up = Recorder("down", [None, problem]), Recorder("up")
    ledger = ledger_of(THREE, ["down", "up"])
    ledger = last(deliver(ledger, [down, up], 60), ledger)
    assert (ids(down), ids(up)) == (IDS[:1], IDS)
    assert down.is_closed
    ledger = last(deliver(ledger, [down, up], 60), ledger)
    assert (ids(down), ids(up)) == (IDS, IDS)
    assert ledger.table["is_delivered"].to_pylist() == [True] * 6


def test_a_refused_event_waits_and_the_next_ones_are_sent():
    sink, ledger = Recorder(problems=[RefusedError("no")]), ledger_of(THREE)
    ledger = last(deliver(ledger, [sink], 60), ledger)
    assert ids(sink) == IDS[1:]
    assert list(ledger.pending("recorder")) == [0]


def test_a_slow_sink_gets_the_rest_next_time():
    sink, ledger = Recorder(), ledger_of(THREE)
    ticks = iter(range(100))
    ledger = last(deliver(ledger, [sink], 2.5, clock=lambda: next(ticks)), ledger)
    assert ids(sink) == IDS[:2]
    assert list(ledger.pending("recorder")) == [2]


def test_what_was_sent_is_written_down_before_many_more_are():
    many = [(f"d{i:03}", 0, 1, 1) for i in range(2 * BATCH + 1)]
    sink = Recorder()
    states = [
        (after.pending("recorder").size, rows.tolist(), len(sink.got))
        for after, rows in deliver(ledger_of(many), [sink], 60)
    ]
    places = list(range(2 * BATCH + 1))
    assert states == [
        (BATCH + 1, places[:BATCH], BATCH),
        (1, places[BATCH : 2 * BATCH], 2 * BATCH),
        (0, places[2 * BATCH :], 2 * BATCH + 1),
    ]
