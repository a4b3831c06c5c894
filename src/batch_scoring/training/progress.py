"""Show the progress of a training: a bar on a terminal, log lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def show_progress(sensor: str, total: int) -> Iterator[Callable[[int], None]]:
    """Give a function to call with the number of windows done.

    Parameters
    ----------
    sensor : str
        Whose models are trained.
    total : int
        Windows to train on, at most.
    """
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

        columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(f"training {sensor!r}", total=total)
            yield lambda done: bar.update(task, completed=done)
        return
    last_line = time.monotonic()

    def line(done: int) -> None:
        nonlocal last_line
        if done < total and time.monotonic() - last_line >= SECONDS_BETWEEN_LINES:
            last_line = time.monotonic()
            logger.info("train: sensor %r: %d of %d windows", sensor, done, total)

    yield line
