"""Open the client of a Batch account, add tasks by the hundred, and read the ends of their files."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from azure.batch import BatchClient, models
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.core.pipeline.policies import RetryPolicy

from batch_scoring.cloud.credentials import token_credential
from batch_scoring.core.errors import InputError
from batch_scoring.jobs.backends.azure_batch.settings import AzureBatchSettings

# The names that Azure's own command line reads.
KEY_VARIABLE, ACCOUNT_VARIABLE = "AZURE_BATCH_ACCESS_KEY", "AZURE_BATCH_ACCOUNT"
LONGEST_WAIT_SECONDS = 30.0
RETRIES = 6
# The service takes no more at once.
CHUNK = 100
# Bytes read from the end of a file.
LAST_BYTES = 64 << 10
_SECONDS_BETWEEN = (0.5, 1.0, 2.0, 4.0)

_REPEATABLE = frozenset({"HEAD", "GET", "PUT", "DELETE", "POST", "PATCH"})


class BoundedRetry(RetryPolicy):  # type: ignore[misc]
    """The SDK's policy (429, 5xx, broken connections), waiting as the service asks, within bounds."""

    def __init__(self) -> None:
        super().__init__(retry_total=RETRIES, retry_status=RETRIES, retry_backoff_max=LONGEST_WAIT_SECONDS)

    def configure_retries(self, options: dict[str, Any]) -> dict[str, Any]:
        """Retry every method: all our requests are idempotent, so a lost answer does no harm."""
        options.setdefault("retry_on_methods", _REPEATABLE)
        settings: dict[str, Any] = super().configure_retries(options)
        return settings

    def get_retry_after(self, response: Any) -> float | None:
        """Return the seconds that the service asked us to wait, at most :data:`LONGEST_WAIT_SECONDS`."""
        asked = super().get_retry_after(response)
        return None if asked is None else min(float(asked), LONGEST_WAIT_SECONDS)


def open_client(settings: AzureBatchSettings, credential: Any = None) -> BatchClient:
    """Open a client, without sending a request.

    Parameters
    ----------
    settings : AzureBatchSettings
    credential : optional
        By default a key of the account in AZURE_BATCH_ACCESS_KEY, else the machine's own identity.

    Raises
    ------
    InputError
        When a setting is missing.
    """
    settings.require_complete()
    key = os.environ.get(KEY_VARIABLE)
    if credential is None and key:
        credential = AzureNamedKeyCredential(os.environ.get(ACCOUNT_VARIABLE) or settings.account, key)
    try:
        return BatchClient(
            str(settings.endpoint),
            token_credential(credential),
            retry_policy=BoundedRetry(),
            connection_timeout=10,
            read_timeout=60,
        )
    except ValueError:
        raise InputError(
            f"{KEY_VARIABLE}: is not a valid key; copy one from the account's page of keys"
        ) from None


def add_tasks(client: BatchClient, job_id: str, tasks: Sequence[models.BatchTaskCreateOptions]) -> int:
    """Add tasks to a job, a hundred per call; return how many are new.

    The SDK's own ``create_tasks`` retries for ever while the service is down, and does not report which
    tasks existed.

    Raises
    ------
    azure.core.exceptions.HttpResponseError
        When the service refuses a call.
    InputError
        When it refuses a task.
    """
    return sum(_add(client, job_id, tasks[first : first + CHUNK]) for first in range(0, len(tasks), CHUNK))


def _add(client: BatchClient, job_id: str, tasks: Sequence[models.BatchTaskCreateOptions]) -> int:
    new, waiting = 0, list(tasks)
    for pause in (*_SECONDS_BETWEEN, None):
        try:
            added = client.create_task_collection(job_id, models.BatchTaskGroup(task_values=waiting))
        except HttpResponseError as error:
            if error.status_code != 413 or len(waiting) == 1:
                raise
            half = len(waiting) // 2
            return new + _add(client, job_id, waiting[:half]) + _add(client, job_id, waiting[half:])
        results = {one.task_id: one for one in added.result_values or []}
        new += sum(one.status == models.BatchTaskAddStatus.SUCCESS for one in results.values())
        _require_accepted(job_id, results.values())
        # Server errors of single tasks may pass.
        failed = {
            name for name, one in results.items() if one.status == models.BatchTaskAddStatus.SERVER_ERROR
        }
        waiting = [task for task in waiting if task.id in failed]
        if not waiting:
            return new
        if pause is not None:
            time.sleep(pause)
    raise InputError(
        f"{job_id}: Azure Batch could not add {len(waiting)} tasks, such as {waiting[0].id}; submit again "
        "later"
    )


def _require_accepted(job_id: str, results: object) -> None:
    for one in results:  # type: ignore[attr-defined]
        code = one.error.code if one.error is not None else ""
        if one.status == models.BatchTaskAddStatus.CLIENT_ERROR and code != "TaskExists":
            text = one.error.message.value if one.error is not None and one.error.message else ""
            raise InputError(f"{job_id}: Azure Batch refused the task {one.task_id} ({code}: {text})")


def last_of_file(client: BatchClient, job_id: str, task_id: str, path: str) -> str | None:
    """Read the end of a file in a task's folder; None where the task or its node is gone."""
    kept, size = b"", 0
    try:
        # As it comes: asking for the size first is a call more, whose failure the SDK logs with a traceback.
        for part in client.download_task_file(job_id, task_id, path):
            kept, size = (kept + part)[-LAST_BYTES:], size + len(part)
    except (ResourceNotFoundError, ResourceExistsError):
        return None
    text = kept.decode("utf-8", "replace")
    # The first line is half a line where the file is longer.
    return text if size <= LAST_BYTES else text.partition("\n")[2]
