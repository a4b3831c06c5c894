"""Record how long a job's ``kedro run`` took, by step, in the file that ``BATCH_SCORING_TIMINGS`` names.

``start`` is the time from the start of the process to its first node. ``read``, ``score`` (of a training
``fit``) and ``write`` are the times spent in each; they overlap in threads of their own, so their sum may
exceed the total. Without the variable no hook is registered.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl

from batch_scoring.core.processes import start_ticks
from batch_scoring.core.stopwatch import stopwatch

TIMINGS_FILE = "BATCH_SCORING_TIMINGS"


class JobTimings:
    """Hook that writes the timings to a file when the run ends, also when it fails."""

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self._start: float | None = None
        self._loading: dict[str, float] = {}
        stopwatch.start()

    @hook_impl
    def before_node_run(self) -> None:
        """Record the start-up time."""
        if self._start is None:
            self._start = seconds_since_process_start()

    @hook_impl
    def before_dataset_loaded(self, dataset_name: str) -> None:
        """Start the clock of an input."""
        self._loading[dataset_name] = time.perf_counter()

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str) -> None:
        """Add the time of an input to ``read``; listing files and opening models count too."""
        stopwatch.add("read", time.perf_counter() - self._loading.pop(dataset_name, time.perf_counter()))

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Write the timings."""
        self._write()

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Write the timings up to the failure."""
        self._write()

    def _write(self) -> None:
        seconds = {} if self._start is None else {"start": self._start}
        seconds |= stopwatch.seconds
        timings = {
            "seconds": {name: round(value, 3) for name, value in seconds.items()},
            "counts": stopwatch.counts,
        }
        self._path.write_text(json.dumps(timings), encoding="utf-8")


def hooks() -> tuple[Any, ...]:
    """Return the hook where the variable is set."""
    path = os.environ.get(TIMINGS_FILE)
    return (JobTimings(path),) if path else ()


def seconds_since_process_start() -> float | None:
    """Return the age of this process in seconds, to a hundredth; None where the system does not report it."""
    if sys.platform != "linux":
        return None
    try:
        since_boot = start_ticks("self") / os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(time.CLOCK_BOOTTIME) - since_boot
    except (OSError, ValueError):
        return None
