"""The engine on the stand-in, with jobs that take hundredths of a second."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from batch_scoring.jobs import scheduler
from batch_scoring.jobs.backends.container_apps import backend
from batch_scoring.jobs.backends.container_apps.backend import ContainerAppsBackend
from batch_scoring.jobs.backends.container_apps.settings import ContainerAppsSettings
from batch_scoring.jobs.settings import JobsParameters
from batch_scoring.jobs.specs import JobSpec
from tests.emulators.arm import Arm, ArmServer
from tests.emulators.arm.server import Credential
from tests.emulators.arm.service import SUBSCRIPTION
from tests.emulators.container_apps import ContainerApps
from tests.emulators.container_apps.service import VERSION
from tests.emulators.work import run_process

AT = datetime(2026, 1, 5, 10, tzinfo=UTC)
RUN = "score-20260105t100000z"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/fleet"
JOB = f"{GROUP}/providers/Microsoft.App/jobs/caj-fleet-shards"
ENVIRONMENT = f"{GROUP}/providers/Microsoft.App/managedEnvironments/cae-fleet"
# Says that it has begun, and writes its output whole, as scoring does.
_QUICK = """
import json, os, sys, time
from datetime import datetime, timezone
from pathlib import Path
folder, run, job, how = Path(sys.argv[1]), *sys.argv[2:5]
with open(folder / "executions", "a") as out: out.write(job + "\\n")
count = (folder / "executions").read_text().split().count(job)
record = {"run": run, "name": job, "state": "running", "attempt": count, "host": "replica"}
record["started"] = datetime.now(timezone.utc).isoformat()
(folder / "09_jobs" / run).mkdir(parents=True, exist_ok=True)
def tell(**more):
    file = folder / "09_jobs" / run / f".{job}.{os.getpid()}"
    file.write_text(json.dumps(record | more))
    os.replace(file, folder / "09_jobs" / run / f"{job}.json")
if how != "mute": tell()
if how == "slow": time.sleep(1.5)
if how == "hang": time.sleep(600)
if how in ("fail", "mute") or how == "fail once" and count == 1: sys.exit("Error: it failed")
(folder / f".{job}.{os.getpid()}").write_text(job)
os.replace(folder / f".{job}.{os.getpid()}", folder / f"{job}.scored")
tell(state="succeeded", exit_code=0, ended=datetime.now(timezone.utc).isoformat())
"""


class Environment:
    """The stand-in, the engine, and what the jobs did."""

    def __init__(self, server: ArmServer, apps: ContainerApps, data: Path) -> None:
        self.server, self.apps, self.data = server, apps, data

    def make_job(self, retries: int = 1, timeout: int = 20, trigger: str = "Manual") -> None:
        """Make the job as a deployment does."""
        container = {
            "name": "job",
            "image": "acme.azurecr.io/batch-scoring:1",
            "env": [
                {"name": "AZURE_CLIENT_ID", "value": "me"},
                {"name": "INSIGHTS", "secretRef": "insights"},
            ],
            "resources": {"cpu": 1.0, "memory": "2Gi"},
        }
        configuration = {
            "triggerType": trigger,
            "replicaTimeout": timeout,
            "replicaRetryLimit": retries,
            "secrets": [{"name": "insights", "value": "InstrumentationKey=of-the-test"}],
        }
        self.put(GROUP, {"location": "westeurope"})
        self.put(ENVIRONMENT, {"location": "westeurope", "properties": {}})
        properties = {"environmentId": ENVIRONMENT, "configuration": configuration}
        self.put(
            JOB,
            {"location": "westeurope", "properties": properties | {"template": {"containers": [container]}}},
        )

    def put(self, path: str, body: dict) -> None:
        version = VERSION if "Microsoft.App" in path else "2025-04-01"
        answer = self.server.arm.answer("PUT", path, f"api-version={version}", body, "localhost")
        assert answer.status in (200, 201), answer

    def settings(self, **changes) -> JobsParameters:
        own = {key.removeprefix("apps_"): value for key, value in changes.items() if key.startswith("apps_")}
        others = {key: value for key, value in changes.items() if not key.startswith("apps_")}
        service = ContainerAppsSettings(endpoint=self.server.url, job_id=JOB)
        base = JobsParameters(backend="container_apps", retries=1, max_wall_time=timedelta(seconds=180))
        return replace(base, container_apps=replace(service, **own), **others)

    def engine(self, **changes) -> ContainerAppsBackend:
        """A scheduler's own; ``changes`` are to the settings, those of the service with ``apps_`` before."""
        return ContainerAppsBackend(
            *(str(self.data), None, self.settings(**changes)),
            credential=Credential(),
            connection_verify=str(self.server.certificate),
        )

    def wait(self, engine: ContainerAppsBackend, run: str = RUN) -> dict:
        return {one.name: one for one in scheduler.wait(engine, run, pause=0.05)}

    def executions(self) -> Counter:
        file = self.data / "executions"
        return Counter(file.read_text().split() if file.exists() else [])

    def scored(self) -> set[str]:
        return {file.stem for file in self.data.glob("*.scored")}

    def started(self) -> list:
        return self.apps.executions[JOB.lower()]


def specs(*names: str) -> list[JobSpec]:
    return [JobSpec(RUN, name, "score", AT, (name,)) for name in names]


@pytest.fixture(scope="session")
def certificate_folder(tmp_path_factory):
    """For the certificate, which takes a while to make."""
    return tmp_path_factory.mktemp("container-apps")


@pytest.fixture
def how():
    """What jobs do; by name, or ``""`` for the others."""
    return {}


@pytest.fixture
def environment(tmp_path, monkeypatch, how, certificate_folder):
    """A job with a manual trigger, and nothing of it runs."""
    monkeypatch.setattr(backend, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("batch_scoring.cloud.retry.FIRST_WAIT_SECONDS", 0.01)
    data = tmp_path / "data"
    data.mkdir()

    def runner(work, folder):
        given = [work.command[work.command.index(option) + 1] for option in ("--run", "--job")]
        quick = ["python", "-S", "-c", _QUICK, str(data), *given, how.get(given[1], how.get("", ""))]
        return run_process(replace(work, command=quick), folder)

    apps, arm = ContainerApps(tmp_path / "replicas", runner), Arm(making_seconds=0.0)
    apps.join(arm)
    with ArmServer(arm, certificate_folder) as server:
        made = Environment(server, apps, data)
        made.make_job()
        yield made
        apps.close()
