"""Watch a run until all its jobs have ended; it is shown on a terminal, in a log, or to a machine."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from batch_scoring.core.moments import as_text
from batch_scoring.core.text import duration, last_lines, number
from batch_scoring.jobs.run_view import RunMonitor
from batch_scoring.jobs.specs import JobStatus, State
from batch_scoring.jobs.views import View, changed, job_line, nodes_text, seconds_of, summary, view_json

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

# How long a run with unsubmitted jobs may stand still: the engine ``local`` takes seconds from one job to
# the next.
PATIENCE_SECONDS = 60.0
# What fits on a small terminal.
RUNNING_SHOWN, FAILED_SHOWN, LOG_LINES = 8, 5, 3
_BAR = 30
# In the order of the bar.
_COLOURS: dict[str, str] = {
    State.SUCCEEDED: "green",
    State.FAILED: "red",
    State.CANCELLED: "yellow",
    State.RUNNING: "cyan",
    State.PREPARING: "blue",
}


# Shows the changes since the view before; None for the first one.
Show = Callable[[View | None, View], None]


def follow(
    monitor: RunMonitor,
    show: Show,
    seconds: float,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> View:
    """Watch a run to its end.

    Parameters
    ----------
    show : callable
        Called with the view before, if there is one, and the view of each poll.
    seconds : float
        Between two polls.
    pause, clock : callable
        Of the time that passes.

    Returns
    -------
    View
        The last one. It is not over when nothing happened for a minute and jobs are still only planned: their
        scheduler is gone.
    """
    before: View | None = None
    last_change = clock()
    while True:
        view = monitor.view(with_nodes=True)
        if before is None or changed(before, view) or view.is_busy:
            last_change = clock()
        show(before, view)
        if view.is_over or clock() - last_change > PATIENCE_SECONDS:
            return view
        before = view
        pause(seconds)


def show_lines(before: View | None, view: View) -> None:
    """Print the run and its failed jobs at first, then a line per change, with the time."""
    now = datetime.now(UTC)
    found = changed(before, view)
    lines = []
    if before is None:
        lines.append(summary(view))
        found = [one for one in found if one.state is State.FAILED]
    lines += [job_line(job, now) for job in found]
    if view.nodes is not None and (before is None or before.nodes != view.nodes):
        lines.append(nodes_text(view.nodes))
    if before is not None and view.is_over:
        lines.append(summary(view))
    for line in lines:
        click.echo(f"{as_text(now.replace(microsecond=0))} {line}")


def show_json(before: View | None, view: View) -> None:
    """Print a JSON object per change, at first all jobs: ``{"job": …}``, then ``{"run": …}``."""
    found = changed(before, view)
    for job in found:
        click.echo(json.dumps({"job": job.to_json()}, ensure_ascii=False))
    if found or before is None or before.nodes != view.nodes:
        click.echo(json.dumps({"run": view_json(view)}, ensure_ascii=False))


class Screen:
    """A live table on the terminal, from the beginning to the end of a ``with`` block."""

    def __init__(self, monitor: RunMonitor) -> None:
        from rich.live import Live

        self._monitor = monitor
        self._logs: dict[str, list[str]] = {}
        self._view: View | None = None
        self._live = Live(get_renderable=self._draw, refresh_per_second=2)

    def __enter__(self) -> Screen:
        """Start drawing."""
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last table on the terminal."""
        self._live.stop()

    def show(self, before: View | None, view: View) -> None:
        """Draw the run, with the last log lines of failed jobs."""
        shown = view.failed[:FAILED_SHOWN]
        self._logs = {one.name: self._logs.get(one.name) or self._last_lines(one) for one in shown}
        self._view = view
        self._live.refresh()

    def _last_lines(self, job: JobStatus) -> list[str]:
        """Read the end of a job's log, without the line that is its reason."""
        lines = last_lines(self._monitor.log(job.name), LOG_LINES + 1)
        return [line for line in lines if not job.reason or job.reason not in line][-LOG_LINES:]

    def _draw(self) -> Group | str:
        return screen(self._view, self._logs, datetime.now(UTC)) if self._view else ""


def screen(view: View, logs: Mapping[str, Sequence[str]], now: datetime) -> Group:
    """Compose the screen of a run.

    Parameters
    ----------
    logs : mapping of str to sequence of str
        The last log lines of failed jobs.
    now : datetime
        UTC; running jobs are timed by it.
    """
    from rich.console import Group
    from rich.text import Text

    head = Text.assemble((view.run, "bold"), f" on {view.backend}, {number(len(view.planned), 'job')}")
    parts: list[Text | Table] = [head]
    if view.nodes is not None:
        parts.append(Text(nodes_text(view.nodes)))
    parts.append(_progress(view))
    running = view.slowest(now, RUNNING_SHOWN)
    if running:
        parts += [Text(), _running(running, view.counts.get(State.RUNNING, 0), now)]
    failed = view.failed
    if failed:
        parts += [Text(), *_failed(failed, logs)]
    return Group(*parts)


def _progress(view: View) -> Text:
    """Draw the jobs by state as a bar, with their counts."""
    from rich.text import Text

    line, total, done, drawn = Text(), max(len(view.planned), 1), 0, 0
    for state, colour in _COLOURS.items():
        done += view.counts.get(state, 0)
        cells = min(round(done / total * _BAR), _BAR)
        line.append("█" * (cells - drawn), colour)
        drawn = cells
    line.append("░" * (_BAR - drawn), "dim")
    for state_name, n in view.counts.items():
        line.append(f"  {n:,} {state_name}", _COLOURS.get(state_name, ""))
    return line


def _running(jobs: Sequence[JobStatus], total: int, now: datetime) -> Table:
    from rich.table import Table

    more = f" (the slowest of {total:,})" if total > len(jobs) else ""
    table = Table(f"running{more}", "for", "on", box=None, pad_edge=False, header_style="dim")
    table.columns[1].justify = "right"
    for job in jobs:
        seconds = seconds_of(job, now)
        table.add_row(job.name, "" if seconds is None else duration(seconds), job.node)
    return table


def _failed(jobs: Sequence[JobStatus], logs: Mapping[str, Sequence[str]]) -> list[Text]:
    from rich.text import Text

    more = f" (the latest {FAILED_SHOWN} of {len(jobs):,})" if len(jobs) > FAILED_SHOWN else ""
    lines = [Text(f"failed{more}", "dim")]
    for job in jobs[:FAILED_SHOWN]:
        lines.append(Text.assemble((job.name, _COLOURS[job.state]), f"  {job.reason}"))
        lines += [
            Text(f"  {line}", "dim", overflow="ellipsis", no_wrap=True) for line in logs.get(job.name, ())
        ]
    return lines
