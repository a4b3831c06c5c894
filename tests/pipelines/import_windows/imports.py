"""Files of windows and runs of `import_windows` for tests, in a line each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scoring.datasets.raw_readings import StreamWindows
from batch_scoring.pipelines.import_windows.nodes import import_windows
from batch_scoring.storage.row_table import Look
from tests.factories import START
from tests.tables_on_disk import TableOnDisk

PARAMETERS = {"window": "5m", "features": ["mean", "max"]}


def window(
    number: int, device: str = "d1", sensor: str = "s", processed: int = 1, **columns: Any
) -> dict[str, Any]:
    """A row as the job writes it: the window so many after START."""
    start = START + number * timedelta(minutes=5)
    row = {
        "window_start": start,
        "window_end": start + timedelta(minutes=5),
        "device": device,
        "sensor": sensor,
        "count": 5,
        "mean": 1.0,
        "max": 2.0,
        "processed_time": START + timedelta(hours=processed),
        "sensor_day": f"{sensor}/{start:%Y-%m-%d}",
    }
    return row | columns


@dataclass
class Workspace:
    """A folder of files of windows, and the tables made of them."""

    root: Path

    @property
    def windows(self) -> TableOnDisk:
        return TableOnDisk(self.root / "windows", "window_start")

    @property
    def readings(self) -> TableOnDisk:
        return TableOnDisk(self.root / "readings", "timestamp")

    @property
    def known(self) -> TableOnDisk:
        return TableOnDisk(self.root / "imported_windows")

    def parquet(self, name: str, *rows: dict[str, Any]) -> Path:
        return self.write(name, pa.Table.from_pylist(list(rows)))

    def write(self, name: str, table: pa.Table) -> Path:
        path = self.root / "stream" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)
        return path

    def json(self, name: str, *rows: dict[str, Any]) -> Path:
        """Lines as the service writes them, times with seven digits."""
        path = self.root / "stream" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            "".join(json.dumps(row, default=lambda t: f"{t:%Y-%m-%dT%H:%M:%S.%f}0Z") + "\r\n" for row in rows)
        )
        return path

    def run(self, **parameters: Any) -> bool:
        """Import all; whether windows were written."""
        return any([*self.steps(**parameters)])

    def steps(self, **parameters: Any) -> Iterator[bool]:
        """The same, stopping after each chunk that was saved."""
        chunks = import_windows(
            StreamWindows(str(self.root / "stream")).load(),
            self.readings.load(),
            PARAMETERS | parameters,
            {"temp_directory": str(self.root / "scratch")},
        )
        for windows, known in chunks:
            is_news = self.windows.save(windows)
            self.known.save(known)
            if not isinstance(windows, Look):
                yield is_news

    def rows(self) -> list[dict[str, Any]]:
        """The stored windows, by sensor, device and start."""
        return self.windows.rows("sensor", "device", "window_start")

    def means(self) -> list[tuple[int, str, float]]:
        """(number of the window after START, device, mean) of every stored window."""
        return [
            ((row["window_start"] - START) // timedelta(minutes=5), row["device"], row["mean"])
            for row in self.rows()
        ]

    def tables(self) -> list[list[dict[str, Any]]]:
        """All rows of windows and known files; what depends on when a file was written is left out."""
        known = [{**row, "version": ""} for row in self.known.rows("source")]
        return [self.rows(), known]
