"""Describe jobs and their statuses as plain values."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from batch_scoring.core.ids import Shard
from batch_scoring.core.moments import as_text

# The folder of the runs' plans, logs and records, below the data.
JOBS_FOLDER = "09_jobs"
# The parameter of `kedro run` that names the folder of results until all jobs have ended.
_LAID_DOWN = {"train": "staged", "evaluate": "judged"}
# The jobs of an evaluation end there; the figures over the fleet need all of them.
SHARE_OF_EVALUATION = "judged_sensors"


class State(StrEnum):
    """Where a job is between its submission and its end."""

    QUEUED = "queued"
    PREPARING = "preparing"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self in (State.SUCCEEDED, State.FAILED, State.CANCELLED)


def to_plain(record: Any) -> dict[str, Any]:
    """Return the fields of a dataclass as values for JSON; times become text."""
    values = dataclasses.asdict(record)
    return {name: as_text(one) if isinstance(one, datetime) else one for name, one in values.items()}


class Stored:
    """A dataclass with a state and times, which is stored as plain values for JSON."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values; :meth:`from_json` reads them."""
        return to_plain(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read the values of :meth:`to_json`."""
        times = {name: values.get(name) for name in ("created", "started", "ended", "changed")}
        read = {name: datetime.fromisoformat(text) for name, text in times.items() if text}
        return cls(**{**values, **read, "state": State(values["state"])})


@dataclass(frozen=True)
class JobSpec:
    """One shard of one scheduled run.

    Attributes
    ----------
    run : str
        The scheduled run, such as ``score-20261122t100000z``.
    name : str
        Unique in the run, and the same for every planner: letters, digits, ``-`` and ``_``, at most 64.
    pipeline : str
        ``score``, ``train`` or ``evaluate``.
    at : datetime
        The scheduled time, UTC.
    sensors : tuple of str
        At least one.
    device : str or None
        Only this device.
    shard : Shard or None
        Only the devices of this shard.
    models : mapping of str to str
        The pinned manifest to score with, for each sensor with a champion.
    overrides : str
        Settings that override the files', as ``--params`` takes them.
    """

    run: str
    name: str
    pipeline: str
    at: datetime
    sensors: tuple[str, ...]
    device: str | None = None
    shard: Shard | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    overrides: str = ""

    def params(self, data: str) -> str:
        """Format ``kedro run --params`` for a workspace.

        Examples
        --------
        >>> from datetime import UTC
        >>> at = datetime(2026, 1, 5, 10, tzinfo=UTC)
        >>> spec = JobSpec("r", "n", "score", at, ("a,b",), models={"a,b": "x"})
        >>> spec.params("data")
        'data=data,at=2026-01-05T10:00:00Z,sensor=["a,b"],models={"a,b": "x"}'
        """
        items = {"data": data, "at": as_text(self.at)}
        items["sensor"] = json.dumps(self.sensors, ensure_ascii=False)
        if self.device is not None:
            items["device"] = json.dumps([self.device], ensure_ascii=False)
        if self.shard is not None:
            items["shard"] = str(self.shard)
        if self.pipeline == "score":
            items["models"] = json.dumps(dict(self.models), ensure_ascii=False)
        if self.pipeline in _LAID_DOWN:
            items[_LAID_DOWN[self.pipeline]] = run_folder(data, self.run)
        given = [f"{name}={value}" for name, value in items.items()]
        return ",".join([self.overrides, *given] if self.overrides else given)

    def arguments(self, data: str, env: str | None = None) -> list[str]:
        """Return the arguments of ``python`` in the job's command line: :mod:`batch_scoring.jobs.run_job`.

        They name the job and do not describe it: it reads the rest in the run's plan. So no id, which may
        have quotes and spaces, has to come through a shell, an engine and a container as it is.
        """
        return [
            *("-m", "batch_scoring.jobs.run_job", "--data", data, "--run", self.run, "--job", self.name),
            *(["--env", env] if env else []),
        ]

    def kedro_arguments(self, data: str, env: str | None = None) -> list[str]:
        """Return the arguments of ``kedro run`` that do the job's work."""
        sliced = [f"--to-outputs={SHARE_OF_EVALUATION}"] if self.pipeline == "evaluate" else []
        return [
            *(f"--pipelines={self.pipeline}", *sliced, f"--params={self.params(data)}"),
            *([f"--env={env}"] if env else []),
        ]

    def to_json(self) -> dict[str, Any]:
        """Return plain values; :meth:`from_json` reads them."""
        return to_plain(self) | {"shard": str(self.shard) if self.shard else None}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> JobSpec:
        """Read the values of :meth:`to_json`."""
        shard = values["shard"] and Shard(*map(int, values["shard"].split("/")))
        at, sensors = datetime.fromisoformat(values["at"]), tuple(values["sensors"])
        return cls(**{**values, "at": at, "sensors": sensors, "shard": shard or None})


@dataclass(frozen=True)
class JobStatus(Stored):
    """Status of a job, as reported by an engine.

    Attributes
    ----------
    reason : str
        Why it failed, one sentence; else empty.
    created, started, ended : datetime or None
        UTC.
    node : str
        Where it runs or ran.
    changed : datetime or None
        When its state last changed, by the engine's clock.
    """

    name: str
    state: State
    reason: str = ""
    exit_code: int | None = None
    created: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    node: str = ""
    changed: datetime | None = None


@dataclass(frozen=True)
class NodeCounts:
    """Nodes of a cluster by state."""

    idle: int = 0
    running: int = 0
    preparing: int = 0
    unusable: int = 0
    leaving: int = 0

    @property
    def total(self) -> int:
        """The number of all nodes."""
        return self.idle + self.running + self.preparing + self.unusable + self.leaving


def run_folder(data: str, run: str) -> str:
    """Return the folder of a run's files.

    Examples
    --------
    >>> run_folder("data", "score-20261122t100000z")
    'data/09_jobs/score-20261122t100000z'
    """
    return f"{data.rstrip('/')}/{JOBS_FOLDER}/{run}"
