"""A stand-in for the data plane of Azure Batch: pools, jobs, tasks and files, on nodes that really run."""

from tests.emulators.azure_batch.server import AzureBatch

__all__ = ["AzureBatch"]
