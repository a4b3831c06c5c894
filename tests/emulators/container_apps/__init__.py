"""A stand-in for jobs of Azure Container Apps, whose replicas really run, below the Resource Manager's."""

from tests.emulators.container_apps.service import ContainerApps

__all__ = ["ContainerApps"]
