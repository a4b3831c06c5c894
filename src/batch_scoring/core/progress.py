"""Show the progress of what takes long: a bar on a terminal, log lines elsewhere."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from batch_scoring.core.streams import is_terminal

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 10.0
# What is done sooner shows nothing.
SECONDS_BEFORE_LOOKS, SECONDS_BETWEEN_LOOKS = 2.0, 0.5


@contextmanager
def show_progress(title: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Give a function to call with the number of units done.

    Parameters
    ----------
    title : str
        What is done, such as ``train: sensor 'power'``.
    total : int
        Units to do, at most.
    unit : str
        In the plural, such as ``windows``.
    """
    if is_terminal():
        from rich.console import Console
        from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

        columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(title, total=total)
            yield lambda done: bar.update(task, completed=done)
        return
    last_line = time.monotonic()

    def line(done: int) -> None:
        nonlocal last_line
        if done < total and time.monotonic() - last_line >= SECONDS_BETWEEN_LINES:
            last_line = time.monotonic()
            logger.info("%s: %s of %s %s", title, f"{done:,}", f"{total:,}", unit)

    yield line


@contextmanager
def watch_progress(title: str, total: int, unit: str, done: Callable[[], int]) -> Iterator[None]:
    """Show the progress of a block that takes long calls, by looking at it from another thread.

    Parameters
    ----------
    title, total, unit
        As of :func:`show_progress`.
    done : callable
        Returns the number of units done; called from another thread. A lower number than before is not shown.
    """
    ended = Event()

    def look() -> None:
        if ended.wait(SECONDS_BEFORE_LOOKS):
            return
        most = 0
        with show_progress(title, total, unit) as show:
            while not ended.wait(SECONDS_BETWEEN_LOOKS):
                # A count that starts again, as of a query that has just ended, does not move a bar back.
                most = max(most, done())
                show(most)

    watcher = Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
