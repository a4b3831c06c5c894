"""A pool of the stand-in: nodes that come and go as the formula says, evaluated over time."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.emulators.azure_batch import formula
from tests.emulators.azure_batch.errors import BatchError
from tests.emulators.azure_batch.times import as_text, seconds_of
from tests.emulators.clock import Clock
from tests.emulators.node_faults import Faults
from tests.emulators.nodes import Nodes
from tests.emulators.work import Runner

_NODE_STATES = [
    "creating",
    "idle",
    "offline",
    "preempted",
    "rebooting",
    "reimaging",
    "running",
    "starting",
    "startTaskFailed",
    "leavingPool",
    "unknown",
    "unusable",
    "waitingForStartTask",
    "upgradingOS",
]
_KINDS = ("TargetDedicatedNodes", "TargetLowPriorityNodes")


class Pool:
    """One of them.

    Parameters
    ----------
    asked : mapping
        The request that creates it.
    evaluate_seconds : float or None
        Between two evaluations of the formula; None: as the pool was asked for.
    """

    def __init__(
        self,
        asked: Mapping[str, Any],
        folder: Path,
        clock: Clock,
        faults: Faults,
        start_seconds: float,
        sample_seconds: float,
        evaluate_seconds: float | None,
        runner: Runner,
    ) -> None:
        self.asked, self._clock = dict(asked), clock
        self.slots = int(asked.get("taskSlotsPerNode", 1))
        self.nodes = Nodes(folder, start_seconds, faults, slots=self.slots, clock=clock, runner=runner)
        self._sample_seconds, self._evaluate_seconds = sample_seconds, evaluate_seconds
        self._lock = threading.RLock()
        self._stop, self._again = threading.Event(), threading.Event()
        self.created = self.changed = clock.now()
        # Before there are tasks there are samples of none.
        self._pending: list[tuple[datetime, float]] = [(self.created, 0.0)]
        self.targets = {
            "TargetDedicatedNodes": int(asked.get("targetDedicatedNodes", 0)),
            "TargetLowPriorityNodes": int(asked.get("targetLowPriorityNodes", 0)),
        }
        self.run: dict[str, Any] | None = None
        # Code and message with which the service has no nodes to give; None: it has.
        self.shortage: tuple[str, str] | None = None
        self.history: list[tuple[datetime, int]] = []
        self._thread = threading.Thread(target=self._autoscale, daemon=True)
        if asked.get("enableAutoScale"):
            self._require(asked.get("autoScaleFormula"))
            self._thread.start()
        else:
            self.nodes.target(sum(self.targets.values()))

    def pending(self, count: int) -> None:
        """So many tasks wait or run from now on."""
        with self._lock:
            self._pending.append((self._clock.now(), float(count)))

    def enable(self, asked: Mapping[str, Any]) -> None:
        """Another formula or interval; evaluated at once."""
        self._require(asked.get("autoScaleFormula", self.asked.get("autoScaleFormula")))
        with self._lock:
            self.asked |= dict(asked) | {"enableAutoScale": True}
            self.changed = self._clock.now()
        if not self._thread.is_alive():
            self._thread.start()
        self._again.set()

    def evaluate(self, text: str) -> dict[str, Any]:
        """The run of a formula now, as the service tells it."""
        now = self._clock.now()
        try:
            results = formula.evaluate(text, self._variables(now))
        except formula.FormulaError as error:
            told = {"code": "FormulaEvaluationFailed", "message": str(error)}
            return {"timestamp": as_text(now), "error": told}
        shown = ";".join(
            f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in results.items()
        )
        return {"timestamp": as_text(now), "results": shown}

    def counts(self) -> dict[str, Any]:
        """As ``nodecounts`` gives them; all nodes are of the kind that has a target."""
        found = self.nodes.counts()
        there = {
            "starting": found["starting"],
            "idle": found["idle"],
            "running": found["running"],
            "leavingPool": found["leaving"],
        }
        counts = {name: there.get(name, 0) for name in _NODE_STATES} | {"total": found.total()}
        none = dict.fromkeys([*_NODE_STATES, "total"], 0)
        low = bool(self.targets["TargetLowPriorityNodes"])
        return {"dedicated": none if low else counts, "lowPriority": counts if low else none}

    def to_json(self, url: str) -> dict[str, Any]:
        """As the service gives a pool."""
        counts = self.counts()
        dedicated, low = counts["dedicated"]["total"], counts["lowPriority"]["total"]
        wanted = sum(self.targets.values())
        # A resize that found no nodes has ended, and says so until the next one.
        failed = (
            [dict(zip(("code", "message"), self.shortage, strict=True))] if self.shortage and wanted else []
        )
        steady = dedicated + low == wanted or bool(failed)
        created, changed = as_text(self.created), as_text(self.changed)
        return {
            **self.asked,
            "url": url,
            "eTag": f"0x{int(self.changed.timestamp() * 1e6):X}",
            "lastModified": changed,
            "creationTime": created,
            "state": "active",
            "stateTransitionTime": created,
            "allocationState": "steady" if steady else "resizing",
            "allocationStateTransitionTime": changed,
            "resizeTimeout": "PT15M",
            "currentDedicatedNodes": dedicated,
            "currentLowPriorityNodes": low,
            "targetDedicatedNodes": self.targets["TargetDedicatedNodes"],
            "targetLowPriorityNodes": self.targets["TargetLowPriorityNodes"],
            "enableInterNodeCommunication": False,
            **({"resizeErrors": failed} if failed else {}),
            **({"autoScaleRun": self.run} if self.run else {}),
        }

    def close(self) -> None:
        self._stop.set()
        self._again.set()
        self.nodes.close()

    def _require(self, text: str | None) -> None:
        run = self.evaluate(text or "")
        # Without samples yet the service takes a formula all the same; not one it cannot read.
        if not text or ("error" in run and "no sample" not in run["error"]["message"]):
            why = run.get("error", {}).get("message", "there is none")
            raise BatchError(400, "InvalidAutoScaleFormula", why)

    def _autoscale(self) -> None:
        while not self._stop.is_set():
            self._again.clear()
            self._scale()
            seconds = self._evaluate_seconds
            if seconds is None:
                seconds = seconds_of(self.asked.get("autoScaleEvaluationInterval", "PT15M"))
            self._again.wait(self._clock.real(seconds))

    def _scale(self) -> None:
        text = self.asked["autoScaleFormula"]
        self.run = self.evaluate(text)
        if "error" in self.run:
            return
        results = formula.evaluate(text, self._variables(self._clock.now()))
        with self._lock:
            for name in _KINDS:
                if f"${name}" in results:
                    self.targets[name] = formula.whole(results[f"${name}"])
            self.history.append((self._clock.now(), sum(self.targets.values())))
        with self._lock:
            wanted = sum(self.targets.values())
            if self.shortage is not None and wanted:
                self.changed = self._clock.now()
            self.nodes.target(0 if self.shortage is not None else wanted)

    def _variables(self, now: datetime) -> dict[str, Any]:
        with self._lock:
            pending = formula.Samples(list(self._pending), now, self._sample_seconds)
            return {f"${name}": float(count) for name, count in self.targets.items()} | {
                "$PendingTasks": pending
            }
