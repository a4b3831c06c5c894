"""An engine in memory, for tests of what uses engines; it counts what it is asked."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

from batch_scoring.jobs.backends.base import Backend
from batch_scoring.jobs.specs import JobStatus, NodeCounts, State


class MemoryEngine(Backend):
    """Keeps jobs and changes their states when it is told."""

    name = "memory"
    blocks_until_done = False

    def __init__(self):
        self.jobs, self.calls, self.told = {}, [], []
        self._lock = threading.Lock()

    def ensure(self):
        self.calls.append("ensure")

    def submit(self, run, specs):
        with self._lock:
            self.calls.append(f"submit {run}")
            there = self.jobs.setdefault(run, {})
            new = [spec for spec in specs if spec.name not in there]
            now = datetime.now(UTC)
            there |= {one.name: JobStatus(one.name, State.QUEUED, created=now, changed=now) for one in new}
            return len(new)

    def statuses(self, run, since=None):
        found = [one for one in self.jobs.get(run, {}).values() if since is None or one.changed >= since]
        self.told.append(len(found))
        return found

    def end(self, run, name, state=State.SUCCEEDED, reason=""):
        self.jobs[run][name] = JobStatus(name, state, reason, changed=datetime.now(UTC))

    def nodes(self):
        return NodeCounts(idle=1)

    def cancel(self, run, names):
        for name in names:
            self.end(run, name, State.CANCELLED)

    def retry(self, run, specs):
        for spec in specs:
            self.jobs[run].pop(spec.name, None)
        self.submit(run, specs)

    def delete(self, run):
        self.jobs.pop(run, None)
