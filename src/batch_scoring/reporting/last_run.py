"""What is known of the last run of a workspace: when, how long each step took, and whether it succeeded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from batch_scoring.storage.folder import Folder
from batch_scoring.storage.json_files import json_bytes, read_json

NAME = "08_reporting/last_run.json"
_MEND = "delete it; the next run writes it anew"


@dataclass(frozen=True)
class LastRun:
    """A run that has ended.

    Attributes
    ----------
    began, ended : datetime
        UTC.
    is_success : bool
        Whether it has done all it could: no error, no shortfall.
    step_seconds : mapping of str to float
        By the name of the pipeline.
    counts : mapping of str to int
        ``readings_stored`` and ``windows_scored``, of steps that were part of it.
    """

    began: datetime
    ended: datetime
    is_success: bool
    step_seconds: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)

    def after(self, before: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return what is known after it, given what was known before it; ready for JSON.

        Of steps that were no part of it the seconds stay.
        """
        known = before or {}
        values = asdict(self)
        values |= {name: getattr(self, name).isoformat() for name in ("began", "ended")}
        values["step_seconds"] = {**known.get("step_seconds", {}), **self.step_seconds}
        values["counts"] = {**known.get("counts", {}), **self.counts}
        values["last_success"] = values["ended"] if self.is_success else known.get("last_success")
        return values


def read_last_run(workspace: Folder) -> dict[str, Any] | None:
    """Read what is known of the last run; None where none was noted."""
    found: dict[str, Any] | None = read_json(workspace, NAME, _MEND)
    return found


def note(workspace: Folder, run: LastRun) -> dict[str, Any]:
    """Write down a run, and return what is known after it."""
    known = run.after(read_last_run(workspace))
    with workspace.writing(NAME) as file:
        file.write(json_bytes(known))
    return known
