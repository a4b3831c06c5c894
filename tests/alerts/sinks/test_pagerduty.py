"""Events are as PagerDuty's documentation of its Events API, version 2, says."""

from __future__ import annotations

import json

import jsonschema
import pytest

from batch_scoring.alerts.settings import read_sinks
from batch_scoring.alerts.sinks.base import UnreachableError
from batch_scoring.core.errors import InputError
from tests.alerts.sinks.forms import EVERY, closed, opened, settings_of

_TEXT = {"type": "string", "minLength": 1}
# The documented fields: which there are, which must be there, and how long they may be.
EVENT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["routing_key", "event_action"],
    "properties": {
        "routing_key": {"type": "string", "minLength": 32, "maxLength": 32},
        "event_action": {"enum": ["trigger", "acknowledge", "resolve"]},
        "dedup_key": {"type": "string", "minLength": 1, "maxLength": 255},
        "payload": {
            "type": "object",
            "additionalProperties": False,
            "required": ["summary", "source", "severity"],
            "properties": {
                "summary": {"type": "string", "minLength": 1, "maxLength": 1024},
                "source": _TEXT,
                "severity": {"enum": ["critical", "error", "warning", "info"]},
                "timestamp": {"type": "string", "format": "date-time"},
                "component": {"type": "string"},
                "group": {"type": "string"},
                "class": {"type": "string"},
                "custom_details": {"type": "object"},
            },
        },
        "client": _TEXT,
        "client_url": {"type": "string", "pattern": "^https?://"},
        "links": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["href"],
                "additionalProperties": False,
                "properties": {"href": {"type": "string", "pattern": "^https?://"}, "text": _TEXT},
            },
        },
        "images": {"type": "array"},
    },
    "if": {"properties": {"event_action": {"const": "trigger"}}},
    "then": {"required": ["payload"]},
    "else": {"required": ["dedup_key"]},
}
KEY = "0123456789abcdef0123456789abcdef"


def event(message):
    settings = settings_of("pagerduty", routing_key_from="PD")
    return json.loads(settings.body({"PD": KEY, None: None}.__getitem__, message))


@pytest.mark.parametrize("kind", EVERY)
def test_an_event_has_the_documented_fields(kind):
    jsonschema.Draft202012Validator(EVENT).validate(event(EVERY[kind]))
    assert len(json.dumps(event(EVERY[kind]))) < 512_000


def test_the_end_of_an_incident_resolves_what_its_beginning_has_triggered():
    first, last = event(opened()), event(closed())
    assert (first["event_action"], last["event_action"]) == ("trigger", "resolve")
    assert first["dedup_key"] == last["dedup_key"] == "pump-1@0"
    assert first["payload"]["severity"] == "error"
    assert first["client_url"] == "https://fleet.example.com/incidents/pump-1%400"


def test_what_stands_for_many_is_as_severe_as_the_worst_and_an_alert_of_its_own():
    sent = event(EVERY["several"])
    assert sent["payload"]["severity"] == "critical"
    assert sent["dedup_key"].startswith("several-")
    assert sent["payload"]["summary"] == "100 more incidents opened"


def test_its_key_is_a_secret_by_name():
    (found,) = read_sinks([{"type": "pagerduty", "routing_key_from": "PD"}])
    sink = found.open({"PD": KEY, None: None}.get)
    assert sink.url() == "https://events.pagerduty.com/v2/enqueue"
    with pytest.raises(InputError, match="routing_key_from"):
        read_sinks([{"type": "pagerduty"}])

    def no_secret(name):
        raise UnreachableError(f"{name} is not set") if name else None

    with pytest.raises(UnreachableError, match="PD is not set"):
        found.body(no_secret, opened())
