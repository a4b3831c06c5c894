"""The ledger of ingested source files: what was read of each, and when that was written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
    clock : str
        Whose time that is; ``"local"`` or a storage account.
    """

    open: Callable[[], pq.ParquetFile]
    written_ns: int
    clock: str = "local"


class SourceLedger(ArrowPartitions):
    """:class:`ArrowPartitions` that tells besides when each partition was written."""

    def load(self) -> dict[str, Any]:
        """The ledger's pages by partition."""
        return {
            key: LedgerEntry(opened, entry.changed_ns, self._folder.clock)
            for key, (entry, opened) in self._partitions().items()
        }
