"""What every engine that runs jobs can do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from batch_scoring.jobs.specs import JobSpec, JobStatus, NodeCounts


class Backend(Protocol):
    """An engine. Every method raises InputError, one sentence, when the engine cannot be used.

    A job is known by its run and its name. Submitting one that is there already changes nothing, also
    when two schedulers do it at once.

    Attributes
    ----------
    name : str
        As ``jobs.backend`` names it.
    submits_to_the_end : bool
        Whether ``submit`` returns when the jobs have ended, since nobody else would run them.
    """

    name: str
    submits_to_the_end: bool

    def ensure(self) -> None:
        """Have the cluster there; one that is there already is left as it is."""

    def submit(self, run: str, specs: Sequence[JobSpec]) -> int:
        """Have these jobs run; returns how many were not there yet.

        Returns when the engine has them, or when they have ended, see ``submits_to_the_end``.
        """

    def statuses(self, run: str, since: datetime | None = None) -> list[JobStatus]:
        """The run's jobs by name; with ``since`` at least those that changed after that time.

        No jobs when the engine does not know the run.
        """

    def nodes(self) -> NodeCounts | None:
        """The cluster's nodes; None where the engine has none of its own."""

    def log(self, run: str, name: str) -> str | None:
        """What the engine kept of a job's output; None: nothing.

        The job's own log lies in the workspace; this is for jobs that came not that far.
        """

    def cancel(self, run: str, names: Sequence[str]) -> None:
        """End these jobs where they have not ended."""

    def retry(self, run: str, specs: Sequence[JobSpec]) -> None:
        """Run these jobs once more; they have ended."""

    def delete(self, run: str) -> None:
        """Forget a run whose jobs have ended; its logs and records in the workspace stay."""
