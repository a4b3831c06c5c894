"""Leave the status of a run where Kedro-Viz looks for it, without importing Kedro-Viz.

Kedro-Viz's own hooks import pandas to measure datasets, and record whole runs only: ``settings`` has switched
them off.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.pipeline.node import Node

from batch_scoring.jobs.timing_hook import TIMINGS_FILE
from batch_scoring.storage import open_folder

FOLDER, FILE = ".viz", "kedro_pipeline_events.json"
logger = logging.getLogger(__name__)


class RunStatus:
    """Writes what became of the last run into the project, as Kedro-Viz 12 reads it.

    No run fails for it: what goes wrong is logged.
    """

    def __init__(self) -> None:
        self._project: Path | None = None
        self._start = ""
        self._began: dict[str, float] = {}
        self._last: Node | None = None
        self._nodes: dict[str, dict[str, Any]] = {}
        self._datasets: dict[str, dict[str, Any]] = {}

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any]) -> None:
        """Begin, if the run is one of a project: a packaged one has no picture."""
        project = Path(run_params["project_path"])
        self._project = project if (project / "pyproject.toml").exists() else None
        self._start, self._began, self._last = _now(), {}, None
        self._nodes, self._datasets = {}, {}

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Start the clock of a node."""
        self._began[node.name], self._last = time.perf_counter(), node

    @hook_impl
    def after_node_run(self, node: Node) -> None:
        """Note how long a node took."""
        self._note(node)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, node: Node) -> None:
        """Note how long a node took that yields its tables piece by piece, and the dataset."""
        self._note(node)
        self._datasets[dataset_name] = _dataset("after_dataset_saved", dataset_name)

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str) -> None:
        """Note a dataset."""
        self._datasets.setdefault(dataset_name, _dataset("after_dataset_loaded", dataset_name))

    @hook_impl
    def on_node_error(self, node: Node) -> None:
        """Note which node failed."""
        self._last = node

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """Write why the run failed, and in which node: what it yields may fail after it has returned."""
        if self._last is not None:
            self._nodes[self._last.name] = {"event": "on_node_error", **_of(self._last), **_why(error)}
        self._end("on_pipeline_error", **_why(error))

    @hook_impl(wrapper=True)
    def after_pipeline_run(self) -> Generator[None, Any, Any]:
        """Write that the run has ended; another hook may raise what it fell short of."""
        try:
            result = yield
        except Exception as error:
            self._end("on_pipeline_error", **_why(error))
            raise
        self._end("after_pipeline_run")
        return result

    def _note(self, node: Node) -> None:
        seconds = time.perf_counter() - self._began[node.name]
        ended = {"event": "after_node_run", "status": "success", "duration": seconds}
        self._nodes[node.name] = {**ended, **_of(node)}

    def _end(self, event: str, **more: str) -> None:
        if self._project is None or not self._nodes:  # ParallelRunner's nodes are noted in other processes
            return
        begin, end = {"event": "before_pipeline_run", "timestamp": self._start}, {"event": event, **more}
        events = [begin, *self._datasets.values(), *self._nodes.values(), {**end, "timestamp": _now()}]
        try:
            with open_folder(str(self._project / FOLDER)).writing(FILE) as file:
                file.write(json.dumps(events, indent=1).encode())
        except Exception as error:
            logger.debug("the status of this run is not kept for Kedro-Viz: %s", error)


def _dataset(event: str, name: str) -> dict[str, str]:
    return {"event": event, "dataset": name, "node_id": _digest(name), "status": "Available"}


def _of(node: Node) -> dict[str, str]:
    return {"node": node.name, "node_id": _digest(str(node))}


def _digest(name: str) -> str:
    """Return the id of a node or dataset in Kedro-Viz."""
    return hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()[:8]


def _why(error: Exception) -> dict[str, str]:
    from batch_scoring.core.failures import sentence_of
    from batch_scoring.core.redaction import without_keys

    return {"error": without_keys(str(sentence_of(error))), "traceback": ""}


def _now() -> str:
    return datetime.now(UTC).isoformat()


def hooks() -> tuple[Any, ...]:
    """Return the hook, except in jobs of a cluster: nobody looks at one as a run."""
    return () if TIMINGS_FILE in os.environ else (RunStatus(),)
