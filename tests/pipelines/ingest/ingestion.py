"""Source files and ingest runs for tests, in a line each."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from kedro.io import DatasetError

from batch_scoring.core.errors import InputError
from batch_scoring.datasets.raw_readings import RawReadings
from batch_scoring.datasets.row_tables import RowTableDataset
from batch_scoring.pipelines.ingest.nodes import Chunk, ingest_readings
from batch_scoring.storage.row_table import Look, Update, no_change
from batch_scoring.tables.schemas import QUARANTINE, READINGS

AT = "2026-02-01T00:00Z"
HEADER = "timestamp,device,sensor,value"


def write_lines(path: Path, lines: Sequence[str], end: str = "\n", encoding: str = "utf-8") -> Path:
    """A text file; gzipped when its name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "".join(line + end for line in lines).encode(encoding)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def write_csv(path: Path, *rows: str, header: str = HEADER, **how: Any) -> Path:
    return write_lines(path, [header, *rows], **how)


def write_json_lines(path: Path, *records: dict[str, Any]) -> Path:
    return write_lines(path, [json.dumps(record) for record in records])


def write_parquet(path: Path, **columns: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def row(minute: float, device: str = "d1", sensor: str = "s", value: Any = 1.0) -> str:
    """A CSV line of a reading so many minutes after 2026-01-05T00:00Z."""
    seconds = round(minute * 60)
    day, rest = divmod(seconds, 86400)
    clock = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    return f"2026-01-{5 + day:02d}T{clock}Z,{device},{sensor},{value}"


@dataclass
class Store:
    """The data folder that ingest runs write to."""

    root: Path

    @property
    def readings_set(self) -> RowTableDataset:
        return RowTableDataset(str(self.root / "readings"), time="timestamp")

    @property
    def quarantine_set(self) -> RowTableDataset:
        return RowTableDataset(str(self.root / "quarantine"))

    @property
    def sources_set(self) -> RowTableDataset:
        return RowTableDataset(str(self.root / "sources"))

    def ingest(self, source: Path, device: Any = None, sensor: Any = None, **settings: Any) -> dict[str, Any]:
        """Ingest a file, folder or glob; returns the counts."""
        return list(self.ingest_stepwise(source, device, sensor, **settings))[-1]

    def ingest_stepwise(
        self,
        source: Path,
        device: Any = None,
        sensor: Any = None,
        at: Any = AT,
        group: dict[str, Any] | None = None,
        **settings: Any,
    ) -> Iterator[dict[str, Any]]:
        """Ingest, saving each table as Kedro would, and yield the counts after each save.

        A run that ends with an error once all is saved, since no row could be stored, is one that has ended.

        Settings are named one by one, or as the ``group`` that they are: ``ingest.device`` is not ``device``.
        """
        chunks = ingest_readings(
            RawReadings(str(source)).load(),
            settings | (group or {}),
            device,
            sensor,
            at,
        )
        for *updates, counts in _until_all_is_saved(chunks):
            datasets = (self.readings_set, self.quarantine_set, self.sources_set)
            is_look = isinstance(updates[0], Look)
            for dataset, update in zip(datasets, updates, strict=True):
                _save(dataset, update)
                if not is_look and update is not no_change:
                    yield counts
            if updates == [no_change] * 3:
                yield counts

    def readings(self) -> list[tuple[Any, ...]]:
        """The stored rows as (ISO time, device, sensor, value), by day, sensor, device and time."""
        table = self.readings_set.load()
        assert table.schema == (READINGS if table.exists else pa.schema([]))
        found = [tuple(row.values()) for row in table.read().to_pylist()]
        found.sort(key=lambda row: (row[0].date(), row[2].encode(), row[1].encode(), row[0]))
        return [(f"{time:%Y-%m-%dT%H:%M:%S.%f}", *rest) for time, *rest in found]

    def quarantine(self) -> list[dict[str, Any]]:
        """The refused rows by source and row."""
        table = self.quarantine_set.load()
        assert table.schema == (QUARANTINE if table.exists else pa.schema([]))
        return sorted(table.read().to_pylist(), key=lambda row: (row["source"].encode(), row["row"]))

    def reasons(self) -> list[tuple[int, str]]:
        """The quarantined rows as (row, reason)."""
        return [(refused["row"], refused["reason"]) for refused in self.quarantine()]

    def sources(self) -> list[dict[str, Any]]:
        """The files read, by name."""
        return sorted(self.sources_set.load().read().to_pylist(), key=lambda row: row["source"])

    def rows(self) -> tuple[Any, ...]:
        """All rows of all tables, in order: equal for equal contents, whatever the files."""
        sources = [{key: value for key, value in row.items() if key != "version"} for row in self.sources()]
        return self.readings(), self.quarantine(), sources

    def versions(self) -> list[int]:
        """How often each table was committed."""
        return [one.load().version for one in (self.readings_set, self.quarantine_set, self.sources_set)]

    def files(self) -> dict[str, bytes]:
        """Every file below the root with its bytes."""
        found = sorted(self.root.rglob("*"))
        return {str(file.relative_to(self.root)): file.read_bytes() for file in found if file.is_file()}


def _until_all_is_saved(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    counts: dict[str, Any] = {}
    try:
        for chunk in chunks:
            counts = chunk[-1]
            yield chunk
    except InputError as error:
        if not counts or str(error) not in "; ".join(counts["shortfalls"]):
            raise


def _save(dataset: RowTableDataset, update: Update) -> None:
    """Save as Kedro does; errors as the command line shows them."""
    try:
        dataset.save(update)
    except DatasetError as error:
        raise error.__cause__ or error from None
