"""Build and check the ARM template of the whole deployment, and its parameters."""

from batch_scoring.deploy.template.build import build_template, resource_of_type
from batch_scoring.deploy.template.parameters import build_parameters

__all__ = ["build_parameters", "build_template", "resource_of_type"]
