"""The one ARM template of everything that is deployed, with what is put into it, and its parameters."""

from batch_scoring.deploy.template.build import build_template, resource_of_type
from batch_scoring.deploy.template.parameters import build_parameters

__all__ = ["build_parameters", "build_template", "resource_of_type"]
