"""The ledger of ingested source files: what was read from each, and when it was recorded."""

from __future__ import annotations

from typing import Any

from batch_scoring.datasets.partitions import ArrowPartitions
from batch_scoring.ingestion.ledger import LedgerEntry


class SourceLedger(ArrowPartitions):
    """:class:`ArrowPartitions` that also gives the time when each partition was written."""

    def load(self) -> dict[str, Any]:
        """Load the ledger's pages by partition."""
        return {
            key: LedgerEntry(opened, entry.changed_ns, self._folder.clock)
            for key, (entry, opened) in self._partitions().items()
        }
