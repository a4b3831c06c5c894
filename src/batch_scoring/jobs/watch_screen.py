"""Draw a run on a terminal as a live table, with rich."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from batch_scoring.core.text import duration, number
from batch_scoring.jobs.specs import JobStatus, State
from batch_scoring.jobs.views import View, nodes_text, seconds_of

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

# What fits on a small terminal.
RUNNING_SHOWN, FAILED_SHOWN, LOG_LINES = 8, 5, 3
_BAR = 30
_COLOURS = {
    State.SUCCEEDED: "green",
    State.FAILED: "red",
    State.CANCELLED: "yellow",
    State.RUNNING: "cyan",
    State.PREPARING: "blue",
}


def screen(view: View, logs: Mapping[str, Sequence[str]], now: datetime) -> Group:
    """Compose the screen of a run.

    Parameters
    ----------
    view : View
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

    line, total, drawn = Text(), max(len(view.planned), 1), 0
    ends = (State.SUCCEEDED, State.FAILED, State.CANCELLED, State.RUNNING, State.PREPARING)
    done = 0
    for state in ends:
        done += view.counts.get(state, 0)
        cells = min(round(done / total * _BAR), _BAR)
        line.append("█" * (cells - drawn), _COLOURS[state])
        drawn = cells
    line.append("░" * (_BAR - drawn), "dim")
    for state_name, n in view.counts.items():
        colour = _COLOURS.get(State(state_name), "") if state_name in list(State) else ""
        line.append(f"  {n:,} {state_name}", colour)
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
