"""The engine on the stand-in, with jobs that take hundredths of a second."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from batch_scoring.jobs import scheduler
from batch_scoring.jobs.backends.azure_batch.backend import AzureBatchBackend
from batch_scoring.jobs.backends.azure_batch.settings import AzureBatchSettings
from batch_scoring.jobs.settings import JobsParameters
from batch_scoring.jobs.specs import JobSpec
from tests.emulators.azure_batch import AzureBatch
from tests.emulators.azure_batch.server import ACCOUNT
from tests.emulators.work import run_process

AT = datetime(2026, 1, 5, 10, tzinfo=UTC)
RUN = "score-20260105t100000z"
IDENTITY = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/fleet/providers/"
    "Microsoft.ManagedIdentity/userAssignedIdentities/jobs"
)
# Writes its output whole, as scoring does: a job that is run twice leaves what it leaves when it is run once.
_QUICK = """
import os, sys, time
from pathlib import Path
folder, job, how = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
with open(folder / "executions", "a") as out: out.write(job + "\\n")
count = (folder / "executions").read_text().split().count(job)
print("run", count, "of", job, flush=True)
if how == "slow": time.sleep(1.5)
if how == "hang": time.sleep(600)
if how == "fail" or how == "fail once" and count == 1: sys.exit("Error: it failed")
if how.isdigit(): sys.exit(int(how))
(folder / f".{job}.{os.getpid()}").write_text(job)
os.replace(folder / f".{job}.{os.getpid()}", folder / f"{job}.scored")
"""


class Cluster:
    """The stand-in, the engine, and what the jobs did."""

    def __init__(self, server: AzureBatch, data: Path, settings: JobsParameters) -> None:
        self.server, self.data, self.settings = server, data, settings

    def engine(self, **changes) -> AzureBatchBackend:
        """A scheduler's own; ``changes`` are to the settings, those of the service with ``azure_`` before."""
        own = {
            key.removeprefix("azure_"): value for key, value in changes.items() if key.startswith("azure_")
        }
        others = {key: value for key, value in changes.items() if not key.startswith("azure_")}
        service = replace(self.settings.azure_batch, **own)
        return AzureBatchBackend(str(self.data), None, replace(self.settings, azure_batch=service, **others))

    def wait(self, engine: AzureBatchBackend, run: str = RUN) -> dict:
        ended = scheduler.wait(engine, run, pause=0.05)
        return {one.name: one for one in ended}

    def executions(self) -> Counter:
        file = self.data / "executions"
        return Counter(file.read_text().split() if file.exists() else [])

    def scored(self) -> set[str]:
        return {file.stem for file in self.data.glob("*.scored")}


def specs(*names: str) -> list[JobSpec]:
    return [JobSpec(RUN, name, "score", AT, (name,)) for name in names]


@pytest.fixture
def how():
    """What jobs do; by name, or ``""`` for the others."""
    return {}


@pytest.fixture
def cluster(tmp_path, monkeypatch, how):
    """A pool that is looked at ten times a second, in an account of its own."""
    data = tmp_path / "data"
    data.mkdir()

    def runner(work, folder):
        job = work.command[work.command.index("--job") + 1]
        quick = ["python", "-S", "-c", _QUICK, str(data), job, how.get(job, how.get("", ""))]
        return run_process(replace(work, command=quick), folder)

    with AzureBatch(
        tmp_path / "nodes", sample_seconds=0.05, evaluate_seconds=0.1, start_seconds=0.05, runner=runner
    ) as server:
        monkeypatch.setenv("AZURE_BATCH_ACCESS_KEY", server.key)
        monkeypatch.setenv("AZURE_BATCH_ACCOUNT", ACCOUNT)
        service = AzureBatchSettings(
            endpoint=server.endpoint, image="acme.azurecr.io/batch-scoring:1", max_nodes=4
        )
        settings = JobsParameters(
            backend="azure_batch", retries=1, max_wall_time=timedelta(seconds=180), azure_batch=service
        )
        yield Cluster(server, data, settings)
