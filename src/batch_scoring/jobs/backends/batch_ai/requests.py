"""Build the request bodies of Batch AI from settings and jobs; pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import timedelta

from azure.mgmt.batchai import models

from batch_scoring.jobs.backends.batch_ai.settings import (
    MOUNT_ROOTS,
    BatchAISettings,
    ClusterSettings,
    Volume,
)
from batch_scoring.jobs.specs import JobSpec

# Seconds from SIGTERM to SIGKILL.
_GRACE_SECONDS = 10
# Exit code of `timeout` when it ended the command.
TIMED_OUT = 124
# Placeholder of the data in a command before quoting; ids in it are JSON, which has no such character.
_DATA = "\0"


def workspace(settings: BatchAISettings) -> models.WorkspaceCreateParameters:
    """Build the workspace."""
    return models.WorkspaceCreateParameters(location=settings.location, tags={"made-by": "batch_scoring"})


def file_server(settings: BatchAISettings) -> models.FileServerCreateParameters:
    """Build the NFS server that nodes mount."""
    wanted = settings.file_server
    return models.FileServerCreateParameters(
        vm_size=wanted.vm_size,
        ssh_configuration=models.SshConfiguration(user_account_settings=_user(settings.cluster)),
        data_disks=models.DataDisks(
            disk_size_in_gb=wanted.disk_gb,
            disk_count=wanted.disks,
            storage_account_type=wanted.disk_type,
            caching_type=wanted.caching,
        ),
        subnet=_resource(wanted.subnet),
    )


def cluster(settings: BatchAISettings) -> models.ClusterCreateParameters:
    """Build the cluster with everything its nodes mount."""
    wanted = settings.cluster
    return models.ClusterCreateParameters(
        vm_size=wanted.vm_size,
        vm_priority=wanted.priority,
        scale_settings=scale(wanted),
        virtual_machine_configuration=_image(wanted.image),
        node_setup=_node_setup(settings),
        user_account_settings=_user(wanted),
        subnet=_resource(wanted.subnet),
    )


def scale(wanted: ClusterSettings) -> models.ScaleSettings:
    """Build the scaling: by waiting jobs, or a fixed number of nodes."""
    if wanted.scale == "manual":
        # Jobs of nodes that leave are run again on others: each is safe to run twice.
        return models.ScaleSettings(
            manual=models.ManualScaleSettings(
                target_node_count=wanted.max_nodes, node_deallocation_option="requeue"
            )
        )
    return models.ScaleSettings(
        auto_scale=models.AutoScaleSettings(
            minimum_node_count=wanted.min_nodes,
            maximum_node_count=wanted.max_nodes,
            initial_node_count=wanted.initial_nodes,
        )
    )


def same_scale(there: models.ScaleSettings | None, wanted: models.ScaleSettings) -> bool:
    """Return whether a cluster scales as wanted; initial nodes matter only at its creation."""
    if there is None:
        return False
    if wanted.manual is not None:
        return there.manual is not None and there.manual.target_node_count == wanted.manual.target_node_count
    auto = there.auto_scale
    return auto is not None and (auto.minimum_node_count, auto.maximum_node_count) == (
        wanted.auto_scale.minimum_node_count,
        wanted.auto_scale.maximum_node_count,
    )


def job(
    spec: JobSpec,
    settings: BatchAISettings,
    data: str,
    env: str | None,
    max_wall_time: timedelta,
    retries: int,
) -> models.JobCreateParameters:
    """Build the job of one shard: one container on one node.

    Parameters
    ----------
    spec : JobSpec
    settings : BatchAISettings
    data : str
        The workspace as the nodes see it.
    env : str or None
        Kedro's configuration environment.
    max_wall_time : timedelta
        Of one attempt.
    retries : int
        Number of attempts after the first one fails.
    """
    return models.JobCreateParameters(
        scheduling_priority=settings.priority,
        cluster=models.ResourceId(id=resource_id(settings, "clusters", settings.cluster.name)),
        node_count=1,
        container_settings=_container(settings),
        custom_toolkit_settings=models.CustomToolkitSettings(
            command_line=command_line(spec, data, env, max_wall_time, retries)
        ),
        job_preparation=(
            models.JobPreparation(command_line=settings.preparation) if settings.preparation else None
        ),
        std_out_err_path_prefix=settings.logs,
        mount_volumes=_mounts(settings, "job"),
        input_directories=[
            models.InputDirectory(id=name, path=path) for name, path in settings.inputs.items()
        ],
        output_directories=[
            models.OutputDirectory(id=name, path_prefix=path) for name, path in settings.outputs.items()
        ],
        environment_variables=[
            models.EnvironmentVariable(name=name, value=str(value))
            for name, value in settings.environment.items()
        ],
        secrets=[
            models.EnvironmentVariableWithSecretValue(
                name=name, value_secret_reference=_secret(settings, secret)
            )
            for name, secret in settings.secrets.items()
        ],
        # All attempts, and as long again for the container to start.
        constraints=models.JobBasePropertiesConstraints(max_wall_clock_time=(retries + 2) * max_wall_time),
    )


def command_line(spec: JobSpec, data: str, env: str | None, max_wall_time: timedelta, retries: int) -> str:
    r"""Build the command line of the container's shell.

    The service runs a job again when it loses the node, but not when the job fails; hence the loop.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> spec = JobSpec("r", "n", "score", datetime(2026, 1, 5, tzinfo=UTC), ("a",))
    >>> command_line(spec, "$AZ_BATCHAI_MOUNT_ROOT/fleet", None, timedelta(minutes=1), 2)[:75]
    'for try in 1 2 3; do timeout -k 10 60 python -m batch_scoring.jobs.run_job '
    """
    arguments = shlex.join(spec.arguments(_DATA, env)).replace(_DATA, _in_single_quotes(data))
    seconds = f"{max_wall_time.total_seconds():g}"
    once = f"timeout -k {_GRACE_SECONDS} {seconds} python {arguments}"
    tries = " ".join(map(str, range(1, retries + 2)))
    return f"for try in {tries}; do {once} && exit 0; code=$?; done; exit $code"


def resource_id(settings: BatchAISettings, *below: str) -> str:
    """Return the id of a resource in the workspace."""
    place = (
        f"/subscriptions/{settings.subscription}/resourceGroups/{settings.resource_group}"
        f"/providers/Microsoft.BatchAI/workspaces/{settings.workspace}"
    )
    return "/".join([place, *below])


def _in_single_quotes(data: str) -> str:
    """Quote the data's path for single quotes; only the variable of a mount root is expanded."""
    for root in MOUNT_ROOTS.values():
        if data == root or data.startswith(f"{root}/"):
            return f"'\"{root}\"'" + data.removeprefix(root).replace("'", "'\"'\"'")
    return data.replace("'", "'\"'\"'")


def _container(settings: BatchAISettings) -> models.ContainerSettings:
    wanted = settings.container
    credentials = None
    if wanted.user is not None:
        credentials = models.PrivateRegistryCredentials(
            username=wanted.user, password_secret_reference=_secret(settings, wanted.password_secret)
        )
    return models.ContainerSettings(
        image_source_registry=models.ImageSourceRegistry(
            server_url=wanted.registry, image=wanted.image, credentials=credentials
        ),
        shm_size=wanted.shm_size,
    )


def _node_setup(settings: BatchAISettings) -> models.NodeSetup:
    wanted = settings.cluster
    counters = None
    if wanted.app_insights is not None:
        counters = models.PerformanceCountersSettings(
            app_insights_reference=models.AppInsightsReference(
                component=_resource(wanted.app_insights),
                instrumentation_key_secret_reference=_secret(settings, wanted.app_insights_secret),
            )
        )
    setup = None
    if wanted.setup_command is not None:
        setup = models.SetupTask(
            command_line=wanted.setup_command,
            std_out_err_path_prefix=settings.logs,
        )
    return models.NodeSetup(
        setup_task=setup,
        mount_volumes=_mounts(settings, "cluster"),
        performance_counters_settings=counters,
    )


def _mounts(settings: BatchAISettings, of: str) -> models.MountVolumes | None:
    """Build the volumes of the cluster or of a job."""
    volumes = [one for one in settings.volumes() if one.of == of]
    by_kind: Mapping[str, Sequence[Volume]] = {
        kind: [one for one in volumes if one.kind == kind] for kind in ("blob", "files", "file_server")
    }
    others = [one for one in volumes if one.kind not in by_kind]
    if not volumes:
        return None
    return models.MountVolumes(
        azure_blob_file_systems=[_blob(settings, one) for one in by_kind["blob"]] or None,
        azure_file_shares=[_share(settings, one) for one in by_kind["files"]] or None,
        file_servers=[_served(settings, one) for one in by_kind["file_server"]] or None,
        unmanaged_file_systems=[
            models.UnmanagedFileSystemReference(
                mount_command=one.mount_command(), relative_mount_path=one.path
            )
            for one in others
        ]
        or None,
    )


def _blob(settings: BatchAISettings, one: Volume) -> models.AzureBlobFileSystemReference:
    return models.AzureBlobFileSystemReference(
        account_name=one.account,
        container_name=one.container,
        credentials=_storage_key(settings, one),
        relative_mount_path=one.path,
        mount_options=one.options,
    )


def _share(settings: BatchAISettings, one: Volume) -> models.AzureFileShareReference:
    return models.AzureFileShareReference(
        account_name=one.account,
        azure_file_url=f"https://{one.account}.file.core.windows.net/{one.share}",
        credentials=_storage_key(settings, one),
        relative_mount_path=one.path,
    )


def _served(settings: BatchAISettings, one: Volume) -> models.FileServerReference:
    return models.FileServerReference(
        file_server=_resource(resource_id(settings, "fileServers", str(settings.file_server.name))),
        source_directory=one.source,
        relative_mount_path=one.path,
        mount_options=one.options,
    )


def _storage_key(settings: BatchAISettings, one: Volume) -> models.AzureStorageCredentialsInfo:
    return models.AzureStorageCredentialsInfo(account_key_secret_reference=_secret(settings, one.key_secret))


def _secret(settings: BatchAISettings, name: str | None) -> models.KeyVaultSecretReference:
    vault = str(settings.key_vault)
    url = f"https://{vault.rstrip('/').rpartition('/')[2].lower()}.vault.azure.net/secrets/{name}"
    return models.KeyVaultSecretReference(source_vault=models.ResourceId(id=vault), secret_url=url)


def _image(image: str | None) -> models.VirtualMachineConfiguration | None:
    if image is None:
        return None
    publisher, offer, sku, *version = image.split(":")
    return models.VirtualMachineConfiguration(
        image_reference=models.ImageReference(
            publisher=publisher, offer=offer, sku=sku, version=version[0] if version else None
        )
    )


def _user(wanted: ClusterSettings) -> models.UserAccountSettings:
    return models.UserAccountSettings(
        admin_user_name=wanted.user, admin_user_ssh_public_key=wanted.ssh_public_key
    )


def _resource(id: str | None) -> models.ResourceId | None:
    return None if id is None else models.ResourceId(id=id)
