"""One sensor's day of readings that is larger than memory should be, aggregated by `kedro run`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from timed_process import run

from batch_scoring.storage import open_folder
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.tables.schemas import READINGS

PROJECT = Path(__file__).resolve().parents[1]
START_US = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp()) * 1_000_000
MINUTES = 1440
MINUTE_US = 60_000_000
PART_DEVICES = 256


def day_of_readings(devices: int) -> Iterator[pa.Table]:
    """A reading a minute of each device, at no round time and of no round value; sorted, in parts."""
    random = np.random.default_rng(7)
    for first in range(0, devices, PART_DEVICES):
        n = min(PART_DEVICES, devices - first)
        minute = np.tile(np.arange(MINUTES), n)
        time_us = START_US + minute * MINUTE_US + random.integers(0, MINUTE_US // 2, minute.size)
        names = pa.array([f"pump-{number:07d}" for number in range(first, first + n)])
        columns = [
            pa.array(time_us).cast(READINGS.field("timestamp").type),
            names.take(pa.array(np.repeat(np.arange(n), MINUTES))),
            pa.array(["temperature"]).take(pa.array(np.zeros(minute.size, np.int64))),
            pa.array(20 + 5 * np.sin(minute / 229) + random.normal(0, 0.3, minute.size)),
        ]
        yield pa.Table.from_arrays(columns, schema=READINGS)


def measure(readings: int) -> dict[str, float]:
    """Time and peak memory of a cold `kedro run --pipelines=aggregate` over so many readings of a day."""
    devices = max(readings // MINUTES, 1)
    with tempfile.TemporaryDirectory() as folder:
        readings = RowTable(open_folder(f"{folder}/02_intermediate/readings"), "timestamp")
        windows = RowTable(open_folder(f"{folder}/03_primary/windows"), "window_start")
        readings.commit(Change(READINGS, [day_of_readings(devices)]))
        kedro = str(Path(sys.executable).with_name("kedro"))
        done = run([kedro, "run", "--pipelines=aggregate", "--params", f"data={folder}"], PROJECT)
        source, made = readings.latest(), windows.latest()
        return {
            "readings": devices * MINUTES,
            "windows": made.num_rows,
            "read_gib": sum(file.size for file in source.files()) / 2**30,
            "written_gib": sum(file.size for file in made.files()) / 2**30,
            "seconds": done.seconds,
            "peak_rss_gib": done.peak_gib,
        }
