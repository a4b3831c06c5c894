"""Jobs of the engine ``dask`` that do next to nothing; every execution is a line in ``DATA/executions``."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from batch_scoring.jobs.backends.dask.backend import DaskBackend
from batch_scoring.jobs.records import JobRecord, Records
from batch_scoring.jobs.specs import State
from tests.jobs.backends.dask.dask_cluster import PROJECT


class QuickDask(DaskBackend):
    """The engine, with these jobs in place of ``kedro run``."""

    def __init__(self, data, settings, how="succeed"):
        super().__init__(str(data), None, settings, PROJECT)
        self.how = how

    def _arguments(self, spec):
        return ("-m", "tests.jobs.backends.dask.dask_jobs", self._data, spec.run, spec.name, self.how)


def executions(data):
    """The jobs that were begun, sorted."""
    file = Path(data) / "executions"
    return sorted(file.read_text().splitlines()) if file.exists() else []


def main(data, run, job, how):
    file = os.open(f"{data}/executions", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{job}\n".encode())
    records = Records(data)
    earlier = records.record(run, job)
    attempt = earlier.attempt + 1 if earlier else 1
    begun = JobRecord(run, job, State.RUNNING, attempt, started=datetime.now(UTC), host=os.uname().nodename)
    begun = replace(begun, pid=os.getpid())
    records.write_record(begun)
    if how == "hang" or (how == "hang once" and attempt == 1):
        time.sleep(600)
    failed = how == "fail" or (how == "fail once" and attempt == 1)
    state, code, reason = (State.FAILED, 1, f"it failed, {job}") if failed else (State.SUCCEEDED, 0, "")
    records.write_record(replace(begun, state=state, exit_code=code, reason=reason, ended=datetime.now(UTC)))
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
