"""Derive the names of all resources from the deployment's name, by Azure's rules; calls nothing of Azure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass, fields

from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import suggestion
from batch_scoring.deploy.settings import DeployParameters

# Azure's pattern of each name, and the same in words.
_HYPHENS = (
    r"[A-Za-z](-?[A-Za-z0-9])*",
    "letters, digits and single '-' between them, a letter first",
)
_LOOSE = (r"[A-Za-z0-9][\w.-]*", "letters, digits, '-', '_' and '.', a letter or digit first")
_ID = (r"[\w-]+", "letters, digits, '-' and '_'")
_LOWER = (r"[a-z0-9]+", "lower-case letters and digits only")
_RULES: dict[str, tuple[int, int, tuple[str, str]]] = {
    "resource_group": (
        1,
        90,
        (r"[\w.()-]*[\w()-]", "letters, digits, '-_.()', no '.' last"),
    ),
    "storage_account": (3, 24, _LOWER),
    "key_vault": (3, 24, _HYPHENS),
    "identity": (3, 128, (r"[A-Za-z0-9][\w-]*", "letters, digits, '-' and '_', a letter or digit first")),
    "registry": (5, 50, (r"[A-Za-z0-9]+", "letters and digits only")),
    "event_hub_namespace": (6, 50, _HYPHENS),
    "event_hub": (1, 256, _LOOSE),
    "consumer_group": (1, 50, _LOOSE),
    "iot_hub": (3, 50, (r"[A-Za-z0-9](-?[A-Za-z0-9])*", "letters, digits and single '-' between them")),
    "stream_job": (3, 63, _ID),
    "batch_account": (3, 24, _LOWER),
    "pool": (1, 64, _ID),
    "container_apps_environment": (2, 60, _HYPHENS),
    "job": (
        *(2, 32),
        (r"[a-z](-?[a-z0-9])*", "lower-case letters, digits and single '-' between them, a letter first"),
    ),
    "batch_ai_workspace": (1, 64, _ID),
    "log_workspace": (4, 63, (r"[A-Za-z0-9](-?[A-Za-z0-9])*", "letters, digits and single '-' between them")),
    "insights": (1, 255, _LOOSE),
    # Others are named after it, so it may not be as long as Azure allows.
    "network": (2, 50, _LOOSE),
    "score_workflow": (1, 43, _LOOSE),
    "retrain_workflow": (1, 43, _LOOSE),
}


@dataclass(frozen=True)
class Names:
    """Names of all resources; the defaults are what :func:`names_of` fills in.

    Attributes
    ----------
    identity : str
        Of the scheduler's container; it submits jobs and receives events.
    jobs_identity : str
        Of the nodes; it reads and writes data.
    workflow_identity : str
        Of the workflows; it starts and deletes containers and sees no data.
    consumer_group : str
        Of the pipeline ``receive``; the Stream Analytics job has ``stream_consumer_group`` for itself.
    iot_identity : str
        Of the IoT Hub; it sends to the event hub.
    pool : str
        Of Azure Batch, or the cluster of Batch AI.
    shards_job : str
        Of Container Apps: the job that is started once a shard.
    score_job, retrain_job : str
        Of Container Apps: the jobs with a cron, in the place of the two workflows.
    """

    resource_group: str = "{group}"
    storage_account: str = "st{letters}{digest}"
    key_vault: str = "kv-{name}-{digest}"
    identity: str = "id-{name}-scheduler"
    jobs_identity: str = "id-{name}-jobs"
    workflow_identity: str = "id-{name}-workflow"
    registry: str = "cr{letters}{digest}"
    event_hub_namespace: str = "evhns-{name}-{digest}"
    event_hub: str = "readings"
    consumer_group: str = "batch-scoring"
    stream_consumer_group: str = "stream-analytics"
    iot_hub: str = "iot-{name}-{digest}"
    iot_identity: str = "id-{name}-iot"
    stream_job: str = "asa-{name}"
    batch_account: str = "ba{letters}{digest}"
    pool: str = "{name}"
    container_apps_environment: str = "cae-{name}"
    shards_job: str = "caj-{name}-shards"
    batch_ai_workspace: str = "bai-{name}"
    log_workspace: str = "log-{name}"
    insights: str = "appi-{name}"
    network: str = "vnet-{name}"
    score_workflow: str = "logic-{name}-score"
    retrain_workflow: str = "logic-{name}-retrain"
    score_job: str = "caj-{name}-score"
    retrain_job: str = "caj-{name}-retrain"

    @property
    def registry_host(self) -> str:
        """Host of the registry of images."""
        return f"{self.registry}.azurecr.io"


def names_of(settings: DeployParameters) -> Names:
    """Derive the names of a deployment.

    Globally unique names end in six digits of a digest of subscription, resource group and name: the same
    settings give the same names.

    Raises
    ------
    InputError
        When a name breaks Azure's rules, or ``deploy.names`` has an unknown resource.

    Examples
    --------
    >>> names_of(DeployParameters(name="plant-7")).storage_account
    'stplant7...'
    """
    name, group = settings.name, settings.resource_group or f"rg-{settings.name}"
    # Azure ignores the case of all three.
    made_of = "/".join((settings.subscription or "", group, name)).lower()
    digest = hashlib.sha256(made_of.encode()).hexdigest()[:6]
    about = {"name": name, "group": group, "letters": name.replace("-", ""), "digest": digest}
    made = {field.name: str(field.default).format(**about) for field in fields(Names)}
    names = Names(**{**made, **_given(settings.names)})
    for key, chosen in asdict(names).items():
        if (fault := name_fault(key, chosen)) is not None:
            where = "deploy.resource_group" if key == "resource_group" else f"deploy.names.{key}"
            raise InputError(f"{where}: {fault}")
    return names


def _given(names: dict[str, object]) -> dict[str, str]:
    known = [field.name for field in fields(Names) if field.name != "resource_group"]
    for key, value in names.items():
        if key not in known:
            hint = suggestion(key, known) or f"known are: {', '.join(known)}"
            raise InputError(f"deploy.names.{key}: there is no such resource; {hint}")
        if not isinstance(value, str):
            raise InputError(f"deploy.names.{key}: expected text, got {value!r}")
    return {key: str(value) for key, value in names.items()}


def name_fault(rule: str, name: str) -> str | None:
    """Return what is wrong with a name, or None.

    Parameters
    ----------
    rule : str
        A field of :class:`Names`; those of identities, consumer groups and jobs share one.
    name : str

    Examples
    --------
    >>> name_fault("storage_account", "Plant_7")
    "'Plant_7' is not valid; expected 3 to 24 lower-case letters and digits only"
    """
    key = next(key for key in (rule, rule.partition("_")[2]) if key in _RULES)
    least, most, (pattern, words) = _RULES[key]
    if least <= len(name) <= most and re.fullmatch(pattern, name, re.ASCII):
        return None
    return f"{name!r} is not valid; expected {least} to {most} {words}"
