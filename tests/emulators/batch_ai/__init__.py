"""A stand-in for Azure Batch AI, API 2018-05-01: https on loopback, jobs that really run as processes."""

from tests.emulators.batch_ai.answers import Answers
from tests.emulators.batch_ai.server import BatchAIServer
from tests.emulators.batch_ai.service import Service
from tests.emulators.batch_ai.storage import AzuriteStorage, FolderStorage

__all__ = ["Answers", "AzuriteStorage", "BatchAIServer", "FolderStorage", "Service"]
