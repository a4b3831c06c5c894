"""Reads what the service has kept of a job's output, by the signed addresses that it gives."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Sequence

from azure.mgmt.batchai import models

# The directory that holds what a job has printed, by the service's name for it.
STDOUTERR = "stdouterr"
# Of each file so much is shown, from its end.
_MOST_BYTES = 64 * 1024


def read_output(files: Sequence[models.File]) -> str | None:
    """The ends of a job's files below each other, each under its name; None: there is none."""
    there = sorted((file for file in files if file.file_type == "file"), key=lambda file: file.name)
    return "\n".join(f"== {file.name}\n{_tail(file)}" for file in there) or None


def _tail(file: models.File) -> str:
    """The end of a file that a job has printed; its address holds a signature and is in no message."""
    size = file.content_length or 0
    if not size or not file.download_url.startswith(("https://", "http://")):
        return ""
    asked = urllib.request.Request(
        file.download_url, headers={"Range": f"bytes={max(0, size - _MOST_BYTES)}-{size - 1}"}
    )
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return str(answer.read().decode("utf-8", "replace"))
    except (urllib.error.URLError, TimeoutError) as error:
        why = error.code if isinstance(error, urllib.error.HTTPError) else "no answer"
        return f"(cannot be read: {why}; see that this machine may read the account of jobs.batch_ai.logs)"
