"""Row tables on disk, in a line each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from batch_scoring.datasets.row_tables import RowTableDataset
from batch_scoring.storage import open_folder
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.tables.schemas import READINGS
from tests.factories import MINUTE_US, START_US

Reading = tuple[Any, ...]


def readings(*rows: Reading) -> pa.Table:
    """Readings from (minutes after START, device, value), or with a sensor before the value."""
    whole = [row if len(row) == 4 else (row[0], row[1], "s", row[2]) for row in rows]
    minutes, devices, sensors, values = zip(*whole, strict=True) if whole else ([], [], [], [])
    times = [START_US + round(minute * MINUTE_US) for minute in minutes]
    columns = [pa.array(times, pa.int64()), list(devices), list(sensors), pa.array(values, pa.float64())]
    return pa.table(columns, READINGS.names).cast(READINGS)


def table_at(folder: Path | str, time: str | None = "timestamp") -> RowTable:
    """The latest version of the table in a folder."""
    return RowTable(open_folder(str(folder)), time)


def dataset_at(folder: Path | str, time: str | None = "timestamp") -> RowTableDataset:
    return RowTableDataset(str(folder), time)


def add(folder: Path | str, rows: pa.Table, **more: Any) -> RowTable:
    """Append readings in one commit; the version after it."""
    table = table_at(folder).commit(Change(READINGS, [[rows]], **more))
    assert table.version >= 0  # a table is opened when it is first looked at
    return table


def devices(table: pa.Table) -> list[str]:
    return table["device"].to_pylist()


def log_of(folder: Path, version: int) -> list[dict[str, Any]]:
    """The actions of a commit."""
    text = (folder / "_delta_log" / f"{version:020d}.json").read_text()
    return [json.loads(line) for line in text.splitlines()]


def parquet_files(folder: Path) -> list[Path]:
    """Every Parquet file below a table's folder, whether a commit names it or not."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and "_delta_log" not in path.parts)


def replaced(table: RowTable, rows: pa.Table, **more: Any) -> Change:
    """The change that puts these rows instead of the table's first file."""
    return Change(READINGS, rewritten=lambda: [(table.files()[0], [rows])], **more)
