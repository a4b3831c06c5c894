"""Build the requests to Azure Batch, pure: settings and job specs in, the SDK's models out."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from batch_scoring.jobs.backends.azure_batch.autoscale import autoscale_formula
from batch_scoring.jobs.backends.azure_batch.settings import AzureBatchSettings
from batch_scoring.jobs.settings import JobsParameters
from batch_scoring.jobs.specs import JOBS_FOLDER, JobSpec
from batch_scoring.storage import is_blob
from batch_scoring.storage.location import Location

if TYPE_CHECKING:
    from azure.batch.models import (
        BatchJobCreateOptions,
        BatchPoolCreateOptions,
        BatchTaskCreateOptions,
        OutputFile,
    )

# A run that finds no nodes for this long is given up: its tasks are reported as failed.
LONGEST_RUN = timedelta(days=7)
# How long a node keeps a task's folder; the output is uploaded when the task ends.
RETENTION = timedelta(days=2)
# "Not executable" and "not found", of the container's shell: the image is wrong for every task alike.
BROKEN_IMAGE = (126, 127)
# Of `docker create`. A job writes to its workspace in Blob Storage and to /tmp, and needs no privilege.
LOCKED_IN = "--rm --read-only --tmpfs=/tmp --cap-drop=ALL --security-opt=no-new-privileges"
OUTPUTS = ("stdout.txt", "stderr.txt")


def pool_request(settings: AzureBatchSettings) -> BatchPoolCreateOptions:
    """Build the pool: autoscaled container nodes that pull the image before the first task.

    There is no start task: all that a job needs is in its image. Nodes have no identity, which a pool gets
    only through :mod:`.management`; so the image's registry has to allow anonymous pulls.
    """
    from azure.batch import models

    publisher, offer, sku, version = settings.vm_image.split(":")
    machine = models.VirtualMachineConfiguration(
        image_reference=models.BatchVmImageReference(
            publisher=publisher, offer=offer, sku=sku, version=version
        ),
        node_agent_sku_id=settings.node_agent,
        container_configuration=models.BatchContainerConfiguration(
            type=models.ContainerType.DOCKER_COMPATIBLE,
            container_image_names=[settings.image or ""],
        ),
    )
    return models.BatchPoolCreateOptions(
        id=settings.pool,
        vm_size=settings.vm_size,
        virtual_machine_configuration=machine,
        enable_auto_scale=True,
        auto_scale_formula=autoscale_formula(settings),
        auto_scale_evaluation_interval=settings.autoscale_interval,
        task_slots_per_node=settings.tasks_per_node,
        # Full nodes and empty ones, so that empty ones can leave.
        task_scheduling_policy=models.BatchTaskSchedulingPolicy(node_fill_type=models.BatchNodeFillType.PACK),
    )


def job_request(job_id: str, jobs: JobsParameters) -> BatchJobCreateOptions:
    """Build the Batch job of a scheduled run.

    It does not end by itself yet: a job without tasks counts as done. It is changed to do so when all tasks
    are in.
    """
    from azure.batch import models

    return models.BatchJobCreateOptions(
        id=job_id,
        pool_info=models.BatchPoolInfo(pool_id=jobs.azure_batch.pool),
        constraints=models.BatchJobConstraints(
            max_wall_clock_time=LONGEST_RUN, max_task_retry_count=jobs.retries
        ),
        all_tasks_complete_mode=models.BatchAllTasksCompleteMode.NO_ACTION,
        task_failure_mode=models.BatchTaskFailureMode.PERFORM_EXIT_OPTIONS_JOB_ACTION,
    )


def task_request(
    spec: JobSpec, data: str, env: str | None, jobs: JobsParameters, environment: Mapping[str, str]
) -> BatchTaskCreateOptions:
    """Build the task of a shard: ``kedro run`` in a container, with a time limit and retries.

    Parameters
    ----------
    spec : JobSpec
    data : str
        The workspace.
    env : str or None
        Kedro's configuration environment.
    jobs : JobsParameters
    environment : mapping of str to str
        Variables of the job.
    """
    from azure.batch import models

    # A failed shard leaves the others alone; a broken image ends them all, as all would fail.
    going_on = models.ExitOptions(job_action=models.BatchJobActionKind.NONE)
    ending = models.ExitOptions(job_action=models.BatchJobActionKind.TERMINATE)
    return models.BatchTaskCreateOptions(
        id=spec.name,
        # No shell reads it: quoted, each argument comes through as it is.
        command_line=shlex.join(["python", *spec.arguments(data, env)]),
        container_settings=models.BatchTaskContainerSettings(
            image_name=jobs.azure_batch.image or "",
            working_directory=models.ContainerWorkingDirectory.CONTAINER_IMAGE_DEFAULT,
            container_run_options=LOCKED_IN,
        ),
        environment_settings=[
            models.EnvironmentSetting(name=name, value=value) for name, value in sorted(environment.items())
        ],
        constraints=models.BatchTaskConstraints(
            max_wall_clock_time=jobs.max_wall_time,
            max_task_retry_count=jobs.retries,
            retention_time=RETENTION,
        ),
        exit_conditions=models.ExitConditions(
            exit_codes=[models.ExitCodeMapping(code=code, exit_options=ending) for code in BROKEN_IMAGE],
            default=going_on,
            pre_processing_error=going_on,
            file_upload_error=going_on,
        ),
        output_files=_output_files(spec, data, jobs.azure_batch.identity) or None,
    )


def _output_files(spec: JobSpec, data: str, identity: str | None) -> list[OutputFile]:
    """Upload standard output and error beside the run's records; without identity they stay on the node."""
    from azure.batch import models

    location = Location.read(data) if is_blob(data) else None
    if location is None or not location.account_url or identity is None:
        return []
    folder = location.joined(f"{JOBS_FOLDER}/{spec.run}").path
    return [
        models.OutputFile(
            file_pattern=f"../{name}",
            destination=models.OutputFileDestination(
                container=models.OutputFileBlobContainerDestination(
                    container_url=f"{location.account_url}/{location.container}",
                    path=f"{folder}/{spec.name}.{name}",
                    identity_reference=models.BatchNodeIdentityReference(resource_id=identity),
                )
            ),
            upload_options=models.OutputFileUploadConfiguration(
                upload_condition=models.OutputFileUploadCondition.TASK_COMPLETION
            ),
        )
        for name in OUTPUTS
    ]
