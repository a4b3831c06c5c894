"""The last runs of a workspace: when, how long each step took, and why one failed; a small file a run.

What jobs of a cluster do is recorded by ``batch_scoring.jobs``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from batch_scoring.core.errors import InputError
from batch_scoring.core.processes import host, is_alive
from batch_scoring.storage.folder import Folder
from batch_scoring.storage.json_files import json_bytes, read_json

FOLDER = "08_reporting/runs"
KEPT = 50
RUNNING, SUCCEEDED, FAILED, KILLED = "running", "succeeded", "failed", "killed"
_MEND = "delete it"


@dataclass(frozen=True)
class RunRecord:
    """A run that goes on or has ended.

    Attributes
    ----------
    began : datetime
        UTC.
    pipelines : sequence of str
        What was asked for, with options that leave out a part of it; empty for the whole run.
    state : str
        ``running`` in the record written at the start; a killed run leaves it so.
    ended : datetime or None
        UTC.
    step_seconds : mapping of str to float
        By the name of the pipeline.
    failed_step : str
        The pipeline in which it failed; empty before the first one, and for shortfalls after the last one.
    reason : str
        One sentence of a run that failed; it names the log file where there is one.
    host, process : str
        See :mod:`batch_scoring.core.processes`.
    """

    began: datetime
    pipelines: Sequence[str] = ()
    state: str = RUNNING
    ended: datetime | None = None
    step_seconds: Mapping[str, float] = field(default_factory=dict)
    failed_step: str = ""
    reason: str = ""
    host: str = ""
    process: str = ""

    @property
    def name(self) -> str:
        """Of its file; names are in the order of the runs."""
        return f"{self.began:%Y%m%dT%H%M%S.%f}-{self.process.partition(' ')[0]}.json"

    @property
    def seconds(self) -> float | None:
        """Its length; None while it goes on, or when it was killed."""
        return None if self.ended is None else (self.ended - self.began).total_seconds()

    def seen_now(self) -> str:
        """Return its state; that of a process of this machine that is gone is ``killed``."""
        is_gone = self.state == RUNNING and self.host == host() and not is_alive(self.process)
        return KILLED if is_gone else self.state


def write_record(workspace: Folder, record: RunRecord) -> None:
    """Write the record of a run, and delete those of runs long ago."""
    values: dict[str, Any] = asdict(record) | {
        name: at and at.isoformat() for name, at in (("began", record.began), ("ended", record.ended))
    }
    runs = workspace.below(FOLDER)
    with runs.writing(record.name) as file:
        file.write(json_bytes(values))
    for name in _names(runs)[KEPT:]:
        runs.delete(name)


def read_records(workspace: Folder, at_most: int = KEPT) -> list[RunRecord]:
    """Read the newest records, the last run first; what cannot be read is left out."""
    runs, found = workspace.below(FOLDER), []
    for name in _names(runs)[:at_most]:
        try:
            values = read_json(runs, name, _MEND)
            if values is not None:
                found.append(_record(values))
        except (AttributeError, InputError, KeyError, TypeError, ValueError):
            continue  # of another version, or cut short by a full disk
    return found


def _names(runs: Folder) -> list[str]:
    return sorted((entry.name for entry in runs.entries(".json")), reverse=True)


def _record(values: dict[str, Any]) -> RunRecord:
    ended = values["ended"]
    return RunRecord(
        **values
        | {
            "began": _time(values["began"]),
            "ended": None if ended is None else _time(ended),
            "pipelines": [str(name) for name in values["pipelines"]],
            "step_seconds": {step: float(seconds) for step, seconds in values["step_seconds"].items()},
            "process": str(values["process"]),
        }
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
