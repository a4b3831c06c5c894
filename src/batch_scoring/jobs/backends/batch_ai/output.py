"""Read a job's output from the signed URLs that the service gives."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Sequence

from azure.mgmt.batchai import models

# The service's name of the directory with a job's output.
STDOUTERR = "stdouterr"
# Shown from the end of each file.
_MOST_BYTES = 64 * 1024


def read_output(files: Sequence[models.File]) -> str | None:
    """Read the ends of a job's files, each under its name; None without files."""
    there = sorted((file for file in files if file.file_type == "file"), key=lambda file: file.name)
    return "\n".join(f"== {file.name}\n{_tail(file)}" for file in there) or None


def _tail(file: models.File) -> str:
    """Read the end of an output file; its URL holds a signature and stays out of messages."""
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
        return f"(cannot be read: {why}; check that this machine may read the account of jobs.batch_ai.logs)"
