"""Store plans, logs and records of runs in ``<data>/09_jobs/<run>/``."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from batch_scoring.core.errors import ConflictError
from batch_scoring.jobs.planning import run_pipeline, run_time
from batch_scoring.jobs.specs import JOBS_FOLDER, JobSpec, State, Stored
from batch_scoring.storage import Folder, join, open_folder
from batch_scoring.storage.json_files import json_bytes, read_json

PLAN, SUBMITTED = "plan.json", "submitted.json"
_PAUSES = (0.02, 0.1, 0.5, 1.0, 2.0)
_MEND = "delete it and submit again"
_READERS = 16  # of small files at once


@dataclass(frozen=True)
class JobRecord(Stored):
    """Outcome of one attempt at a job, as recorded by the job itself.

    Attributes
    ----------
    state : State
        ``running`` in the record written at the start; a killed job leaves it so.
    attempt : int
        1 for the first one.
    reason : str
        The last line that begins with ``Error:``, else how the process ended; empty when it succeeded.
    started, ended : datetime or None
        UTC.
    seconds : dict of str to float
        Known durations of ``start``, ``read``, ``score`` and ``write``.
    counts : dict of str to int
        Such as the windows scored.
    """

    run: str
    name: str
    state: State
    attempt: int
    exit_code: int | None = None
    reason: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    host: str = ""
    pid: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


class Records:
    """Files of all runs of a workspace: a folder, or a URL."""

    def __init__(self, data: str) -> None:
        self.folder = open_folder(join(data, JOBS_FOLDER))

    def keep_plan(self, run: str, specs: Sequence[JobSpec]) -> list[JobSpec]:
        """Store the plan of a run, or return the plan that another scheduler stored first."""
        text = json_bytes([spec.to_json() for spec in specs])
        for pause in (*_PAUSES, None):
            try:
                self._run(run).replace(PLAN, text, None)
                return list(specs)
            except ConflictError:
                there = self.plan(run)
                if there is not None:
                    return there
                if pause is None:
                    raise
                time.sleep(pause)  # another scheduler is just writing it
        raise AssertionError

    def plan(self, run: str) -> list[JobSpec] | None:
        """Read the planned jobs of a run; None without a plan."""
        found = read_json(self._run(run), PLAN, _MEND)
        return None if found is None else [JobSpec.from_json(one) for one in found]

    def mark_submitted(self, run: str, backend: str) -> None:
        """Record that an engine has all jobs of a run."""
        text = json.dumps({"backend": backend}) + "\n"
        # A scheduler that was first recorded the same, or submitted the run elsewhere.
        with suppress(ConflictError):
            self._run(run).replace(SUBMITTED, text.encode(), None)

    def submitted_to(self, run: str) -> str | None:
        """Read which engine has all jobs of a run; None while not all are submitted."""
        found = read_json(self._run(run), SUBMITTED, _MEND)
        return None if found is None else str(found["backend"])

    def runs(self, pipeline: str | None = None) -> list[str]:
        """List the runs with a plan, oldest first."""
        names = [entry.name.split("/")[0] for entry in self.folder.entries(f"/{PLAN}")]
        wanted = [name for name in names if pipeline in (None, run_pipeline(name))]
        return sorted(wanted, key=lambda name: (run_time(name), name))

    def record(self, run: str, name: str) -> JobRecord | None:
        """Read the last record of a job; None before its first."""
        found = read_json(self._run(run), f"{name}.json", _MEND)
        return None if found is None else JobRecord.from_json(found)

    def all_records(self, run: str, names: Iterable[str] | None = None) -> dict[str, JobRecord]:
        """Read the records of these jobs, or of all jobs of a run, by name."""
        folder = self._run(run)
        if names is None:
            there = [entry.name.removesuffix(".json") for entry in folder.entries(".json")]
            names = [name for name in there if f"{name}.json" not in (PLAN, SUBMITTED) and "/" not in name]
        with ThreadPoolExecutor(_READERS) as pool:
            found = pool.map(lambda name: (name, self.record(run, name)), names)
            return {name: record for name, record in found if record is not None}

    def write_record(self, record: JobRecord) -> None:
        """Replace a job's record."""
        self._put(record.run, f"{record.name}.json", json_bytes(record.to_json()))

    def write_failure(self, run: str, name: str, reason: str) -> None:
        """Record that a job was ended from outside, in the place of what it wrote itself, if anything."""
        now = datetime.now(UTC)
        record = self.record(run, name) or JobRecord(run, name, State.FAILED, 1, started=now)
        self.write_record(replace(record, state=State.FAILED, exit_code=None, reason=reason, ended=now))

    def write_log(self, run: str, name: str, attempt: int, text: bytes) -> None:
        """Store the output of an attempt at a job."""
        self._put(run, f"{name}.{attempt}.log", text)

    def _put(self, run: str, file: str, text: bytes) -> None:
        """Replace a file, whatever is there: the last writer wins.

        An engine that took a job for lost may run it twice at once; neither attempt fails over its record.
        """
        folder = self._run(run)
        for pause in (*_PAUSES, None):
            folder.entry(file)
            try:
                with folder.writing(file) as out:
                    out.write(text)
                return
            except ConflictError:
                if pause is None:
                    raise
                time.sleep(pause)

    def log(self, run: str, name: str) -> str | None:
        """Read the output of the last attempt that ended; None before that."""
        record = self.record(run, name)
        for attempt in range(record.attempt if record else 0, 0, -1):
            try:
                return self._run(run).read(f"{name}.{attempt}.log")[0].decode("utf-8", "replace")
            except FileNotFoundError:
                continue
        return None

    def path(self, run: str, name: str = "") -> str:
        """Return the path or URL of a run's file, for messages."""
        return self._run(run).path(name)

    def _run(self, run: str) -> Folder:
        return self.folder.below(run)
