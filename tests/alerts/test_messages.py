"""A message says what a person needs; in a storm one stands for many."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from batch_scoring.alerts.changes import EVENTS
from batch_scoring.alerts.ledger import Ledger
from batch_scoring.alerts.messages import OUR_WORDS, Form, facts, is_over, message_of
from batch_scoring.alerts.settings import AlertParameters
from batch_scoring.alerts.sinks.base import to_json
from batch_scoring.core.errors import InputError
from tests.alerts.events import make_message
from tests.alerts.ledgers import events_of


def storm(n, most=5, closed=0):
    """Messages of n incidents of rising priority, the last of which are over."""
    rows = [(f"d{i:05}", 0, 3, 1 + (i >= n - closed), 1 + 20 * i / n) for i in range(n)]
    ledger = Ledger().with_events(events_of(rows), {"sink": most})
    found = ledger.pending_messages("sink")
    return [
        message_of(ledger.table.take(pa.array(rows)), Form("https://fleet.example.com/")) for rows in found
    ]


def test_it_links_to_the_page_of_the_incident():
    (message,) = storm(1)
    assert message["link"] == "https://fleet.example.com/incidents/d00000%400"
    assert make_message()["link"] is None


def shown(**row):
    """A message about what is given of an incident."""
    rows = events_of([("a", 0, 3, 1)]).to_pylist()[0] | row
    table = Ledger().with_events(pa.Table.from_pylist([rows], EVENTS), {"sink": None}).table
    return message_of(table, OUR_WORDS)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"lower": 1.2, "upper": 2.4}, "mean 3.1, expected 1.2 to 2.4"),
        ({"lower": None, "upper": 2.4}, "mean 3.1, expected up to 2.4"),
        ({"lower": 1.2, "upper": None, "top_value": 0.4}, "mean 0.4, expected 1.2 or more"),
        ({"lower": None, "upper": None}, "mean 3.1, expected 1.8"),
        ({"lower": -5.0, "upper": 2.4, "top_feature": "std"}, "std 3.1, expected up to 2.4"),
        ({"top_value": 13_000.25, "lower": 1.0, "upper": 12_345.6}, "mean 13000, expected 0 to 12400"),
        ({"expected": None}, "mean"),
        (
            {"top_feature": "stay_hours", "top_value": 9.1, "expected": 4.3, "lower": None, "upper": 4.3},
            "stays at one level for 9.1 h, expected up to 4.3 h",
        ),
        (
            {"n_sensors": 2, "sensors": ["t", "s"], "lower": 1.0, "upper": 2.0},
            "'s' mean 3.1, expected 1 to 2",
        ),
    ],
)
def test_it_says_what_would_have_been_usual(row, expected):
    about = {"top_feature": "mean", "peak_sensor": "s", "top_value": 3.1, "expected": 1.8}
    message = shown(**about | row)
    assert f"severity 1, {expected}, 2026-01-05" in message["text"]
    assert dict(facts(message))["Peak"] == "1 at 2026-01-05T00:00:00Z"
    assert dict(facts(message))["Most unusual"] == expected
    assert message["expected"] == (about | row)["expected"]


def test_it_says_what_else_is_known():
    advice = "s: looks like a change of unit, °C → °F"
    assert shown(advice=advice)["text"].endswith(f"priority 1. {advice}")


def test_the_worst_have_a_message_each_and_all_others_share_the_last():
    *single, last = storm(1000)
    assert [one["device"] for one in single] == ["d00996", "d00997", "d00998", "d00999"]
    assert (last["change"], last["n_events"], last["n_incidents"]) == ("several", 996, 996)
    assert last["changes"] == {"opened": 996}
    assert sum(last["levels"].values()) == 996
    assert [one["device"] for one in last["worst"][:2]] == ["d00995", "d00994"]
    assert len(last["worst"]) == 20
    assert last["title"] == "996 more incidents opened"
    assert last["link"] == "https://fleet.example.com/incidents"
    assert {one["device"] for one in last["events"]} | {one["device"] for one in single} == {
        f"d{i:05}" for i in range(1000)
    }


def test_as_many_as_fit_have_a_message_each():
    assert [one["change"] for one in storm(5)] == ["opened"] * 5


def test_what_is_over_comes_after_what_is_not():
    *single, last = storm(10, most=3, closed=5)
    assert [one["device"] for one in single] == ["d00003", "d00004"]
    assert last["changes"] == {"opened": 3, "closed": 5}
    assert last["title"] == "8 more events of 8 incidents: 3 opened, 5 closed"
    assert not is_over(last)
    assert is_over(storm(10, most=1, closed=10)[0])


def test_what_stands_for_many_stays_small_as_json():
    sent = json.loads(to_json(storm(1000)[-1]))
    assert "events" not in sent
    assert len(to_json(storm(1000)[-1])) < 40_000


def test_its_id_follows_from_its_events():
    ids = [one["event_id"] for one in storm(100)]
    assert ids == [one["event_id"] for one in storm(100)]
    assert ids[-1] != storm(101)[-1]["event_id"]


def test_templates_take_the_place_of_our_words():
    rows = Ledger().with_events(events_of([("a\nb", 0, 3, 1, 7)]), {"sink": None}).table
    message = message_of(rows, Form(title="$device is $level", text="$sensors $change $$ $merged_into."))
    assert (message["title"], message["text"]) == ("a\\nb is high", "s opened $ .")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"title": "$devise"}, r"alerts.title: there is no \$devise"),
        ({"text": "100 $"}, r"alerts.text: .* is not valid; expected names such as \$device"),
        ({"text": "${device.__class__}"}, "alerts.text: .* is not valid"),
        ({"link": "file:///etc/passwd"}, "alerts.link: the url is not valid"),
        ({"max_messages": 0}, "alerts.max_messages: 0 is not valid"),
    ],
)
def test_settings_that_cannot_work_are_errors(settings, said):
    with pytest.raises(InputError, match=said):
        AlertParameters(**settings)


def test_facts_name_what_a_person_wants_to_see():
    assert facts(make_message()) == [
        ("Device", "pump-1"),
        ("Sensors", "s"),
        ("Level", "low (priority 1)"),
        ("From", "2026-01-05T00:00:00Z"),
        ("To", "2026-01-05T00:05:00Z"),
        ("Peak", "1 at 2026-01-05T00:00:00Z"),
        ("Most unusual", "std"),
        ("Incident", "pump-1@0"),
    ]
    assert facts(storm(30)[-1])[0] == (
        "d00025: critical anomaly opened, s",
        "https://fleet.example.com/incidents/d00025%400",
    )
