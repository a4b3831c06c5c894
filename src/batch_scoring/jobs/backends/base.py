"""Protocol of the engines that run jobs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from batch_scoring.jobs.specs import JobSpec, JobStatus, NodeCounts


class Backend(Protocol):
    """An engine. Every method raises InputError, one sentence, when the engine cannot be used.

    Methods with a default here need no code in an engine without a cluster of its own.

    A job is identified by its run and name. Submitting an existing one changes nothing, also when two
    schedulers do so at once.

    Attributes
    ----------
    name : str
        As ``jobs.backend`` names it.
    blocks_until_done : bool
        Whether ``submit`` returns when the jobs have ended, since nobody else would run them.
    """

    name: str
    blocks_until_done: bool

    def ensure(self) -> None:
        """Create the cluster unless it exists."""
        return

    def submit(self, run: str, specs: Sequence[JobSpec]) -> int:
        """Submit these jobs; return how many are new.

        Returns when the engine has them, or when they have ended, see ``blocks_until_done``.
        """

    def statuses(self, run: str, since: datetime | None = None) -> list[JobStatus]:
        """Return the statuses of a run's jobs by name; with ``since`` at least those changed after that time.

        Empty when the engine does not know the run.
        """

    def nodes(self) -> NodeCounts | None:
        """Count the cluster's nodes; None where the engine has none of its own."""
        return None

    def trouble(self, since: datetime) -> str | None:
        """Say why waiting jobs get no nodes, by what was found after a time; None where nothing is known."""
        return None

    def log(self, run: str, name: str) -> str | None:
        """Return the output of a job that the engine kept; None without.

        A job's own log lies in the workspace; this is for jobs that failed before they could write it.
        """
        return None

    def cancel(self, run: str, names: Sequence[str]) -> None:
        """Cancel these jobs where they have not ended."""

    def retry(self, run: str, specs: Sequence[JobSpec]) -> None:
        """Run these ended jobs again."""

    def delete(self, run: str) -> None:
        """Delete a run whose jobs have ended; its logs and records in the workspace stay."""
        return

    def forget(self, before: datetime) -> int:
        """Delete what the engine keeps of jobs that ended before a time; return the number of runs."""
        return 0

    def close(self) -> None:
        """Close connections, and end workers of this process."""
        return
