"""A workspace of predictions, its incidents and what was told of them, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scoring.datasets.parquet import ArrowParquetDataset, OptionalParquetDataset
from batch_scoring.pipelines.incidents.nodes import find_incidents, notify, rank_devices
from tests.partitions import Store
from tests.predictions import draw_days, window_number

# Windows that are drawn for a day: the rest of it has none.
PER_DAY = 6


class Work:
    """Predictions that are drawn, and the nodes of ``incidents``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.predictions, self.incidents = Store(folder / "p"), Store(folder / "i")
        self.unfinished = Store(folder / "u")
        self.ranking, self.ledger = folder / "d.parquet", folder / "n.parquet"

    def draw(self, series: dict[str, str], sensor: str = "s", day: int = 0) -> list[str]:
        """Store the predictions of a sensor from a day on, six windows a day."""
        return self.predictions.save(draw_days(series, sensor, day * 288, PER_DAY))

    def find(self, device: Any = None, sensor: Any = None, save: int = 2, **settings: Any) -> list[str]:
        """Run the node; which days it wrote. ``save`` ends it early, as a kill does."""
        written = []
        stored = (self.incidents.load(), self.unfinished.load())
        for chunk in find_incidents(self.predictions.load(), *stored, settings, device, sensor):
            for store, part in list(zip((self.incidents, self.unfinished), chunk, strict=True))[:save]:
                store.save(part)
            written += sorted(chunk[0])
            if save < 2 and written:
                break
        return written

    def rank(self, **settings: Any) -> bool:
        """Run the node; whether it wrote the list."""
        previous = OptionalParquetDataset(str(self.ranking)).load()
        chunks = list(rank_devices(self.incidents.load(), previous, settings))
        for chunk in chunks:
            ArrowParquetDataset(str(self.ranking)).save(chunk)
        return bool(chunks)

    def notify(self, open_sinks: Any, at: str, **settings: Any) -> int:
        """Run the node; how often it wrote the ledger."""
        previous = OptionalParquetDataset(str(self.ledger)).load()
        n_writes = 0
        for chunk in notify(self.incidents.load(), previous, open_sinks, {"notify": settings}, at):
            ArrowParquetDataset(str(self.ledger)).save(chunk)
            n_writes += 1
        return n_writes

    def rows(self) -> list[dict[str, Any]]:
        """All incidents, in order of device and start."""
        table = self.incidents.table().sort_by([("device", "ascending"), ("start", "ascending")])
        return table.to_pylist()

    def spans(self) -> list[tuple[Any, ...]]:
        """(device, first window, window after the last one, state) of each."""
        return [
            (row["device"], window_number(row["start"]), window_number(row["end"]), row["state"])
            for row in self.rows()
        ]

    def told(self) -> pa.Table:
        """The ledger."""
        return pq.read_table(self.ledger)

    def files(self) -> dict[str, bytes]:
        """Every file by its path."""
        paths = sorted(path for path in self.folder.rglob("*.parquet") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in paths}
