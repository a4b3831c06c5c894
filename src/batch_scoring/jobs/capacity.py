"""Notice that waiting jobs get no nodes: say why, and give up after a while."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from batch_scoring.core.errors import CapacityError
from batch_scoring.core.text import duration
from batch_scoring.jobs.backends.base import Backend
from batch_scoring.jobs.specs import JobStatus, State

# Between two questions to the engine, which are asked only while nothing runs.
SECONDS_BETWEEN_LOOKS = 30.0


class CapacityWatch:
    """Watches a run that waits for nodes.

    Parameters
    ----------
    backend : Backend
    run : str
    patience : timedelta
        From the first trouble, while no job begins or ends.
    say : callable
        Called with a sentence for each new trouble.
    clock : callable
        Seconds of the time that passes.
    """

    def __init__(
        self,
        backend: Backend,
        run: str,
        patience: timedelta,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._backend, self._run, self._patience = backend, run, patience.total_seconds()
        self._say, self._clock = say, clock
        self._began = datetime.now(UTC)
        self._waiting = -1
        self._looked = self._troubled = float("-inf")
        self._said = ""

    def look(self, statuses: Sequence[JobStatus]) -> None:
        """Ask the engine for trouble where jobs wait and none runs.

        Raises
        ------
        CapacityError
            When there has been trouble for too long; the jobs stay where they are.
        """
        now = self._clock()
        waiting = sum(one.state is State.QUEUED for one in statuses)
        runs = any(one.state in (State.RUNNING, State.PREPARING) for one in statuses)
        if runs or waiting != self._waiting:
            self._waiting, self._troubled = waiting, float("-inf")
        if runs or not waiting or now - self._looked < SECONDS_BETWEEN_LOOKS:
            return
        self._looked = now
        trouble = self._backend.trouble(self._began)
        if trouble is None:
            return
        if self._troubled == float("-inf"):
            self._troubled = now
        if trouble != self._said:
            self._said = trouble
            self._say(f"{self._run}: {waiting:,} jobs wait and none runs: {trouble}")
        if now - self._troubled >= self._patience:
            raise CapacityError(
                f"{self._run}: no job has begun for {duration(now - self._troubled)}: {trouble}; the jobs "
                "stay where they are, and run when there are nodes"
            )
