"""Build the template's parameters for given settings, pure; no secret is among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import timedelta
from typing import Any

from batch_scoring.deploy.durations import cron, iso_duration, recurrence, short_text
from batch_scoring.deploy.names import Names
from batch_scoring.deploy.network_settings import NetworkSettings
from batch_scoring.deploy.settings import DeployParameters
from batch_scoring.jobs.backends.azure_batch.autoscale import autoscale_formula
from batch_scoring.jobs.backends.azure_batch.settings import PoolSettings
from batch_scoring.jobs.backends.container_apps.settings import memory_of
from batch_scoring.jobs.settings import JobsParameters

SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentParameters.json#"
BATCH_AI_LOGS = "batch-ai-logs"
# How far a log alert can look back, in hours beside its minutes.
_LOOKS_BACK = tuple(timedelta(minutes=m) for m in (15, 30, 45)) + tuple(
    timedelta(hours=h) for h in (1, 2, 3, 4, 5, 6, 24, 48)
)


def build_parameters(
    settings: DeployParameters,
    names: Names,
    images: Mapping[str, str],
    workflows_enabled: bool = True,
    deployer: str = "",
) -> dict[str, Any]:
    """Build a parameters file for :func:`.build_template`.

    Parameters
    ----------
    settings : DeployParameters
    names : Names
    images : mapping of str to str
        Of the variants ``score`` and ``train``: repository with tag or digest in the deployment's registry,
        such as ``batch-scoring:1.0.0``.
    workflows_enabled : bool
        False: they exist and are disabled, until there is an image.
    deployer : str
        Object id of who deploys, and so may push models and data; empty for nobody.
    """
    values = {
        **_of_names(settings, names),
        **_of_settings(settings),
        **_of_nodes(settings, names),
        **_of_schedule(settings),
        **_of_network(settings.network, names.network),
        "workflowsEnabled": workflows_enabled,
        "deployerPrincipalId": deployer,
        "image": images["score"],
        "trainImage": images["train"],
    }
    return {
        "$schema": SCHEMA,
        "contentVersion": "1.0.0.0",
        "parameters": {name: {"value": value} for name, value in values.items()},
    }


def first_pipelines(settings: DeployParameters) -> tuple[str, ...]:
    """Return the pipelines that the scheduler runs before it submits: they bring in what devices have sent.

    Examples
    --------
    >>> first_pipelines(DeployParameters())
    ('import_windows',)
    """
    if settings.schedule.first is not None:
        return settings.schedule.first
    return ("import_windows",) if settings.stream_analytics.enabled else ("receive", "ingest", "aggregate")


def jobs_settings(settings: DeployParameters, names: Names) -> dict[str, Any]:
    """Build the settings ``jobs`` of the deployed scheduler, without what only Azure knows."""
    engines = {"azure_batch": _azure_batch, "container_apps": _container_apps, "batch_ai": _batch_ai}
    engine = engines[settings.compute](settings, names)
    return {
        "backend": settings.compute,
        "every": short_text(settings.schedule.every),
        settings.compute: engine,
    }


def look_back_of(every: timedelta) -> timedelta | None:
    """Return how far an alert looks back for a successful run: two periods, or the next step; None: too far.

    Examples
    --------
    >>> look_back_of(timedelta(hours=1)), look_back_of(timedelta(days=7))
    (datetime.timedelta(seconds=7200), None)
    """
    return next((length for length in _LOOKS_BACK if length >= 2 * every), None)


def _of_names(settings: DeployParameters, names: Names) -> dict[str, str]:
    """Name the parameters as the fields of ``Names``, in camel case: ``keyVault`` for ``key_vault``."""
    others = {"identity": "schedulerIdentity", "event_hub": "eventHubName"}
    # The group is not a parameter, and the network is one of _of_network.
    values = {
        name: value for name, value in asdict(names).items() if name not in ("resource_group", "network")
    }
    named = {others.get(name, _camel_case(name)): value for name, value in values.items()}
    return {**named, "container": settings.storage.container}


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.title, others))


def _of_settings(settings: DeployParameters) -> dict[str, Any]:
    return {
        "location": settings.location,
        "tags": {"project": "batch-scoring", "deployment": settings.name},
        "softDeleteDays": settings.storage.soft_delete_days,
        "coolAfterDays": settings.storage.archive_after_days or 0,
        "deleteLogsAfterDays": settings.storage.delete_logs_after_days or 0,
        "partitions": settings.event_hub.partitions,
        "retentionDays": settings.event_hub.retention_days,
        "throughputUnits": settings.event_hub.throughput_units,
        "eventHubKeys": settings.event_hub.keys,
        "captureEnabled": settings.event_hub.capture,
        "iotHubEnabled": settings.iot_hub.enabled,
        "iotHubSku": settings.iot_hub.sku,
        "iotHubUnits": settings.iot_hub.units,
        "streamAnalyticsEnabled": settings.stream_analytics.enabled,
        "streamingUnits": settings.stream_analytics.streaming_units,
        "logRetentionDays": settings.log_retention_days,
        "alertEmail": settings.alerts.email or "",
        "trackingUri": settings.tracking_uri or "",
    }


def _of_nodes(settings: DeployParameters, names: Names) -> dict[str, Any]:
    nodes = settings.nodes
    publisher, offer, sku, version = nodes.vm_image.split(":")
    # The deployed scheduler has no other limits than these; see conf/azure/parameters_jobs.yml.
    limits = JobsParameters()
    return {
        "compute": settings.compute,
        "jobs": jobs_settings(settings, names),
        "vmSize": nodes.vm_size,
        "tasksPerNode": nodes.tasks_per_node,
        "lowPriority": nodes.low_priority,
        "minNodes": nodes.min_nodes,
        "maxNodes": nodes.max_nodes,
        "vmImage": {"publisher": publisher, "offer": offer, "sku": sku, "version": version},
        "nodeAgent": nodes.node_agent,
        # The scheduler derives the same formula from the same settings, and so leaves the pool alone.
        "autoscaleFormula": autoscale_formula(nodes),
        "autoscaleInterval": iso_duration(nodes.autoscale_interval),
        "shardCpu": f"{settings.container_apps.cpu:g}",
        "shardMemoryGb": f"{memory_of(settings.container_apps.cpu):g}",
        "shardTimeout": int(limits.max_wall_time.total_seconds()),
        "shardRetries": limits.retries,
        "batchAiFileServer": nodes.file_server,
        "nodeUser": nodes.user,
        "nodeSshPublicKey": nodes.ssh_public_key or "",
    }


def _of_schedule(settings: DeployParameters) -> dict[str, Any]:
    look_back = look_back_of(settings.schedule.every)
    missing_after = ""
    if look_back is not None:
        minutes = look_back // timedelta(minutes=1)
        missing_after = f"P{look_back.days}D" if look_back.days else f"PT{minutes}M"
    by_cron = settings.scheduler.kind == "container_app_job"
    return {
        "scheduler": settings.scheduler.kind,
        "scoreCron": cron(settings.schedule.every, "deploy.schedule.every") if by_cron else "",
        "scoreTimeout": int(settings.schedule.wait.total_seconds()),
        "retrainCron": (
            cron(settings.retrain.every, "deploy.retrain.every") if by_cron and settings.is_retraining else ""
        ),
        "retrainTimeout": int(settings.retrain.wait.total_seconds()),
        # Templates have no decimal numbers; json() parses them there.
        "schedulerCpu": f"{settings.scheduler.cpu:g}",
        "schedulerMemoryGb": f"{settings.scheduler.memory_gb:g}",
        "schedulerFirst": ",".join(first_pipelines(settings)),
        "scoreRecurrence": recurrence(settings.schedule.every, "deploy.schedule.every"),
        "scoreWaitLimit": iso_duration(settings.schedule.wait),
        "scoreMissingAfter": missing_after,
        "retrainEnabled": settings.is_retraining,
        "retrainRecurrence": recurrence(settings.retrain.every, "deploy.retrain.every"),
        "retrainWaitLimit": iso_duration(settings.retrain.wait),
    }


def _of_network(network: NetworkSettings, name: str) -> dict[str, Any]:
    allow = {"action": "Allow"}
    return {
        "network": name if network.is_private else "",
        "addresses": network.addresses,
        "subnets": {key: str(subnet) for key, subnet in network.subnets.items()},
        "allowed": [{**allow, "value": one} for one in network.allowed],
        "allowedOfVault": [{"value": one} for one in network.allowed],
        "allowedOfHub": [{**allow, "ipMask": one} for one in network.allowed],
    }


def _azure_batch(settings: DeployParameters, names: Names) -> dict[str, Any]:
    pool = {field.name: getattr(settings.nodes, field.name) for field in fields(PoolSettings)}
    lengths = {name: short_text(value) for name, value in pool.items() if isinstance(value, timedelta)}
    return {"pool": names.pool, **pool, **lengths}


def _container_apps(settings: DeployParameters, names: Names) -> dict[str, Any]:
    return {"endpoint": settings.arm_endpoint, "cpu": settings.container_apps.cpu}


def _batch_ai(settings: DeployParameters, names: Names) -> dict[str, Any]:
    nodes = settings.nodes
    container = {}
    if nodes.registry_user is not None:
        container = {"user": nodes.registry_user, "password_secret": "registry-password"}
    return {
        "endpoint": settings.arm_endpoint,
        "location": settings.location,
        "workspace": names.batch_ai_workspace,
        "logs": "$AZ_BATCHAI_MOUNT_ROOT/logs",
        "mounts": [
            {
                "kind": "blob",
                "path": "logs",
                "account": names.storage_account,
                "container": BATCH_AI_LOGS,
                "key_secret": "storage-key",
            }
        ],
        "secrets": {"AZURE_STORAGE_CONNECTION_STRING": "storage-connection"},
        "container": container,
        "file_server": {"name": "files", "vm_size": nodes.vm_size} if nodes.file_server else {},
        "cluster": {
            "name": names.pool,
            "vm_size": nodes.vm_size,
            "priority": "lowpriority" if nodes.low_priority else "dedicated",
            "min_nodes": nodes.min_nodes,
            "max_nodes": nodes.max_nodes,
            "initial_nodes": nodes.min_nodes,
            "user": nodes.user,
            "ssh_public_key": nodes.ssh_public_key,
        },
    }
