"""Templates and parameters of given settings, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from batch_scoring.deploy.names import names_of
from batch_scoring.deploy.settings import DeployParameters, read_settings
from batch_scoring.deploy.stream_analytics.query import WindowsQuery
from batch_scoring.deploy.template.build import build_template
from batch_scoring.deploy.template.check import Report, check_template
from batch_scoring.deploy.template.parameters import build_parameters

SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me"
# What is deployed of each compute, with everything that can be chosen.
EVERYTHING: dict[str, dict[str, Any]] = {
    "azure_batch": {
        "event_hub": {"capture": True},
        "alerts": {"email": "ops@example.com"},
        "tracking_uri": "https://mlflow.example.com",
    },
    "batch_ai": {
        "compute": "batch_ai",
        "alerts": {"email": "ops@example.com"},
        "nodes": {"ssh_public_key": SSH, "file_server": True, "registry_user": "puller"},
    },
    "plain": {
        "stream_analytics": {"enabled": False},
        "retrain": {"enabled": False},
        "schedule": {"every": "2d", "wait": "1h"},
        "storage": {"archive_after_days": None, "delete_logs_after_days": None},
    },
}


def settings_of(**changed: Any) -> DeployParameters:
    return read_settings({"deploy": changed})


def template() -> dict[str, Any]:
    return build_template(WindowsQuery())


def parameters(settings: DeployParameters, enabled: bool = True) -> dict[str, Any]:
    return build_parameters(settings, names_of(settings), "batch-scoring:1.0.0", enabled)


def report_of(chosen: str, template_: dict[str, Any] | None = None) -> Report:
    """What a check says of one of ``EVERYTHING``."""
    settings = settings_of(**EVERYTHING[chosen])
    return check_template(
        template() if template_ is None else template_,
        parameters(settings),
        names_of(settings).resource_group,
        settings.location,
    )


def deployed(chosen: str, template_: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """The resources that are deployed, evaluated."""
    return [one.body for one in report_of(chosen, template_).resources if one.is_deployed]


def of_type(resources: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [one for one in resources if one["type"] == kind]


PROJECT = Path(__file__).parents[3]
