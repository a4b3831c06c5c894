"""Read the settings of the alert sinks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from batch_scoring.alerts.sinks import TYPES
from batch_scoring.alerts.sinks.base import WHERE, SinkSettings
from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import read_parameters


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
