"""Build what starts an execution, and read what executions are of, pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from batch_scoring.core.errors import InputError
from batch_scoring.jobs.backends.container_apps.settings import WHERE, ContainerAppsSettings, memory_text
from batch_scoring.jobs.specs import JobSpec

if TYPE_CHECKING:
    from azure.mgmt.appcontainers.models import Job, JobExecution, JobExecutionTemplate


def start_request(
    job: Job, spec: JobSpec, data: str, env: str | None, settings: ContainerAppsSettings
) -> JobExecutionTemplate:
    """Build the template that an execution gets in the place of the job's own.

    The service replaces all of the job's container by it. So image, variables and secrets are taken from the
    job, and only what it runs is a shard's.

    Parameters
    ----------
    job : Job
        As the service describes it.
    spec : JobSpec
    data : str
        The workspace.
    env : str or None
        Kedro's configuration environment.
    settings : ContainerAppsSettings

    Raises
    ------
    InputError
        When the job has no container, or more than one.
    """
    from azure.mgmt.appcontainers import models

    containers = (job.template.containers if job.template else None) or []
    if len(containers) != 1:
        raise InputError(
            f"{WHERE}.job_id: the job {job.name!r} has {len(containers)} containers; expected one, such as "
            "`kedro deploy up` makes it"
        )
    (own,) = containers
    container = models.JobExecutionContainer(
        name=own.name,
        image=settings.image or own.image,
        # No shell is between: each argument comes through as it is.
        command=["python"],
        args=spec.arguments(data, env),
        env=own.env,
        resources=models.ContainerResources(cpu=settings.cpu, memory=memory_text(settings.cpu)),
    )
    return models.JobExecutionTemplate(containers=[container])


def shard_of(execution: JobExecution) -> tuple[str, str] | None:
    """Return the run and the job of an execution, by its arguments; None for one of something else."""
    containers = (execution.template.containers if execution.template else None) or []
    arguments = (containers[0].args if containers else None) or []
    run, job = _after("--run", arguments), _after("--job", arguments)
    return (run, job) if run and job else None


def _after(option: str, arguments: Sequence[str]) -> str:
    position = arguments.index(option) + 1 if option in arguments else len(arguments)
    return arguments[position] if position < len(arguments) else ""
