"""A stand-in for Azure Container Instances, whose containers really run."""

from tests.emulators.container_instances.service import ContainerInstances

__all__ = ["ContainerInstances"]
