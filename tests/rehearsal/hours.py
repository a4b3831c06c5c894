"""The three hours of the rehearsal: one as it should be, one with a lost node, one that fires twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from batch_scoring.jobs.records import JobRecord, Records
from batch_scoring.jobs.specs import State

_PATIENCE_SECONDS = 900.0  # of a machine with other work


class Run(Protocol):
    """A firing of a scheduler, whichever it is."""

    name: str
    status: str
    error: Any

    def wait(self, seconds: float) -> None:
        """Until it has ended."""


class Scheduler(Protocol):
    """What fires: a workflow, or a cron."""

    runs: list[Run]
    called: str

    def fire(self, at: datetime) -> Run:
        """Begin a run for a scheduled time."""


@dataclass(frozen=True)
class Hour:
    """What came of one scheduled time."""

    at: datetime
    called: str
    runs: tuple[Run, ...]
    records: tuple[JobRecord, ...]

    @property
    def note(self) -> str:
        """In words."""
        jobs, attempts = len(self.records), sum(one.attempt for one in self.records)
        states = ", ".join(sorted({run.status for run in self.runs}))
        fired = f"{len(self.runs)} runs of {self.called}" if len(self.runs) > 1 else self.called
        slowest = max((one.ended - one.started).total_seconds() for one in self.records)
        return f"{fired}: {states}; {jobs} jobs, {attempts} starts, the slowest {slowest:.1f} s"


def play(app: Scheduler, records: Records, at: datetime, run: str, times: int = 1) -> Hour:
    """Have the scheduler fire so many times for an hour, and wait for the end of all."""
    runs = tuple(app.fire(at) for _ in range(times))
    for one in runs:
        one.wait(_PATIENCE_SECONDS)
    failed = [one for one in runs if one.status != "Succeeded"]
    if failed:
        raise RuntimeError(f"{app.called} of {at:%H:%M} failed: {failed[0].error}")
    found = records.all_records(run)
    if not found or any(one.state is not State.SUCCEEDED for one in found.values()):
        raise RuntimeError(f"{run}: {found}")
    return Hour(at, app.called, runs, tuple(found.values()))


def in_the_background(act: Callable[[], bool]) -> threading.Thread:
    """Try something until it is done; the thread ends then."""

    def keep_trying() -> None:
        until = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < until and not act():
            time.sleep(0.01)

    thread = threading.Thread(target=keep_trying, daemon=True)
    thread.start()
    return thread
