"""Note each run, and write the workspace's metrics for node_exporter, where ``metrics.file`` asks for it."""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from batch_scoring.jobs.step_clock import StepClock
from batch_scoring.jobs.timing_hook import TIMINGS_FILE

logger = logging.getLogger(__name__)

# What is counted of the counts of a step, by their names in the catalog and there.
_COUNTS = {"readings_stored": ("ingest_counts", "stored"), "windows_scored": ("score_counts", "windows")}

# The settings of conf/base: nothing more is imported.
NO_METRICS = {"file": None}


class RunMetrics:
    """Measures the steps of a run. Without ``metrics.file`` it does nothing, nor in a job of a cluster.

    What goes wrong here is a warning: no run fails for its metrics.
    """

    def __init__(self) -> None:
        self._file: str | None = None
        self._began = datetime.now(UTC)
        self._clock = StepClock()

    @hook_impl
    def before_pipeline_run(self, catalog: CatalogProtocol[Any, Any]) -> None:
        """Start the clock."""
        values = catalog.load("params:metrics") if "params:metrics" in catalog else None
        self._file = None
        if values != NO_METRICS and values is not None and TIMINGS_FILE not in os.environ:
            from batch_scoring.core.parameters import read_parameters
            from batch_scoring.reporting.settings import MetricsParameters

            self._file = read_parameters(MetricsParameters, values, "metrics").file
        self._began, self._clock = datetime.now(UTC), StepClock()

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Start the clock of a step."""
        self._clock.start(node)

    @hook_impl(tryfirst=True)
    def after_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
        """Note a run that came to its end; one with shortfalls counts as failed."""
        if self._file:
            made = pipeline.all_outputs()
            names = {name for name, _ in _COUNTS.values()} & made
            counts = {name: catalog.load(name) for name in names}
            is_success = not any(one["shortfalls"] for one in counts.values())
            numbers = {key: counts[name][what] for key, (name, what) in _COUNTS.items() if name in counts}
            self._finish(catalog, is_success, numbers)

    @hook_impl
    def on_pipeline_error(self, catalog: CatalogProtocol[Any, Any]) -> None:
        """Note a run that failed."""
        if self._file:
            self._finish(catalog, False, {})

    def _finish(self, catalog: CatalogProtocol[Any, Any], is_success: bool, counts: dict[str, int]) -> None:
        from batch_scoring.reporting.last_run import LastRun, note
        from batch_scoring.reporting.prometheus import registry_of, write_textfile

        run = LastRun(self._began, datetime.now(UTC), is_success, self._clock.seconds(), counts)
        try:
            known = note(catalog.load("workspace"), run)
            write_textfile(self._file or "", registry_of(catalog.load, lambda: known))
        except Exception as error:
            logger.warning("metrics.file %r was not written: %s", self._file, error)
            logger.debug("metrics", exc_info=True)
