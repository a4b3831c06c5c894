"""Fill the templates: words, numbers and times as a person reads them; every text is escaped."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from batch_scoring.core.text import number as count_words
from batch_scoring.jobs.records import Records
from batch_scoring.reporting.incident_words import (
    feature_words,
    lead_words,
    listed_words,
    when_words,
    write_severity,
)
from batch_scoring.reporting.page import write_json
from batch_scoring.reporting.run_records import RunRecord
from batch_scoring.server.access import Access
from batch_scoring.server.registry import Registry
from batch_scoring.server.workspace import Workspace

# The first ones are those of the report page. In the order of their dependencies.
_OF_REPORT = ("format.js", "chart_drawing.js", "chart.js")
_OWN = ("refresh.js", "fleet_map.js", "panels.js", "start.js")


def text_of(name: str, package: str = "batch_scoring.server") -> str:
    """Read a file of the assets."""
    return (files(package) / "assets" / name).read_text(encoding="utf-8")


@cache
def asset(name: str) -> str:
    """Return the script or style of all pages, grown out of those of the report page."""
    report = "batch_scoring.reporting"
    if name == "fleet.css":
        return text_of("page.css", report) + text_of("server.css")
    parts = [text_of(one, report) for one in _OF_REPORT] + [text_of(one) for one in _OWN]
    return '"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n"


@cache
def asset_url(name: str) -> str:
    """Return the URL of a script or style; it changes with its content, so browsers may keep it."""
    digest = hashlib.sha256(asset(name).encode()).hexdigest()[:12]
    stem, _, kind = name.partition(".")
    return f"/assets/{stem}-{digest}.{kind}"


@dataclass(frozen=True)
class Site:
    """What handlers share.

    Attributes
    ----------
    workspace : Workspace
    access : Access
        Who may look.
    registry : Registry
        Versions of the models.
    records : Records
        Runs of jobs.
    metrics : callable, optional
        Writes the metrics of the workspace as Prometheus reads them.
    runs : callable, optional
        Reads what runs on one machine have recorded, the last one first.
    """

    workspace: Workspace
    access: Access
    registry: Registry
    records: Records
    metrics: Callable[[], bytes] | None = None
    runs: Callable[[], Sequence[RunRecord]] = tuple


def site_of(request: Request) -> Site:
    """Return what the handlers of an application share."""
    site: Site = request.app.state.site
    return site


def render(request: Request, template: str, status: int = 200, data: Any = None, **values: Any) -> Response:
    """Fill a template.

    Parameters
    ----------
    request : Request
    template : str
    status : int
    data : JSON values, optional
        For the scripts of the page.
    **values
        For the template.
    """
    site = site_of(request)
    shared = {
        "path": request.url.path,
        "query": request.query_params,
        "csrf": request.state.csrf,
        "who": request.state.who,
        "has_names": not site.access.proxy_header,
        "may_act": request.state.may_act,
        "is_signed_in": site.access.sessions.has(request.state.session),
        "workspace": site.workspace.name,
        "version": site.workspace.version(),
        "script": asset_url("fleet.js"),
        "style": asset_url("fleet.css"),
        "data": Markup(write_json({} if data is None else data)),
    }
    return HTMLResponse(_environment().get_template(template).render({**shared, **values}), status)


def url(path: str, /, **values: Any) -> str:
    """Make a URL of a path and what is asked for; empty values are left out.

    Examples
    --------
    >>> url("/device", id="a/b&c", sensor="")
    '/device?id=a%2Fb%26c'
    """
    asked = {name.rstrip("_"): value for name, value in values.items() if value not in ("", None)}
    return f"{path}?{urlencode(asked)}" if asked else path


def with_query(request: Request, **values: Any) -> str:
    """Make the URL of this view with some values changed; empty ones are left out."""
    changed = {name.rstrip("_"): value for name, value in values.items()}
    asked = {**dict(request.query_params), **changed}
    return url(request.url.path, **asked)


def as_time(us: int | None) -> str:
    """Format a time, microseconds since the epoch, for a URL.

    Examples
    --------
    >>> as_time(1_768_212_000_000_000)
    '2026-01-12T10:00:00Z'
    """
    if us is None:
        return ""
    return datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(value: datetime | float | str | None) -> str:
    """Format a time, UTC: a datetime, ISO 8601, or seconds since the epoch."""
    if value is None or value == "":
        return "–"
    if isinstance(value, str):
        value = datetime.fromisoformat(value).astimezone(UTC)
    at = value if isinstance(value, datetime) else datetime.fromtimestamp(value, UTC)
    return f"{at.day} {at:%b %Y %H:%M}"


def _day(value: float) -> str:
    """Format the day of a time, seconds since the epoch, UTC."""
    at = datetime.fromtimestamp(value, UTC)
    return f"{at.day} {at:%b %Y}"


def _age(value: float) -> str:
    """Say how long ago a time was, seconds since the epoch; nothing within an hourly run or two."""
    seconds = datetime.now(UTC).timestamp() - value
    if seconds < _FRESH_S:
        return ""
    size, name = next((one for one in _AGES if seconds >= 2 * one[0]), _AGES[-1])
    return f"{seconds // size:.0f} {name} old"


def _seconds(value: float | None) -> str:
    """Format a duration.

    Examples
    --------
    >>> [_seconds(value) for value in (None, 0.04, 7.26, 754.0, 7320.0)]
    ['–', '0.04 s', '7.3 s', '12 min 34 s', '2 h 2 min']
    """
    if value is None:
        return "–"
    if value < 60:
        return f"{value:.2g} s"
    minutes, seconds = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def _number(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.4g}".replace("-", "−")


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.2f} %" if whole else "–"


_FRESH_S = 3 * 3600
_AGES = ((30.44 * 86400, "months"), (86400, "days"), (3600, "hours"))
_KINDS = {
    "anomaly": "Anomaly",
    "fleet_event": "Many devices at once",
    "sensor_silent": "Sensor silent",
    "device_silent": "Device silent",
    "source_silent": "Source silent",
    "outlier": "Outlier",
    "true_event": "True fault",
    "false_alarm": "False alarm",
    "accepted": "Accepted as new normal",
}


def _named(names: Mapping[str, str], name: str) -> str:
    return names.get(name, name.replace("_", " "))


@cache
def _environment() -> Environment:
    found = Environment(
        loader=FunctionLoader(text_of),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals |= {"url": url, "as_time": as_time}
    found.filters |= {
        "moment": _moment,
        "day": _day,
        "age": _age,
        "number": _number,
        "seconds": _seconds,
        "severity": write_severity,
        "count": lambda n: f"{n:,}",
        "plural": count_words,
        "feature": feature_words,
        "kind": lambda name: _named(_KINDS, name),
        "worst": lead_words,
        "when": lambda row: when_words(row, row["is_over"]),
        "listed": lambda row: listed_words(row, row["is_over"], row["listed_as"]),
        "part_of": _percent,
    }
    return found
