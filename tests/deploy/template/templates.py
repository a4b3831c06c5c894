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

DEPLOYER = "00000000-0000-4000-8000-0000000000de"
IMAGES = {"score": "batch-scoring:1.0.0", "train": "batch-scoring:1.0.0-train"}
SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me"
# What is deployed of each compute, with everything that can be chosen.
LOGIC_APP = {"kind": "logic_app"}
EVERYTHING: dict[str, dict[str, Any]] = {
    "azure_batch": {
        "scheduler": LOGIC_APP,
        "event_hub": {"capture": True},
        "alerts": {"email": "ops@example.com"},
        "tracking_uri": "https://mlflow.example.com",
    },
    "container_apps": {
        "compute": "container_apps",
        "alerts": {"email": "ops@example.com"},
        "tracking_uri": "https://mlflow.example.com",
    },
    "batch_ai": {
        "scheduler": LOGIC_APP,
        "compute": "batch_ai",
        "alerts": {"email": "ops@example.com"},
        "nodes": {"ssh_public_key": SSH, "file_server": True, "registry_user": "puller"},
    },
    "keys": {"event_hub": {"keys": True}},
    "iot_hub": {"iot_hub": {"enabled": True}},
    "private": {"network": {"access": "private"}, "scheduler": LOGIC_APP},
    "plain": {
        "stream_analytics": {"enabled": False},
        "retrain": {"enabled": False},
        "scheduler": LOGIC_APP,
        "schedule": {"every": "2d", "wait": "1h"},
        "storage": {"archive_after_days": None, "delete_logs_after_days": None},
    },
}


def settings_of(**changed: Any) -> DeployParameters:
    return read_settings({"deploy": changed})


def built(settings: DeployParameters, enabled: bool = True) -> tuple[dict[str, Any], dict[str, Any]]:
    """The template of settings and its parameters, as they are deployed."""
    given = build_parameters(settings, names_of(settings), IMAGES, enabled, DEPLOYER)
    return build_template(WindowsQuery(), given)


def template(settings: DeployParameters | None = None) -> dict[str, Any]:
    return built(settings or settings_of())[0]


def parameters(settings: DeployParameters, enabled: bool = True) -> dict[str, Any]:
    return built(settings, enabled)[1]


def report_of(chosen: str, template_: dict[str, Any] | None = None) -> Report:
    """What a check says of one of ``EVERYTHING``."""
    settings = settings_of(**EVERYTHING[chosen])
    whole, given = built(settings)
    return check_template(
        whole if template_ is None else template_,
        given,
        names_of(settings).resource_group,
        settings.location,
    )


def deployed(chosen: str, template_: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """The resources that are deployed, evaluated."""
    return [one.body for one in report_of(chosen, template_).resources]


def of_type(resources: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [one for one in resources if one["type"] == kind]


PROJECT = Path(__file__).parents[3]
