"""Blobs to and from files: our storage beside azure-storage-blob alone, over one Azurite, in turn.

Bare is what a plain program does with the same number of connections: ``upload_blob(file,
max_concurrency=4)`` and ``download_blob(max_concurrency=4).readinto(file)`` with the SDK's own sizes of
block. Ours writes under a condition on the blob's version, and reads one version of it into a file.
The bytes that come back are compared before a time is told.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.emulators.azurite import Azurite

MIB = 1 << 20
# A partition of a small fleet, one of a large fleet, and a file of models.
SIZES = {"1 MiB": (1 * MIB, 20), "16 MiB": (16 * MIB, 4), "128 MiB": (128 * MIB, 1)}
CONNECTIONS = 4


def measure(rounds: int) -> dict[str, float]:
    """Speeds in MB/s and their ratios, of blobs of three sizes and all of them together."""
    os.environ.pop("AZURE_STORAGE_SAS_TOKEN", None)
    with Azurite() as azurite, tempfile.TemporaryDirectory() as folder:
        os.environ["AZURE_STORAGE_CONNECTION_STRING"] = azurite.connection_string()
        return _measure(rounds, azurite.make_container(), Path(folder))


def _measure(rounds: int, container: str, folder: Path) -> dict[str, float]:
    from azure.storage.blob import ContainerClient

    from batch_scoring.storage import Entry, open_folder

    ours = open_folder(f"abfs://{container}/ours")
    bare = ContainerClient.from_connection_string(os.environ["AZURE_STORAGE_CONNECTION_STRING"], container)
    source, copies = folder / "source", folder / "copies"
    copies.mkdir()
    listed: dict[str, Entry] = {}
    seconds: dict[tuple[str, str, str], list[float]] = {}

    def write_bare(n: int) -> None:
        with source.open("rb") as file:
            bare.upload_blob(f"bare/{n}", file, overwrite=True, max_concurrency=CONNECTIONS)

    def read_bare(n: int) -> None:
        with (folder / "bare").open("wb") as file:
            bare.download_blob(f"bare/{n}", max_concurrency=CONNECTIONS).readinto(file)

    def read_ours(n: int) -> None:
        # The datasets know what is there from a listing.
        if n == 0:
            listed.update({entry.name: entry for entry in ours.entries()})
        ours.local_copy(str(n), copies, listed[str(n)]).replace(folder / "ours")

    def write_ours(n: int) -> None:
        ours.put(str(n), source)

    # Each side first in every other round.
    contenders = [("bare", write_bare, read_bare), ("ours", write_ours, read_ours)]
    for size, (n_bytes, n_files) in SIZES.items():
        source.write_bytes(os.urandom(n_bytes))
        for turn in range(rounds + 1):
            for who, write, read in contenders[:: 1 if turn % 2 else -1]:
                spent = [_time(work, n_files) for work in (write, read)]
                if (folder / who).read_bytes() != source.read_bytes():
                    raise SystemExit(f"{who}: other bytes came back")
                if turn:  # the first is to warm up
                    for what, took in zip(("write", "read"), spent, strict=True):
                        seconds.setdefault((what, size, who), []).append(took)
    return _figures({key: statistics.median(times) for key, times in seconds.items()})


def _time(work: Callable[[int], None], n_files: int) -> float:
    began = time.perf_counter()
    for n in range(n_files):
        work(n)
    return time.perf_counter() - began


def _figures(seconds: dict[tuple[str, str, str], float]) -> dict[str, float]:
    figures = {}
    for what in ("write", "read"):
        for size, (n_bytes, n_files) in SIZES.items():
            took = {who: seconds[what, size, who] for who in ("bare", "ours")}
            figures[f"blob_{what}_{size.replace(' ', '')}_ours_mb_s"] = n_bytes * n_files / took["ours"] / 1e6
            figures[f"blob_{what}_{size.replace(' ', '')}_ratio"] = took["bare"] / took["ours"]
        totals = {who: sum(seconds[what, size, who] for size in SIZES) for who in ("bare", "ours")}
        figures[f"blob_{what}_over_bare"] = totals["bare"] / totals["ours"]
    figures["blob_over_bare"] = min(figures["blob_write_over_bare"], figures["blob_read_over_bare"])
    return figures
