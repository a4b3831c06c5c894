"""A scheduler by cron on the stand-in: fired, tried again, ended, and shown by `kedro deploy status`."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from batch_scoring.deploy.arm.client import Client
from batch_scoring.deploy.arm.place import Place
from batch_scoring.deploy.arm.status import lines, read_status
from batch_scoring.deploy.arm.up import DeploymentRequest, up
from batch_scoring.deploy.names import names_of
from batch_scoring.deploy.plan import DeploymentPlan
from batch_scoring.deploy.smoke_hour import SmokeHour
from batch_scoring.jobs.run_scheduler import scheduled_time
from tests.deploy.template.templates import built, settings_of
from tests.emulators.arm import Arm, ArmServer
from tests.emulators.arm.server import Credential
from tests.emulators.arm.service import SUBSCRIPTION
from tests.emulators.container_apps import ContainerApps
from tests.emulators.node_faults import Fault
from tests.emulators.work import run_process

pytestmark = pytest.mark.slow  # a server and processes
AT = datetime(2026, 1, 5, 10, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    """The shipped template with its default scheduler, deployed once; what a scheduler does is `how`."""
    folder, how, works = tmp_path_factory.mktemp("cron"), [""], []

    def runner(work, folder):
        works.append(work)
        return run_process(replace(work, command=["python", "-S", "-c", how[0]]), folder)

    settings = settings_of(name="fleet", subscription=SUBSCRIPTION)
    apps, arm = ContainerApps(folder / "replicas", runner), Arm(making_seconds=0.0)
    apps.join(arm)
    with ArmServer(arm, folder / "tls") as server:
        place = Place(SUBSCRIPTION, "rg-fleet", "westeurope", "fleet", server.url, poll_seconds=0.01)
        client = Client(place, Credential(), connection_verify=str(server.certificate))
        template, given = built(settings)
        up(client, DeploymentRequest(template, given["parameters"]), lambda _: None)

        def fire(program, **more):
            how[0], job = program, names_of(settings).score_job
            works.clear()
            found = apps.fire(job, AT, **more)
            apps.wait()
            return found

        yield client, apps, fire, works
        apps.close()


def test_the_scheduler_gets_its_time_identity_and_secret(deployed):
    _, _, fire, works = deployed
    (execution,) = fire("")
    assert (execution.status, execution.tries) == ("Succeeded", 1)
    (work,) = works
    assert work.command == ["/app/bin/schedule", "--pipeline", "score", "--floor", "--wait"]
    assert scheduled_time(work.environment["CONTAINER_APP_JOB_EXECUTION_NAME"], datetime.now(UTC)) == AT
    assert work.environment["APPLICATIONINSIGHTS_CONNECTION_STRING"].startswith("InstrumentationKey=")
    assert work.environment["AZURE_TOKEN_CREDENTIALS"] == "ManagedIdentityCredential"
    assert work.image.endswith(".azurecr.io/batch-scoring:1.0.0")


def test_a_scheduler_that_loses_its_machine_is_started_again_for_the_same_time(deployed):
    _, apps, fire, works = deployed
    apps.faults.add(Fault.NODE_LOST, seconds=0.0)
    (execution,) = fire("import time; time.sleep(1.5)")
    assert (execution.status, execution.tries) == ("Succeeded", 2)
    assert len({work.environment["CONTAINER_APP_JOB_EXECUTION_NAME"] for work in works}) == 1


def test_a_scheduler_that_fails_is_tried_once_more_and_shown(deployed):
    client, _, fire, _ = deployed
    (execution,) = fire("import sys; sys.exit(69)")
    assert (execution.status, execution.tries, execution.code) == ("Failed", 2, 69)
    (cron,) = read_status(client).workflows
    assert (cron["name"], cron["state"]) == ("caj-fleet-score", "5 * * * *")
    assert "Failed" in {run["state"] for run in cron["runs"]}
    assert any(line.startswith("workflow caj-fleet-score: 5 * * * *") for line in lines(read_status(client)))


@pytest.mark.parametrize(("program", "ended"), [("", None), ("import sys; sys.exit(1)", "run is Failed")])
def test_a_smoke_hour_starts_the_job_and_sees_how_it_ends(deployed, program, ended):
    client, apps, fire, _ = deployed
    fire(program)  # what the job does from now on
    settings = settings_of(name="fleet", subscription=SUBSCRIPTION)
    plan = DeploymentPlan(settings, names_of(settings), {})
    job = f"{client.place.group_id}/providers/Microsoft.App/jobs/caj-fleet-score"
    hour = SmokeHour(plan, client, Path(), None, None, print, {"scoreWorkflowId": job})
    before = len(apps.executions[job.lower()])
    if ended is None:
        assert hour.score() == ""
    else:
        with pytest.raises(RuntimeError, match=ended):
            hour.score()
    assert len(apps.executions[job.lower()]) == before + 1


def test_the_cron_fires_at_no_other_time(deployed):
    _, apps, _, _ = deployed
    with pytest.raises(ValueError, match="no time of the cron"):
        apps.fire("caj-fleet-score", AT.replace(minute=6))
