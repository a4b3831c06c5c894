"""Plan a deployment from the settings: its names, its place, its template, and the request for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from batch_scoring.core.commit import read_commit
from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import read_parameters
from batch_scoring.deploy.arm.place import Place
from batch_scoring.deploy.durations import short_text
from batch_scoring.deploy.names import Names, names_of
from batch_scoring.deploy.settings import DeployParameters, read_settings
from batch_scoring.jobs.context import open_context
from batch_scoring.jobs.settings import JobsParameters

if TYPE_CHECKING:
    from batch_scoring.deploy.arm.client import Client
    from batch_scoring.deploy.arm.up import DeploymentRequest
    from batch_scoring.deploy.image.engine import Build

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
    """

    settings: DeployParameters
    names: Names
    parameters: Mapping[str, Any]

    @property
    def tag(self) -> str:
        """Tag of the image: the given one, or that of the version and the commit of this tree of files."""
        from batch_scoring import __version__

        return self.settings.image.tag or read_commit(Path.cwd()).tag(__version__)

    def image(self, variant: str) -> Build:
        """Describe the image of a variant, to be built from this tree of files."""
        from batch_scoring import __version__
        from batch_scoring.deploy.image.engine import Build, image_name

        name = image_name(self.settings.image.repository, self.tag, variant)
        return Build(name, self.settings.image.base, variant, __version__, read_commit(Path.cwd()))

    @property
    def place(self) -> Place:
        """Where it lies; raises InputError where no subscription is set."""
        settings, subscription = self.settings, self.settings.require_subscription()
        group = self.names.resource_group
        return Place(subscription, group, settings.location, settings.name, settings.arm_endpoint)

    @property
    def data_url(self) -> str:
        """URL of the data's container; raises InputError without a subscription, which changes names."""
        self.settings.require_subscription()
        return f"https://{self.names.storage_account}.blob.core.windows.net/{self.settings.storage.container}"

    def template(
        self,
        workflows_enabled: bool = True,
        deployer: str = "",
        digests: Mapping[str, str] = MappingProxyType({}),
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Build the ARM template and its parameters, as files of the Azure Resource Manager.

        Parameters
        ----------
        workflows_enabled : bool
        deployer : str
            Object id of who deploys, and so may push models and data; empty for nobody.
        digests : mapping of str to str
            Of the images by their variants, see :meth:`image_digests`; the others are named by their tags.
        """
        from batch_scoring.deploy.image.engine import variant_tag
        from batch_scoring.deploy.stream_analytics.query import configured_query
        from batch_scoring.deploy.template.build import build_template
        from batch_scoring.deploy.template.parameters import build_parameters

        repository = self.settings.image.repository
        images = {
            variant: f"{repository}@{digests[variant]}"
            if variant in digests
            else f"{repository}:{variant_tag(self.tag, variant)}"
            for variant in ("score", "train")
        }
        parameters = build_parameters(self.settings, self.names, images, workflows_enabled, deployer)
        return build_template(configured_query(self.parameters), parameters)

    def image_digests(self, client: Client) -> tuple[dict[str, str], str]:
        """Return the digests of the images that the workflows start, by variant; or none, and why.

        A tag may be moved to another image later, a digest may not.
        """
        path = f"{self.place.group_id}/providers/Microsoft.ContainerRegistry/registries/{self.names.registry}"
        registry = client.found(path, _REGISTRY_VERSION)
        if registry is None:
            return {}, "there is no registry yet"
        host = registry["properties"]["loginServer"]
        from batch_scoring.deploy.image.engine import variant_tag
        from batch_scoring.deploy.image.registry import find_digest, login_for

        repository = self.settings.image.repository
        variants = ("score", "train") if self.settings.is_retraining else ("score",)
        found: dict[str, str] = {}
        try:
            login = login_for(host)
            for variant in variants:
                tag = variant_tag(self.tag, variant)
                digest = find_digest(host, repository, tag, login)
                if digest is None:
                    return {}, f"{host}/{repository}:{tag} is not in the registry"
                found[variant] = digest
        except InputError as error:
            return {}, str(error)
        return found, ""

    def request(
        self, workflows_fire: bool, deployer: str, digests: Mapping[str, str] = MappingProxyType({})
    ) -> DeploymentRequest:
        """Build the request for the deployment; see :meth:`template`."""
        from batch_scoring.deploy.arm.up import DeploymentRequest

        template, parameters = self.template(workflows_fire, deployer, digests)
        return DeploymentRequest(
            template,
            parameters["parameters"],
            stream_job=self.names.stream_job if self.settings.stream_analytics.enabled else None,
            key_vault=self.names.key_vault,
            unwanted=self._unwanted(workflows_fire),
        )

    def _unwanted(self, workflows_fire: bool) -> tuple[tuple[str, str], ...]:
        """Ids and API versions of schedulers that must not fire: of the other kind, or while none may.

        A deployment leaves alone what its template does not have.
        """
        names, group = self.names, f"{self.place.group_id}/providers"
        workflows, jobs = [names.score_workflow, names.retrain_workflow], [names.score_job, names.retrain_job]
        if self.settings.scheduler.kind == "logic_app":
            workflows = []
        elif workflows_fire:
            jobs = [] if self.settings.is_retraining else [names.retrain_job]
        return (
            *((f"{group}/Microsoft.Logic/workflows/{name}", "2019-05-01") for name in workflows),
            *((f"{group}/Microsoft.App/jobs/{name}", "2026-07-01") for name in jobs),
        )


def require_limits(settings: DeployParameters, jobs: JobsParameters) -> None:
    """Check that what a scheduler waits for ends before the scheduler is ended.

    Raises
    ------
    InputError
        Naming the two settings.
    """
    for where, wait in (
        ("deploy.schedule", settings.schedule.wait),
        ("deploy.retrain", settings.retrain.wait),
    ):
        for name in ("max_wall_time", "wait_for_nodes"):
            limit = getattr(jobs, name)
            if limit >= wait:
                raise InputError(
                    f"{where}.wait: {short_text(wait)} is not longer than jobs.{name} ({short_text(limit)}); "
                    "the scheduler would be ended before it can say what became of its jobs: raise the one, "
                    "or lower the other"
                )
    interval = settings.nodes.autoscale_interval
    if settings.compute != "container_apps" and interval >= settings.schedule.wait:
        raise InputError(
            f"deploy.nodes.autoscale_interval: {short_text(interval)} is not shorter "
            f"than deploy.schedule.wait ({short_text(settings.schedule.wait)}); nodes would come too late"
        )


def read_plan(env: str | None, params: str = "", tag: str | None = None) -> DeploymentPlan:
    """Read the plan of a Kedro environment.

    Parameters
    ----------
    env : str or None
    params : str
        As ``--params`` has them.
    tag : str, optional
        Of the image, in place of ``deploy.image.tag``.

    Raises
    ------
    InputError
        When a setting is not valid.
    """
    parameters = open_context(None, env, params).params
    settings = read_settings(parameters)
    require_limits(settings, read_parameters(JobsParameters, parameters.get("jobs"), "jobs"))
    if tag is not None:
        settings = replace(settings, image=replace(settings.image, tag=tag))
    return DeploymentPlan(settings, names_of(settings), parameters)
