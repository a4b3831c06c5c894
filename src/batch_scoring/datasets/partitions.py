"""A table in many Parquet files, one a sensor and day: ``<root>/<sensor>/<date>.parquet``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scoring.datasets.own import FolderDataset
from batch_scoring.storage import Entry
from batch_scoring.storage.parquet import REMAKE, open_parquet, save_parquet
from batch_scoring.storage.read_ahead import open_ahead
from batch_scoring.tables.streams import Stream

SUFFIX = ".parquet"


class ArrowPartitions(FolderDataset[dict[str, pa.Table | Stream], dict[str, Callable[[], pq.ParquetFile]]]):
    """The files of a folder as partitions, named by their paths in it; an empty folder is not an error.

    ``load`` gives ``{partition: function that opens the file}`` in the order of the names,
    ``save`` takes ``{partition: table or Stream}`` and replaces just these partitions, each of
    them atomically. A generator node may save many times.

    Parameters
    ----------
    path : str
        A local folder, or a URL of Blob Storage.
    if_damaged : str
        What a person is to do with a file that cannot be read. Most tables are made again from the table
        before; readings are not, since their sources count as read.
    **more
        Of :class:`.OwnDataset`.
    """

    def __init__(self, path: str, if_damaged: str = REMAKE, **more: Any) -> None:
        super().__init__(path, **more)
        self._if_damaged = if_damaged

    def load(self) -> dict[str, Callable[[], Any]]:
        """List every partition by name, unopened."""
        return {key: opened for key, (_, opened) in self._partitions().items()}

    def save(self, data: dict[str, pa.Table | Stream]) -> None:
        """Write these partitions."""
        for key, rows in sorted(data.items()):
            save_parquet(self._folder, f"{key}{SUFFIX}", rows)

    def _partitions(self) -> dict[str, tuple[Entry, Callable[[], pq.ParquetFile]]]:
        """Return the entry of each partition, and a function that opens it."""
        entries = {entry.name.removesuffix(SUFFIX): entry for entry in self._folder.entries(SUFFIX)}
        keys = sorted(entries)
        sources = open_ahead(self._folder, [entries[key] for key in keys])
        openers = [self._opener(key, source) for key, source in zip(keys, sources, strict=True)]
        return {key: (entries[key], opened) for key, opened in zip(keys, openers, strict=True)}

    def _opener(self, key: str, source: Callable[[], Any]) -> Callable[[], pq.ParquetFile]:
        return lambda: open_parquet(self._folder, f"{key}{SUFFIX}", source(), self._if_damaged)

    def _exists(self) -> bool:
        return bool(self._folder.entries(SUFFIX))
