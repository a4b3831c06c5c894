"""Source files and ingest runs for tests, in a line each."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scoring.datasets.partitions import ArrowPartitions
from batch_scoring.datasets.raw_readings import RawReadings
from batch_scoring.datasets.source_ledger import SourceLedger
from batch_scoring.pipelines.ingest.nodes import ingest_readings
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
    def readings_set(self) -> ArrowPartitions:
        return ArrowPartitions(str(self.root / "readings"))

    @property
    def quarantine_set(self) -> ArrowPartitions:
        return ArrowPartitions(str(self.root / "quarantine"))

    @property
    def ledger_set(self) -> SourceLedger:
        return SourceLedger(str(self.root / "ledger"))

    def ingest(self, source: Path, device: Any = None, sensor: Any = None, **settings: Any) -> dict[str, Any]:
        """Ingest a file, folder or glob; returns the counts."""
        return list(self.ingest_stepwise(source, device, sensor, **settings))[-1]

    def ingest_stepwise(
        self, source: Path, device: Any = None, sensor: Any = None, at: Any = AT, **settings: Any
    ) -> Iterator[dict[str, Any]]:
        """Ingest, saving each table as Kedro would, and yield the counts after each save."""
        chunks = ingest_readings(
            RawReadings(str(source)).load(),
            self.readings_set.load(),
            self.quarantine_set.load(),
            self.ledger_set.load(),
            settings,
            device,
            sensor,
            at,
        )
        for readings, quarantine, ledger, counts in chunks:
            for dataset, tables in (
                (self.readings_set, readings),
                (self.quarantine_set, quarantine),
                (self.ledger_set, ledger),
            ):
                if tables:
                    dataset.save(tables)
                yield counts

    def readings(self) -> list[tuple[Any, ...]]:
        """The stored rows as (ISO time, device, sensor, value), partition by partition."""
        return [
            (f"{time:%Y-%m-%dT%H:%M:%S.%f}", device, sensor, value)
            for time, device, sensor, value in _rows(self.readings_set, READINGS)
        ]

    def quarantine(self) -> list[dict[str, Any]]:
        return [
            dict(zip(QUARANTINE.names, values, strict=True))
            for values in _rows(self.quarantine_set, QUARANTINE)
        ]

    def reasons(self) -> list[tuple[int, str]]:
        """The quarantined rows as (row, reason)."""
        return [(refused["row"], refused["reason"]) for refused in self.quarantine()]

    def ledger(self) -> list[dict[str, Any]]:
        return [page for entry in self.ledger_set.load().values() for page in entry.open().read().to_pylist()]

    def files(self) -> dict[str, bytes]:
        """Every file below the root with its bytes."""
        found = sorted(self.root.rglob("*"))
        return {str(file.relative_to(self.root)): file.read_bytes() for file in found if file.is_file()}


def _rows(dataset: ArrowPartitions, schema: pa.Schema) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for opened in dataset.load().values():
        table = opened().read()
        assert table.schema.remove_metadata() == schema
        rows += zip(*(column.to_pylist() for column in table.columns), strict=True)
    return rows
