"""Chunks that a node yields, stored as the catalog stores them and loaded again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scoring.datasets.partitions import ArrowPartitions


class Store:
    """Partitions in a folder, as several datasets of the catalog share it."""

    def __init__(self, folder: Path) -> None:
        self._dataset = ArrowPartitions(str(folder))

    def save(self, chunks: dict[str, Any] | Iterable[dict[str, Any]]) -> list[str]:
        """Save one chunk or many; which partitions were written."""
        written = []
        for chunk in [chunks] if isinstance(chunks, dict) else chunks:
            self._dataset.save(chunk)
            written += sorted(chunk)
        return written

    def load(self) -> dict[str, Callable[[], pq.ParquetFile]]:
        """What a node gets."""
        return self._dataset.load()

    def table(self) -> pa.Table:
        """All rows of all partitions."""
        return pa.concat_tables([load().read() for load in self.load().values()])
