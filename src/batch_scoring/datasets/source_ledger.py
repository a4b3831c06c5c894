"""The ledger of ingested source files: what was read of each, and when that was written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from batch_scoring.datasets.partitions import ArrowPartitions


@dataclass(frozen=True)
class LedgerEntry:
    """A source file's page in the ledger.

    Attributes
    ----------
    open : callable
        Opens the page, a Parquet file of one row.
    written_ns : int
        When the page was written, nanoseconds since the epoch. It is the file's own time and not
        in its bytes, so the same sources give the same ledger whenever they are ingested.
    """

    open: Callable[[], pq.ParquetFile]
    written_ns: int


class SourceLedger(ArrowPartitions):
    """:class:`ArrowPartitions` that tells besides when each partition was written."""

    def load(self) -> dict[str, Any]:
        """The ledger's pages by partition."""
        return {
            key: LedgerEntry(opened, Path(self._partition_to_path(key)).stat().st_mtime_ns)
            for key, opened in super().load().items()
        }
