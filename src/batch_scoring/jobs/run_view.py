"""Monitor a run: its plan, and the jobs' statuses from the engine, or else from their own records."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from batch_scoring.core.errors import ConflictError, InputError
from batch_scoring.core.ids import require_known
from batch_scoring.jobs.backends.base import Backend
from batch_scoring.jobs.local_processes import recorded_statuses
from batch_scoring.jobs.records import PLAN, Records
from batch_scoring.jobs.scheduler import Follower
from batch_scoring.jobs.specs import JobStatus, NodeCounts
from batch_scoring.jobs.views import View
from batch_scoring.storage.json_files import json_bytes, read_json

LAST = "last"
# Below the run: the engine's last statuses, stored when all jobs had ended; it may forget them.
STATUSES = "engine/statuses.json"


class RunMonitor:
    """Monitor of a run that is polled repeatedly; only changes are requested.

    Parameters
    ----------
    backend : Backend
        The engine of the run.

    Attributes
    ----------
    specs : dict of str to JobSpec
        The plan, by name.
    """

    def __init__(self, records: Records, backend: Backend, run: str) -> None:
        self.run, self.backend = run, backend
        self._records = records
        self.specs = {spec.name: spec for spec in records.plan(run) or ()}
        self._follower = Follower(backend, run)

    def view(self, with_nodes: bool = False) -> View:
        """Return the run as it is now."""
        statuses = self._follower.poll() or self._known()
        return self._view(statuses, self.backend.nodes() if with_nodes else None)

    def view_without_engine(self) -> View:
        """Return the run from stored statuses or records, without asking the engine."""
        return self._view(self._known(), None)

    def _view(self, statuses: Sequence[JobStatus], nodes: NodeCounts | None) -> View:
        by_name = {one.name: one for one in statuses}
        return View(self.run, self.backend.name, tuple(self.specs), by_name, nodes)

    def log(self, name: str) -> str | None:
        """Read the output of a job's last attempt, else the output that the engine kept."""
        return self._records.log(self.run, name) or self.backend.log(self.run, name)

    def named(self, wanted: Sequence[str]) -> list[str]:
        """Find jobs by their names or by one of their sensors.

        Raises
        ------
        InputError
            When nothing has this name.
        """
        called: dict[str, list[str]] = {}
        for spec in self.specs.values():
            for sensor in spec.sensors:
                called.setdefault(sensor, []).append(spec.name)
        called |= {name: [name] for name in self.specs}
        require_known("job", wanted, called)
        return list(dict.fromkeys(name for one in wanted for name in called[one]))

    def _known(self) -> list[JobStatus]:
        """Return the stored statuses, or else those of the jobs' records."""
        mend = "delete it and look at the run again"
        kept = read_json(self._records.folder.below(self.run), STATUSES, mend) or []
        known = [JobStatus.from_json(one) for one in kept]
        return known or recorded_statuses(self._records, self.run)


def planned_times(records: Records) -> dict[str, datetime]:
    """Return when each run was planned, newest first; a missed run is planned after its scheduled time."""
    entries = [(entry.changed_ns, entry.name.split("/")[0]) for entry in records.folder.entries(f"/{PLAN}")]
    return {run: datetime.fromtimestamp(changed / 1e9, UTC) for changed, run in sorted(entries, reverse=True)}


def known_run(records: Records, name: str) -> str:
    """Find a run by name, or by ``last`` the one planned last; raises InputError when there is none."""
    if name == LAST:
        newest = next(iter(planned_times(records)), None)
        if newest is None:
            raise InputError(f"{records.folder.path()}: there are no runs yet; `kedro jobs submit` makes one")
        return newest
    require_known("run", [name], records.runs())
    return name


def store_statuses(records: Records, view: View) -> None:
    """Store the statuses of a run whose jobs have ended, as the engine may forget them."""
    if not view.is_over:
        return
    values = [view.statuses[name].to_json() for name in sorted(view.statuses)]
    folder = records.folder.below(view.run)
    former = folder.read(STATUSES)[1] if folder.entry(STATUSES) else None
    # A watcher that was first got the same statuses.
    with suppress(ConflictError):
        folder.replace(STATUSES, json_bytes(values), former)
