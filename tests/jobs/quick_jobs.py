"""Jobs of the engines ``local`` and ``dask`` that do next to nothing, so that hundreds can be run.

``python -m tests.jobs.quick_jobs DATA RUN JOB HOW`` is one of them; every execution is a line in
``DATA/executions``.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from batch_scoring.jobs.backends.local import LocalBackend
from batch_scoring.jobs.records import JobRecord, Records
from batch_scoring.jobs.specs import State

PROJECT = Path(__file__).parents[2]


class QuickJobs(LocalBackend):
    """The engine, with these jobs in place of ``kedro run``."""

    how = "succeed"

    def __init__(self, data, settings, how="succeed"):
        super().__init__(str(data), None, settings, PROJECT)
        self.how = how

    def _command(self, spec):
        return [sys.executable, "-m", "tests.jobs.quick_jobs", self._data, spec.run, spec.name, self.how]


def executions(data):
    """The jobs that were begun, in order."""
    file = Path(data) / "executions"
    return file.read_text().splitlines() if file.exists() else []


def main(data, run, job, how):
    file = os.open(f"{data}/executions", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{run}/{job}\n".encode())
    records = Records(data)
    earlier = records.record(run, job)
    attempt = earlier.attempt + 1 if earlier else 1
    begun = JobRecord(run, job, State.RUNNING, attempt, started=datetime.now(UTC), host=os.uname().nodename)
    begun = replace(begun, pid=os.getpid())
    records.write_record(begun)
    if how == "die" or (how == "die once" and attempt == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "hang" or (how == "hang once" and attempt == 1):
        time.sleep(600)
    time.sleep(0.3 if how == "slow" else 0)
    failed = how == "fail" or (how == "fail once" and attempt == 1)
    state, code, reason = (State.FAILED, 1, f"it failed, {job}") if failed else (State.SUCCEEDED, 0, "")
    records.write_record(replace(begun, state=state, exit_code=code, reason=reason, ended=datetime.now(UTC)))
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
