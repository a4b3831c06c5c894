"""Find the Batch jobs of a scheduled run: ``<run>``, ``<run>-r2``, ``<run>-r3``, …; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.batch.models import BatchJob


def job_ids_filter(run: str) -> str:
    """Build the service's filter for the Batch jobs of a run; it may match others, too."""
    return f"startswith(id,'{run}')"


def of_run(run: str, jobs: Iterable[BatchJob]) -> list[BatchJob]:
    """Keep the Batch jobs of a run, oldest first."""
    return sorted((job for job in jobs if _number(run, job.id)), key=lambda job: _number(run, job.id))


def next_job_id(run: str, there: Sequence[str]) -> str:
    """Return the id of the next Batch job of a run.

    Examples
    --------
    >>> next_job_id("score-1", ["score-1", "score-1-r2"]), next_job_id("score-1", [])
    ('score-1-r3', 'score-1')
    """
    number = max((_number(run, job_id) for job_id in there), default=0) + 1
    return f"{run}-r{number}" if number > 1 else run


def _number(run: str, job_id: str) -> int:
    """Return a Batch job's number in its run, from 1; 0 for a job of another run."""
    found = re.fullmatch(rf"{re.escape(run)}(?:-r(\d+))?", job_id)
    return 0 if found is None else int(found[1] or 1)
