"""Four times the readings, or many more days and sensors, take no more memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from batch_scoring.storage.row_table import Change
from batch_scoring.tables.schemas import READINGS
from tests.factories import DAY_US, MINUTE_US, START_US
from tests.peak_memory import peak_mib
from tests.row_tables import table_at

# The memory of freed arrays goes back when the allocator sees fit.
MARGIN_MIB = 60
PART_DEVICES = 100

CHILD = """
import sys
from batch_scoring.pipelines.aggregate.nodes import aggregate_windows
from batch_scoring.datasets.row_tables import RowTableDataset
readings, windows = (
    RowTableDataset(f"{sys.argv[1]}/{name}", time)
    for name, time in (("readings", "timestamp"), ("windows", "window_start"))
)
windows.save(aggregate_windows(readings.load(), {}, None, None))
print(windows.load().num_rows, "pandas" in sys.modules)
"""


def day_of_readings(devices: int, sensor: str, start_us: int) -> Iterator[pa.Table]:
    """A reading a minute of each device, hard to compress."""
    random = np.random.default_rng(0)
    for first in range(0, devices, PART_DEVICES):
        names = pa.array([f"pump-{number:06d}" for number in range(first, first + PART_DEVICES)])
        time = start_us + np.tile(np.arange(1440) * MINUTE_US, PART_DEVICES)
        time += random.integers(0, MINUTE_US, time.size)
        device = names.take(pa.array(np.repeat(np.arange(PART_DEVICES), 1440)))
        columns = [
            pa.array(time),
            device,
            pa.repeat(sensor, time.size),
            pa.array(random.normal(size=time.size)),
        ]
        yield pa.table(columns, READINGS.names).cast(READINGS)


def aggregate(folder: Path, devices: int, days: int = 1, sensors: int = 1) -> tuple[float, int]:
    """Peak memory in MiB of a process that aggregates such a fleet, and the windows it made."""
    days_of = (
        chain.from_iterable(
            day_of_readings(devices, f"s{number}", START_US + day * DAY_US) for number in range(sensors)
        )
        for day in range(days)
    )
    table_at(folder / "readings").commit(Change(READINGS, days_of))
    peak, (line,) = peak_mib(CHILD, folder)
    made, has_pandas = line.split()
    assert has_pandas == "False"
    return peak, int(made)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_readings_of_a_day(tmp_path):
    small, windows = aggregate(tmp_path / "small", devices=1_400)
    assert windows == 1_400 * 288
    large, windows = aggregate(tmp_path / "large", devices=5_600)
    assert windows == 5_600 * 288
    assert large - small < MARGIN_MIB


@pytest.mark.slow
def test_memory_does_not_add_up_over_days_and_sensors(tmp_path):
    few, _ = aggregate(tmp_path / "small", devices=200, days=4)
    many, windows = aggregate(tmp_path / "large", devices=200, days=8, sensors=3)
    assert windows == 200 * 288 * 24
    assert many - few < MARGIN_MIB
