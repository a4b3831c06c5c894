"""Record each run in its workspace, also one that fails or is killed, for the page of the last runs."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline.node import Node

from batch_scoring.core.processes import host, process
from batch_scoring.jobs.step_clock import StepClock
from batch_scoring.jobs.timing_hook import TIMINGS_FILE
from batch_scoring.reporting.run_records import FAILED, SUCCEEDED, RunRecord, write_record
from batch_scoring.storage.workspace_format import MARKER

logger = logging.getLogger(__name__)

# What leaves out nodes, as Kedro calls it, and by its option.
_PARTS = {
    "tags": "tags",
    "from_nodes": "from-nodes",
    "to_nodes": "to-nodes",
    "node_names": "nodes",
    "from_inputs": "from-inputs",
    "to_outputs": "to-outputs",
    "namespaces": "namespaces",
}


class RunRecords:
    """Writes the record of a run at its start and at its end; jobs of a cluster have records of their own.

    What goes wrong here is logged: no run fails for its record.
    """

    def __init__(self) -> None:
        self._record: RunRecord | None = None
        self._clock = StepClock()

    @hook_impl(wrapper=True)
    def before_pipeline_run(
        self, run_params: dict[str, Any], catalog: CatalogProtocol[Any, Any]
    ) -> Generator[None, Any, Any]:
        """Record the start, once the settings have been checked; or that they were refused."""
        self._record, self._clock = None, StepClock()
        if TIMINGS_FILE not in os.environ and "workspace" in catalog:
            asked = _asked(run_params)
            self._record = RunRecord(datetime.now(UTC), asked, host=host(), process=process())
        try:
            result = yield
        except Exception as error:
            self._fail(catalog, error)
            raise
        self._write(catalog)
        return result

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Start the clock of a step."""
        self._clock.start(node)

    @hook_impl(wrapper=True)
    def after_pipeline_run(self, catalog: CatalogProtocol[Any, Any]) -> Generator[None, Any, Any]:
        """Record the end, and the shortfalls that another hook ends the run with."""
        self._clock_off()
        try:
            result = yield
        except Exception as error:
            self._fail(catalog, error)
            raise
        self._end(catalog, state=SUCCEEDED)
        return result

    @hook_impl
    def on_pipeline_error(self, error: Exception, catalog: CatalogProtocol[Any, Any]) -> None:
        """Record why a run failed, and in which step."""
        self._fail(catalog, error, self._clock.step)

    def _clock_off(self) -> None:
        if self._record is not None:
            self._record = replace(self._record, step_seconds=self._clock.seconds())

    def _fail(self, catalog: CatalogProtocol[Any, Any], error: Exception, step: str = "") -> None:
        from batch_scoring.core.failures import sentence_of
        from batch_scoring.core.redaction import without_keys

        self._clock_off()
        if self._record is not None:
            sentence = without_keys(str(sentence_of(error)))
            self._end(catalog, state=FAILED, failed_step=step, reason=sentence)

    def _end(self, catalog: CatalogProtocol[Any, Any], **how: Any) -> None:
        if self._record is not None:
            self._record = replace(self._record, ended=datetime.now(UTC), **how)
            self._write(catalog)

    def _write(self, catalog: CatalogProtocol[Any, Any]) -> None:
        if self._record is None:
            return
        try:
            workspace = catalog["workspace"].folder
            if workspace.entry(MARKER) is not None:  # a misspelt folder stays as it is
                write_record(workspace, self._record)
        except Exception as error:
            logger.info("this run is not recorded: %s", error)
            logger.debug("record of a run", exc_info=True)


def _asked(run_params: dict[str, Any]) -> tuple[str, ...]:
    """List the pipelines that a run was asked for, and the options that leave out a part of them."""
    parts = [f"--{option}={','.join(run_params.get(name) or ())}" for name, option in _PARTS.items()]
    missing = ["--only-missing-outputs"] if run_params.get("only_missing_outputs") else []
    named = run_params.get("pipeline_names") or ()
    return (*named, *(part for part in parts if not part.endswith("=")), *missing)
