"""Tables of rows in a folder, written and read as the catalog does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from batch_scoring.datasets.row_tables import RowTableDataset
from batch_scoring.storage.row_table import Change, RowTable, Update


class TableOnDisk:
    """A table in a folder, by time where a column is named."""

    def __init__(self, folder: Path, time: str | None = None) -> None:
        self._dataset = RowTableDataset(str(folder), time)

    def load(self) -> RowTable:
        """What a node gets."""
        return self._dataset.load()

    def save(self, update: Update) -> bool:
        """Commit an update as the catalog does; whether it changed anything."""
        before = self.load().version
        self._dataset.save(update)
        return self.load().version != before

    def add(self, *parts: pa.Table, **change: Any) -> None:
        """Add tables of one schema, each in files of its own."""
        self.save(lambda _: Change(parts[0].schema, [[part] for part in parts], **change))

    def replace(self, *parts: pa.Table) -> None:
        """Put tables in place of all rows."""
        self.add(*parts, replaces_all=True)

    def change(self, function: Callable[[pa.Table], pa.Table]) -> None:
        """Put what a function makes of all rows in their place."""
        self.replace(function(self.load().read()))

    def rows(self, *order: str) -> list[dict[str, Any]]:
        """All rows, sorted by these columns."""
        table = self.load()
        if not table.exists:
            return []
        rows = table.read().sort_by([(name, "ascending") for name in order])
        found: list[dict[str, Any]] = rows.to_pylist()
        return found
