"""Name the attempts at a job: a retried job is a new job of the service."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from azure.mgmt.batchai import models

# Between a job's name and 2, 3, …; no job of a plan has it in its name.
_MARK = "__"


@dataclass(frozen=True)
class Attempt:
    """A job of the service: one attempt at a job of a run."""

    name: str
    number: int
    job: models.Job

    @classmethod
    def of(cls, job: models.Job) -> Attempt:
        """Read job and attempt from the name of a job of the service."""
        name, mark, number = job.name.rpartition(_MARK)
        return cls(name, int(number), job) if mark and number.isdecimal() else cls(job.name, 1, job)

    @property
    def next_name(self) -> str:
        """The name of the attempt after this one."""
        return f"{self.name}{_MARK}{self.number + 1}"

    @property
    def ended(self) -> bool:
        """Whether the job has ended."""
        return self.job.execution_state in ("succeeded", "failed")

    @property
    def changed(self) -> datetime | None:
        """When its state last changed, by the service's clock."""
        moment: datetime | None = self.job.execution_state_transition_time or self.job.creation_time
        return moment


def last_attempts(jobs: Iterable[models.Job]) -> dict[str, Attempt]:
    """Return the last attempt at each job of a run, by the job's name."""
    found: dict[str, Attempt] = {}
    for attempt in map(Attempt.of, jobs):
        if attempt.name not in found or found[attempt.name].number < attempt.number:
            found[attempt.name] = attempt
    return found
