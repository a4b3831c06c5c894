"""Read the settings of alerts and of their sinks: ``params:alerts``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from string import Template
from typing import Any, Literal

from batch_scoring.alerts.changes import Pace, Wanted
from batch_scoring.alerts.messages import FIELDS, Form
from batch_scoring.alerts.post import check_url
from batch_scoring.alerts.sinks import TYPES
from batch_scoring.alerts.sinks.base import WHERE, SinkSettings
from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import read_parameters, require


@dataclass(frozen=True)
class AlertParameters:
    """``params:alerts``; see conf/base/parameters_alerts.yml."""

    max_age: timedelta = timedelta(days=1)
    min_level: Literal["low", "medium", "high", "critical"] = "low"
    outliers: bool = False
    warming_up: bool = False
    escalate_after: timedelta | None = None
    remind_every: timedelta | None = None
    max_messages: int = 20
    link: str | None = None
    title: str | None = None
    text: str | None = None
    time_limit: timedelta = timedelta(minutes=1)
    sinks: tuple[dict[str, Any], ...] = ({"type": "log"},)

    def __post_init__(self) -> None:
        some, longer = timedelta(0), "a duration longer than 0, such as '4h', or null for never"
        checks = {
            "max_messages": (self.max_messages >= 1, "1 or more"),
            "time_limit": (self.time_limit > some, "a duration longer than 0, such as '1m'"),
            "escalate_after": (self.escalate_after is None or self.escalate_after > some, longer),
            "remind_every": (self.remind_every is None or self.remind_every > some, longer),
        }
        require(self, "alerts", checks)
        if self.link is not None:
            check_url(self.link, "alerts.link")
        for name in ("title", "text"):
            _check_template(getattr(self, name), f"alerts.{name}")
        read_sinks(self.sinks)

    @property
    def wanted(self) -> Wanted:
        """Return which incidents are notified."""
        return Wanted(self.min_level, self.outliers, self.warming_up)

    @property
    def pace(self) -> Pace:
        """Return how often an incident that nobody has acknowledged is notified again."""
        return Pace(self.escalate_after, self.remind_every)

    @property
    def form(self) -> Form:
        """Return how an event becomes a message."""
        return Form(self.link, self.title, self.text)


def read_sinks(values: Iterable[Any]) -> tuple[SinkSettings, ...]:
    """Read the settings of all sinks.

    Raises
    ------
    InputError
        On a type or setting that does not exist, a value of the wrong type, or a name given twice.

    Examples
    --------
    >>> read_sinks([{"type": "file", "path": "alerts.jsonl"}])
    (Settings(path='alerts.jsonl', type='file', name='file'),)
    """
    sinks: list[SinkSettings] = []
    for place, value in enumerate(values, 1):
        kind = value.get("type") if isinstance(value, Mapping) else None
        if kind not in TYPES:
            raise InputError(f"{WHERE}: sink {place} has the type {kind!r}; known are {', '.join(TYPES)}")
        settings = import_module(f"batch_scoring.alerts.sinks.{kind}").Settings
        sinks.append(read_parameters(settings, value, f"{WHERE}: sink {place}"))
    names = [sink.name for sink in sinks]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{WHERE}: two sinks are called {name!r}; give each its own name")
    return tuple(sinks)


def _check_template(text: str | None, where: str) -> None:
    if text is None:
        return
    template = Template(text)
    if not template.is_valid():
        raise InputError(
            f"{where}: {text!r} is not valid; expected names such as $device, and $$ for a dollar"
        )
    unknown = sorted(set(template.get_identifiers()) - set(FIELDS))
    if unknown:
        raise InputError(
            f"{where}: there is no ${unknown[0]}; known are {', '.join(f'${n}' for n in FIELDS)}"
        )
