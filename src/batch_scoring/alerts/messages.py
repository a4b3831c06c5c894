"""Write events as messages of plain JSON values: one each, or in a storm one for many."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from string import Template
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from batch_scoring.alerts.sinks.base import Message
from batch_scoring.core.moments import as_text
from batch_scoring.core.text import printable
from batch_scoring.incidents.evidence import LEVELS
from batch_scoring.incidents.expected import PLAIN_NAMES, expected_words
from batch_scoring.tables.arrow_arrays import as_rows
from batch_scoring.tables.schemas import NOTIFICATIONS

# The columns that say what became of an event, not what it is.
_OF_LEDGER = ("silenced_by", "sink", "message_id", "is_delivered")
EVENT = [name for name in NOTIFICATIONS.names if name not in _OF_LEDGER]
# What a template may name.
FIELDS = (*EVENT, "link")
# The change of a message that stands for many events, and how many of these it lists.
SEVERAL = "several"
LISTED = 20
# Sensors, and worst incidents, that a text names.
_NAMED = 3


@dataclass(frozen=True)
class Form:
    """How an event becomes a message.

    Attributes
    ----------
    link : str, optional
        Where people look at incidents; the page of one is at ``{link}/incidents/{id}``.
    title, text : str, optional
        Templates of :class:`string.Template` with the names FIELDS; else our own words.
    """

    link: str | None = None
    title: str | None = None
    text: str | None = None


OUR_WORDS = Form()


def message_of(rows: pa.Table, form: Form) -> Message:
    """Convert the events that one message carries.

    Parameters
    ----------
    rows : pyarrow.Table
        Schema NOTIFICATIONS, one row or more, of one ``message_id``.
    form : Form

    Returns
    -------
    dict
        Of one event: the columns EVENT, ``title``, a sentence ``text``, and ``link`` or None. Times are ISO
        8601 in UTC; a number that is not finite is None, and so is ``merged_into`` where it is empty.
        Of several: ``event_id`` (the id of the message), ``change`` ``"several"``, ``at``, ``n_events``,
        ``changes`` and ``levels`` (numbers by name), ``worst``, the messages of the worst events, title, text
        and link. ``events`` has the messages of all of them, for receivers that sort them out themselves.
    """
    events = [_of_event(row, form) for row in as_rows(rows.select(EVENT))]
    if len(events) == 1:
        return events[0]
    return _of_several(rows["message_id"][0].as_py(), events, form)


def facts(message: Message) -> list[tuple[str, str]]:
    """Name the facts of a message that a person wants to see, each with its value as text."""
    if message["change"] == SEVERAL:
        return [(one["title"], one["link"] or one["incident_id"]) for one in message["worst"]]
    severity = message["peak_severity"]
    found = {
        "Device": message["device"] or f"{message['n_devices']} devices",
        "Sensors": _named(message["sensors"], message["n_sensors"]),
        "Level": f"{message['level']} (priority {message['priority']:.3g})",
        "From": message["start"],
        "To": message["end"],
        "Peak": "" if not severity else f"{severity:.3g} at {message['peak_at']}",
        "Most unusual": "" if not severity else _led_by(message),
        "Advice": message["advice"],
        "Incident": message["incident_id"],
    }
    return [(name, printable(value)) for name, value in found.items() if value]


def is_over(message: Message) -> bool:
    """Whether nobody needs to look at the incident, or at any of several, any more."""
    return all(one["change"] in ("closed", "withdrawn") for one in one_by_one(message))


def one_by_one(message: Message) -> list[Message]:
    """Return the messages of the single events that a message stands for."""
    events: list[Message] = message["events"] if message["change"] == SEVERAL else [message]
    return events


def _of_event(row: dict[str, Any], form: Form) -> Message:
    message = {name: _plain(value) for name, value in row.items()}
    message |= {"merged_into": row["merged_into"] or None, "advice": row["advice"] or ""}
    link = form.link and f"{form.link.rstrip('/')}/incidents/{quote(row['incident_id'], safe='')}"
    message |= {"link": link}
    title = _filled(form.title, message) if form.title else _title(message)
    text = _filled(form.text, message) if form.text else _text(message)
    return message | {"title": title, "text": text}


def _of_several(name: str, events: list[Message], form: Form) -> Message:
    changes = Counter(one["change"] for one in events)
    levels = Counter(one["level"] for one in events if not is_over(one))
    worst = sorted(events, key=lambda one: (is_over(one), -one["priority"], one["event_id"]))[:LISTED]
    n_incidents = len({one["incident_id"] for one in events})
    title = f"{n_incidents:,} more incidents opened"
    if changes.keys() != {"opened"}:
        title = f"{len(events):,} more events of {n_incidents:,} incidents: {_counted(changes, changes)}"
    named = "; ".join(one["title"] for one in worst[:_NAMED])
    by_level = _counted(levels, LEVELS[::-1])
    text = ". ".join(
        filter(None, [title, f"By level: {by_level}" if by_level else "", f"The worst: {named}"])
    )
    return {
        "event_id": name,
        "change": SEVERAL,
        "at": max((one["at"] for one in events if one["at"]), default=None),
        "n_events": len(events),
        "n_incidents": n_incidents,
        "changes": dict(changes),
        "levels": {level: levels[level] for level in LEVELS if levels[level]},
        "worst": worst,
        "title": title,
        "text": text,
        "link": form.link and f"{form.link.rstrip('/')}/incidents",
        "events": events,
    }


def _counted(numbers: Counter[str], order: Any) -> str:
    return ", ".join(f"{numbers[name]:,} {name}" for name in order if numbers[name])


def _title(message: Message) -> str:
    who = message["device"] or f"{message['n_devices']} devices"
    what = message["kind"].replace("_", " ")
    about = _named(message["sensors"], message["n_sensors"])
    return printable(f"{who}: {message['level']} {what} {message['change']}, {about}")


def _text(message: Message) -> str:
    merged = f" (now part of {message['merged_into']})" if message["merged_into"] else ""
    waits = ", acknowledged by nobody" if message["change"] in ("overdue", "reminded") else ""
    advice = f". {message['advice']}" if message["advice"] else ""
    return printable(
        f"incident {message['incident_id']} {message['change']}{merged}{waits}: {message['level']}, "
        f"{_what(message)}, {message['start']} to {message['end']}, priority {message['priority']:.3g}"
        f"{advice}"
    )


def _named(names: list[str], n: int) -> str:
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {n - _NAMED} more" if n > _NAMED else shown


def _what(message: Message) -> str:
    """Say in words what an incident is about."""
    # Ids may be any text: quoted, a line break in one cannot forge a log line.
    sensors = _named(list(map(repr, message["sensors"])), message["n_sensors"])
    device, n_devices = f"device {message['device']!r}", message["n_devices"]
    severity = message["peak_severity"]
    peak = "beyond measure" if severity is None else format(severity, ".3g")
    return {
        "sensor_silent": f"{device} sends nothing from {sensors}",
        "device_silent": f"{device} sends nothing",
        "source_silent": f"most of {n_devices} devices send nothing",
        "fleet_event": f"{n_devices} devices at once, sensors {sensors}, severity {peak}",
        "outlier": f"{device}, a single window of {sensors}, severity {peak}, {_led_by(message)}",
    }.get(message["kind"], f"{device}, sensors {sensors}, severity {peak}, {_led_by(message)}")


def _led_by(message: Message) -> str:
    """Say which feature was most unusual, what it was and what would have been usual."""
    sensor = f"{message['peak_sensor']!r} " if message["n_sensors"] > 1 and message["peak_sensor"] else ""
    feature = PLAIN_NAMES.get(message["top_feature"], message["top_feature"])
    return f"{sensor}{feature} {expected_words(message)}".rstrip()


def _filled(template: str, message: Message) -> str:
    values = {
        name: printable(", ".join(value) if isinstance(value, list) else "" if value is None else str(value))
        for name, value in message.items()
    }
    return Template(template).substitute(values)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return as_text(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
