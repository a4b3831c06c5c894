"""Say in words what an incident is: for the printed summary, the report page and the served pages."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from batch_scoring.core.text import cut, number, printable
from batch_scoring.incidents.expected import PLAIN_NAMES, expected_words
from batch_scoring.tables.schemas import FLEET_EVENT

FEATURES = {
    "mean": "level (mean)",
    "std": "spread (std)",
    "min": "lowest value (min)",
    "max": "highest value (max)",
    "range": "width (range)",
    "first": "first value (first)",
    "last": "last value (last)",
    "change": "rise or fall (change)",
    "count": "number of readings (count)",
    "diff_mean": "step (diff_mean)",
    "equal_run": "same value in a row (equal_run)",
    **PLAIN_NAMES,
}
# Longer names are cut where what counts must stay on a line of the terminal.
_NAME = 36


def feature_words(name: str) -> str:
    """Name a feature for a person, with its name in the tables."""
    return FEATURES.get(name, name.replace("_", " ")) if name else "–"


def lead_words(incident: Mapping[str, Any]) -> str:
    """Say what was most unusual in an incident, and what would have been usual.

    Parameters
    ----------
    incident : mapping
        A row of DEVICE_INCIDENTS.
    """
    sensor = f"{incident['peak_sensor']}, " if incident["n_sensors"] > 1 else ""
    return f"{sensor}{feature_words(incident['top_feature'])} {expected_words(incident)}".rstrip()


def listed_words(incident: Mapping[str, Any], is_over: bool, listed_as: float) -> str:
    """Say why an incident stands where it does, if not by its priority alone.

    Parameters
    ----------
    incident : mapping
        A row of DEVICE_INCIDENTS.
    is_over : bool
    listed_as : float
        As :func:`~batch_scoring.incidents.devices.listed_as` returns it.

    Examples
    --------
    >>> row = {"kind": "anomaly", "priority": 8.0}
    >>> listed_words(row, False, 24.0)
    'open: listed as 24'
    >>> listed_words(row, True, 8.0)
    ''
    """
    if write_severity(listed_as) == write_severity(incident["priority"]):
        return ""
    of_event = "over, counts as one of its devices"
    why = "open" if not is_over else of_event if incident["kind"] == FLEET_EVENT else "over for long"
    return f"{why}: listed as {write_severity(listed_as)}"


def brief(rank: int, incident: Mapping[str, Any], width: int) -> list[str]:
    """Say in two lines what an incident is, where, since when, how bad, and what was expected.

    Parameters
    ----------
    rank : int
        Its place in the list.
    incident : mapping
        A row of DEVICE_INCIDENTS.
    width : int
        Characters of a line. Long names and the last ones of several pieces of advice are left out.
    """
    head = f"  {rank:>3}. {incident['level']:<8} {write_severity(incident['priority']):>4}  "
    tail = f", {_when(incident)}{', warming up' if incident['warming_up'] else ''}"
    what = cut(_what(incident), max(width - len(head) - len(tail), 1))
    return [head + what + tail, "       " + _reason(incident, width - 7)]


def write_severity(severity: float) -> str:
    """Format a severity or a priority in two or three digits.

    Examples
    --------
    >>> [write_severity(x) for x in (0.123, 2.345, 61.6)]
    ['0.12', '2.3', '62']
    """
    return f"{severity:.{2 if severity < 1 else 1 if severity < 10 else 0}f}"


def _what(incident: Mapping[str, Any]) -> str:
    n, kind = incident["n_sensors"], incident["kind"]
    sensors = cut(printable(incident["sensors"][0]), _NAME) if n == 1 else number(n, "sensor")
    who = cut(printable(incident["device"]), _NAME) or f"{number(incident['n_devices'], 'device')} at once"
    if not kind.endswith("_silent"):
        return f"{who}, {sensors}"
    what = f"{who}, {sensors}" if kind == "sensor_silent" else who
    return f"{what}: silent for {_length(incident['end'] - incident['last_start'])}"


def _when(incident: Mapping[str, Any]) -> str:
    if incident["state"] == "open":
        return f"OPEN since {incident['start']:%Y-%m-%d %H:%M}"
    start, end = incident["start"], incident["end"]
    until = f"{end:%H:%M}" if start.date() == end.date() else f"{end:%Y-%m-%d %H:%M}"
    return f"over: {start:%Y-%m-%d %H:%M} to {until}"


def _reason(incident: Mapping[str, Any], width: int) -> str:
    """Say what was measured and expected, then the advice that has room, in whole sentences."""
    said = [piece for piece in printable(incident["advice"]).split(". ") if piece]
    if not incident["kind"].endswith("_silent"):
        leads = cut(printable(incident["peak_sensor"]), _NAME)
        said.insert(0, printable(lead_words({**incident, "peak_sensor": leads})))
    said = said or ["longer than the gaps it had before"]
    left_out: list[str] = []
    while len(said) > 1 and len("; ".join(said + left_out)) > width:
        said, left_out = said[:-1], ["…"]
    return textwrap.shorten("; ".join(said + left_out), width, placeholder=" …")


def _length(span: timedelta) -> str:
    """Format a duration in days and hours, or hours and minutes.

    Examples
    --------
    >>> [_length(timedelta(minutes=n)) for n in (150, 3960)]
    ['2 h 30 min', '2 d 18 h']
    """
    minutes = round(span.total_seconds() / 60)
    sizes = (("d", 1440), ("h", 60)) if minutes >= 2880 else (("h", 60), ("min", 1))
    (large, size), (small, part) = sizes
    found = [(minutes // size, large), (minutes % size // part, small)]
    return " ".join(f"{n} {unit}" for n, unit in found if n) or "0 min"


def when_words(incident: Mapping[str, Any], is_over: bool) -> str:
    """Say when an incident was, UTC: its day once; of one that is open, when its last window was.

    Parameters
    ----------
    incident : mapping
        A row of DEVICE_INCIDENTS.
    is_over : bool

    Examples
    --------
    >>> from datetime import datetime
    >>> row = {"start": datetime(2026, 3, 31, 8, 20), "end": datetime(2026, 3, 31, 9, 10), "kind": "anomaly"}
    >>> when_words(row, True)
    '31 Mar 2026, 08:20 to 09:10'
    >>> when_words(row | {"end": datetime(2026, 4, 1, 9, 10)}, False)
    'since 31 Mar 2026 08:20, last 1 Apr 2026 09:10'
    >>> when_words(row | {"kind": "sensor_silent"}, False)
    'since 31 Mar 2026 08:20'
    """
    start, end = incident["start"], incident["end"]
    first, last = (f"{at.day} {at:%b %Y %H:%M}" for at in (start, end))
    is_one_day = start.date() == end.date()
    if is_over:
        return f"{first[:-6]}, {first[-5:]} to {last[-5:]}" if is_one_day else f"{first} to {last}"
    if incident["kind"].endswith("_silent"):
        return f"since {first}"
    return f"since {first}, last {last[-5:] if is_one_day else last}"
