"""Keep in the workspace which executions were started for the jobs of a run.

The service names an execution itself, forgets old ones, and may list new ones late; so a list of executions
alone does not show which executions to wait for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime

from batch_scoring.core.moments import as_text
from batch_scoring.jobs.lease import Lease
from batch_scoring.storage import Folder
from batch_scoring.storage.json_files import json_bytes, read_json

FILE, LEASE = "engine/executions.json", "engine/executions.lease"
_MEND = "delete it and submit the run again"


@dataclass(frozen=True)
class Started:
    """The last start of a job.

    Attributes
    ----------
    execution : str
        The service's name of it; empty if its answer had none.
    at : datetime
        UTC; what the job writes is of this start where it is not older.
    """

    execution: str
    at: datetime


@dataclass
class StartedJobs:
    """The jobs of a run that were started, by their names; change them only in :meth:`alone`."""

    folder: Folder
    jobs: dict[str, Started] = field(default_factory=dict)
    _lease: Lease | None = None

    @classmethod
    def read(cls, folder: Folder) -> StartedJobs:
        """Read those of the run with this folder."""
        found = read_json(folder, FILE, _MEND) or {}
        jobs = {
            name: Started(one["execution"], datetime.fromisoformat(one["at"])) for name, one in found.items()
        }
        return cls(folder, jobs)

    @classmethod
    @contextmanager
    def alone(cls, folder: Folder) -> Iterator[StartedJobs]:
        """Read them while no other scheduler may start jobs of the run."""
        with Lease(folder, LEASE) as lease:
            found = cls.read(folder)
            found._lease = lease
            yield found

    def add(self, new: Mapping[str, Started]) -> None:
        """Keep that jobs were started, by their names."""
        assert self._lease is not None, "others may start jobs, too"
        self._lease.renew()
        self.jobs |= new
        plain = {name: asdict(one) | {"at": as_text(one.at)} for name, one in sorted(self.jobs.items())}
        former = self.folder.read(FILE)[1] if self.folder.entry(FILE) else None
        self.folder.replace(FILE, json_bytes(plain), former)
