"""Build the template and its parameters from a project's own settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batch_scoring.deploy.image.commit import image_tag
from batch_scoring.deploy.names import Names, names_of
from batch_scoring.deploy.settings import DeployParameters, read_settings
from batch_scoring.deploy.stream_analytics.query import configured_query
from batch_scoring.deploy.template.build import build_template
from batch_scoring.deploy.template.parameters import build_parameters
from batch_scoring.deploy.workflow.definition import workflow_definition


@dataclass(frozen=True)
class Configured:
    """Settings, and the template and parameters derived from them.

    Attributes
    ----------
    settings : DeployParameters
    names : Names
    template, parameters : dict
        Both as files of the Azure Resource Manager.
    """

    settings: DeployParameters
    names: Names
    template: dict[str, Any]
    parameters: dict[str, Any]

    @classmethod
    def read(
        cls, project_parameters: Mapping[str, Any], tag: str | None = None, workflows_enabled: bool = True
    ) -> Configured:
        """Build it from all parameters of a project.

        Parameters
        ----------
        project_parameters : mapping
        tag : str, optional
            Of the image, in place of ``deploy.image.tag``.
        workflows_enabled : bool
            Whether the workflows are enabled.

        Raises
        ------
        InputError
            When a setting is not valid.
        """
        settings = read_settings(project_parameters)
        names = names_of(settings)
        image = f"{settings.image.repository}:{image_tag(tag or settings.image.tag)}"
        return cls(
            settings,
            names,
            build_template(configured_query(project_parameters), workflow_definition),
            build_parameters(settings, names, image, workflows_enabled),
        )
