"""Offer the measures of a workspace to Prometheus: as a registry, or as a file for node_exporter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch_scoring.core.errors import InputError
from batch_scoring.reporting.metrics import PREFIX, TABLES, Family, Load, measure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import CollectorRegistry
    from prometheus_client.core import GaugeMetricFamily

ReadRun = Callable[[], Mapping[str, Any] | None]


def registry_of(load: Load, read_run: ReadRun = lambda: None) -> CollectorRegistry:
    """Return a registry that measures a workspace whenever it is collected.

    Parameters
    ----------
    load : callable
        See :func:`~batch_scoring.reporting.metrics.measure`; such as ``catalog.load``.
    read_run : callable, optional
        Gives what is known of the last run.

    Raises
    ------
    InputError
        When ``prometheus_client`` is not installed.
    """
    try:
        from prometheus_client import CollectorRegistry
    except ImportError:
        raise InputError("prometheus-client is not installed; pip install 'batch_scoring[metrics]'") from None
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(load, read_run))
    return registry


def write_textfile(path: str | Path, registry: CollectorRegistry) -> None:
    """Write what a registry collects to a file for node_exporter; it appears whole or not at all."""
    from prometheus_client import write_to_textfile

    write_to_textfile(str(path), registry)


class _Collector:
    """Measures a workspace anew where one of its tables, or the last run, has changed."""

    def __init__(self, load: Load, read_run: ReadRun) -> None:
        self._load = load
        self._read_run = read_run
        self._seen: Any = None
        self._families: list[Family] = []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        from prometheus_client.core import GaugeMetricFamily

        for one in self._measured():
            family = GaugeMetricFamily(f"{PREFIX}{one.name}", one.help, labels=one.labels)
            for labels, value in one.samples:
                family.add_metric(labels, value)
            yield family

    def _measured(self) -> list[Family]:
        tables, run = {name: self._load(name) for name in TABLES}, self._read_run()
        seen = ({name: table.position for name, table in tables.items()}, run)
        # A silence may end without a change of any table.
        if seen != self._seen or tables["silences"].exists:
            self._families = measure(lambda name: tables.get(name, self._load(name)), run)
            self._seen = seen
        return self._families
