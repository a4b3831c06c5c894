"""What a job's ``kedro run`` took, by what it did, in the file that ``BATCH_SCORING_TIMINGS`` names.

``start`` is the time from the start of the process to its first node. ``read``, ``score`` (of a training
``fit``) and ``write`` are the times spent in each; they go on at once in threads of their own, so their sum
may be more than the whole. Without the variable nothing here is registered with Kedro.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl

from batch_scoring.core.stopwatch import stopwatch

TIMINGS_FILE = "BATCH_SCORING_TIMINGS"


class JobTimings:
    """Writes the file when the run ends, also when it fails.

    Parameters
    ----------
    path : path
        The file.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self._start: float | None = None
        self._loading: dict[str, float] = {}
        stopwatch.start()

    @hook_impl
    def before_node_run(self) -> None:
        """Note how long it took to come here."""
        if self._start is None:
            self._start = seconds_since_process_start()

    @hook_impl
    def before_dataset_loaded(self, dataset_name: str) -> None:
        """Note when an input is asked for."""
        self._loading[dataset_name] = time.perf_counter()

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str) -> None:
        """Listing files and opening models is reading, too."""
        stopwatch.add("read", time.perf_counter() - self._loading.pop(dataset_name, time.perf_counter()))

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Write what it took."""
        self._write()

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Write what it took until then."""
        self._write()

    def _write(self) -> None:
        seconds = {} if self._start is None else {"start": self._start}
        seconds |= stopwatch.seconds
        told = {
            "seconds": {name: round(value, 3) for name, value in seconds.items()},
            "counts": stopwatch.counts,
        }
        self._path.write_text(json.dumps(told), encoding="utf-8")


def hooks() -> tuple[Any, ...]:
    """The hooks, where the variable is set."""
    path = os.environ.get(TIMINGS_FILE)
    return (JobTimings(path),) if path else ()


def seconds_since_process_start() -> float | None:
    """How long this process has been there, to a hundredth; None where the system does not tell."""
    try:
        # The name of the program is in parentheses and may hold spaces and parentheses itself.
        fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        since_boot = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(time.CLOCK_BOOTTIME) - since_boot
    except (OSError, AttributeError, ValueError):
        return None
