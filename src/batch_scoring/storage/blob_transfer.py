"""Whole blobs to and from local files, in blocks over several connections at once."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

from azure.storage.blob import BlobBlock, BlobClient

from batch_scoring.storage.blob_service import BLOCK_BYTES, CONNECTIONS, SINGLE_PUT_BYTES


def download(blob: BlobClient, file: IO[bytes], condition: dict[str, Any]) -> None:
    """Fetch a blob into a file, a large one in ranges side by side.

    Parameters
    ----------
    blob : azure.storage.blob.BlobClient
    file : file open for writing, empty
    condition : dict
        ``etag`` and ``match_condition``: all ranges are of one version, or it fails.
    """
    blob.download_blob(max_concurrency=CONNECTIONS, **condition).readinto(file)


def upload(blob: BlobClient, path: Path, condition: dict[str, Any]) -> str:
    """Store a file as a blob, whole or not at all.

    A small one goes with one request. The blocks of a larger one are staged side by side and committed
    together. Their names are this call's own: the SDK names the blocks of every upload alike, so two
    writers of one blob would commit a mixture.

    Parameters
    ----------
    blob : azure.storage.blob.BlobClient
    path : Path
    condition : dict
        ``etag`` and ``match_condition`` that must hold when it appears.

    Returns
    -------
    str
        Its new ETag.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= SINGLE_PUT_BYTES:
            done = blob.upload_blob(file, length=size, overwrite=True, **condition)
            return str(done["etag"])
        own = uuid.uuid4().hex

        def name(start: int) -> str:
            return f"{own}{start:016x}"

        def stage(start: int) -> None:
            blob.stage_block(name(start), os.pread(file.fileno(), BLOCK_BYTES, start))

        _side_by_side(stage, range(0, size, BLOCK_BYTES))
        blocks = [BlobBlock(name(start)) for start in range(0, size, BLOCK_BYTES)]
        return str(blob.commit_block_list(blocks, **condition)["etag"])


def _side_by_side(work: Callable[[int], None], starts: range) -> None:
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        futures = [threads.submit(work, start) for start in starts]
        try:
            for future in futures:
                future.result()
        except BaseException:
            threads.shutdown(wait=True, cancel_futures=True)
            raise
