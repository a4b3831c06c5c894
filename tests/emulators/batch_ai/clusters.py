"""A cluster of the service: nodes that come and go with the jobs, between a minimum and a maximum."""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.emulators.clock import Clock
from tests.emulators.node_faults import Faults
from tests.emulators.nodes import Nodes
from tests.emulators.work import Runner, Work, run_process


class Cluster:
    """Scales itself whenever it is told that time has passed.

    Attributes
    ----------
    quota : int or None
        More nodes than these cannot be had.
    broken : str or None
        Why no node can be set up.
    most : int
        Nodes that there were at once.
    """

    def __init__(
        self,
        folder: Path,
        properties: dict[str, Any],
        start_seconds: float,
        faults: Faults,
        clock: Clock,
        runner: Runner = run_process,
    ) -> None:
        self.mount_root = folder / "mounts"
        self._nodes = Nodes(folder / "starts", start_seconds, faults, clock=clock, runner=runner)
        self._lock, self._clock = threading.Lock(), clock
        self._jobs: set[str] = set()
        self._target = 0
        self.quota: int | None = None
        self.broken: str | None = None
        self.changed: datetime = clock.now()
        self.errors: list[dict[str, Any]] = []
        self.most = 0
        auto = (properties.get("scaleSettings") or {}).get("autoScale") or {}
        self._resize(auto.get("initialNodeCount", 0))

    def add(self, work: Work) -> None:
        with self._lock:
            self._jobs.add(str(work.key))
        self._nodes.add(work)

    def ended(self, key: str) -> None:
        with self._lock:
            self._jobs.discard(key)

    def cancel(self, key: str) -> bool:
        return self._nodes.cancel(key)

    def scale(self, settings: dict[str, Any] | None) -> None:
        """What the service does every now and then."""
        settings = settings or {}
        if (manual := settings.get("manual")) is not None:
            self._resize(manual["targetNodeCount"])
        elif (auto := settings.get("autoScale")) is not None:
            with self._lock:
                wanted = len(self._jobs)
            self._resize(min(auto["maximumNodeCount"], max(auto["minimumNodeCount"], wanted)))

    def preempt(self, job: str = "") -> bool:
        """Take away a node that works, at a job with this in its id; False: there is none."""
        for node in self._nodes.nodes():
            if any(job in str(key) for key in node.running):
                self._nodes.kill(node.id)
                return True
        return False

    def describe(self) -> dict[str, Any]:
        """The properties that tell of nodes."""
        counts = self._nodes.counts()
        total = sum(counts.values())
        self.most = max(self.most, total)
        moving = total != self._target or counts["starting"] or counts["leaving"]
        return {
            "allocationState": "resizing" if moving else "steady",
            "allocationStateTransitionTime": self.changed.isoformat(),
            "currentNodeCount": total,
            "nodeStateCounts": {
                "idleNodeCount": counts["idle"],
                "runningNodeCount": counts["running"],
                "preparingNodeCount": counts["starting"],
                "unusableNodeCount": 0,
                "leavingNodeCount": counts["leaving"],
            },
            **({"errors": self.errors} if self.errors else {}),
        }

    def logins(self) -> list[dict[str, Any]]:
        nodes = enumerate(self._nodes.nodes())
        return [{"nodeId": one.id, "ipAddress": "10.0.0.4", "port": 50000 + number} for number, one in nodes]

    def close(self) -> None:
        self._nodes.close()

    def _resize(self, target: int) -> None:
        allowed = target if self.quota is None else min(target, self.quota)
        self.errors = []
        if self.broken is not None:
            allowed, self.errors = 0, [{"code": "NodeSetupFailed", "message": self.broken}]
        elif allowed < target:
            message = "The regional vCPU quota of the subscription is reached."
            self.errors = [{"code": "QuotaReached", "message": message}]
        if allowed != self._target:
            self._target, self.changed = allowed, self._clock.now()
            self._nodes.target(allowed)
        self.most = max(self.most, sum(self._nodes.counts().values()))
