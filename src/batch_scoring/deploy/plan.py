"""Plan a deployment from the project's settings: its names, its place, and the request for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from batch_scoring.core.errors import InputError
from batch_scoring.deploy.arm.place import Place
from batch_scoring.deploy.image.commit import image_tag
from batch_scoring.deploy.names import Names, names_of
from batch_scoring.deploy.settings import DeployParameters, read_settings
from batch_scoring.jobs.context import open_context

if TYPE_CHECKING:
    from batch_scoring.deploy.arm.client import Client
    from batch_scoring.deploy.arm.up import DeploymentRequest

_REGISTRY_VERSION = "2023-07-01"


@dataclass(frozen=True)
class DeploymentPlan:
    """A deployment's settings, and everything derived from them.

    Attributes
    ----------
    settings : DeployParameters
    names : Names
    parameters : mapping
        All of the project's.
    place : Place
    """

    settings: DeployParameters
    names: Names
    parameters: Mapping[str, Any]
    place: Place

    @property
    def tag(self) -> str:
        """Tag of the image."""
        return image_tag(self.settings.image.tag)

    @property
    def data_url(self) -> str:
        """URL of the data's container."""
        return f"https://{self.names.storage_account}.blob.core.windows.net/{self.settings.storage.container}"

    def has_images(self, client: Client) -> tuple[bool, str]:
        """Return whether the registry has the images that the workflows start, and why not."""
        path = f"{self.place.group_id}/providers/Microsoft.ContainerRegistry/registries/{self.names.registry}"
        registry = client.found(path, _REGISTRY_VERSION)
        if registry is None:
            return False, "there is no registry yet"
        host = registry["properties"]["loginServer"]
        from batch_scoring.deploy.image.engine import variant_tag
        from batch_scoring.deploy.image.registry import is_there, login_for

        repository = self.settings.image.repository
        variants = ("score", "train") if self.settings.is_retraining else ("score",)
        try:
            login = login_for(host)
            given = None if login is None else (login.user, login.password)
            for tag in (variant_tag(self.tag, variant) for variant in variants):
                if not is_there(host, repository, tag, given):
                    return False, f"{host}/{repository}:{tag} is not in the registry"
        except InputError as error:
            return False, str(error)
        return True, ""

    def request(self, workflows_fire: bool) -> DeploymentRequest:
        """Build the request for the deployment."""
        from batch_scoring.deploy.arm.up import DeploymentRequest
        from batch_scoring.deploy.template.configured import Configured

        configured = Configured.read(self.parameters, self.tag, workflows_fire)
        return DeploymentRequest(
            configured.template,
            configured.parameters["parameters"],
            stream_job=self.names.stream_job if self.settings.stream_analytics.enabled else None,
            key_vault=self.names.key_vault,
        )


def read(env: str | None) -> DeploymentPlan:
    """Read the plan of a Kedro environment.

    Raises
    ------
    InputError
        When a setting is not valid, or no subscription is set.
    """
    parameters = open_context(None, env).params
    settings = read_settings(parameters)
    names = names_of(settings)
    place = Place(
        settings.require_subscription(),
        names.resource_group,
        settings.location,
        settings.name,
        settings.arm_endpoint,
    )
    return DeploymentPlan(settings, names, parameters, place)
