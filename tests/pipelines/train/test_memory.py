"""The memory of a training does not grow with the fleet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.factories import DAY_US, START_US, make_windows
from tests.peak_memory import peak_mib
from tests.tables_on_disk import TableOnDisk

# Constant windows are fitted at once, so the rows are what costs.
CHILD = """
import sys
from pathlib import Path
from batch_scoring.operations.annotations import NOTHING_WRITTEN
from batch_scoring.pipelines.train.nodes import train_models
from tests.tables_on_disk import TableOnDisk
folder = Path(sys.argv[1])
windows, quarantine = TableOnDisk(folder / "windows", "window_start"), TableOnDisk(folder / "quarantine")
chunks = train_models(windows.load(), quarantine.load(), NOTHING_WRITTEN,
    {"share": 1.0, "fit": {"threshold": "native", "detector": "one_class_svm", "min_windows": 2}},
    "2026-03-01T00:00Z", None, None)
_, look = next(chunks)
look({})
for status, training in chunks:
    for one in training.values():
        print(one.models.n_models)
"""


def write_fleet(folder: Path, devices: int, rows: int = 10, days: int = 2) -> None:
    names = [f"device-{i:06}" for i in range(devices) for _ in range(rows)]
    windows = TableOnDisk(folder / "windows", "window_start")
    for day in range(days):
        windows.add(make_windows(np.ones((len(names), 16)), names, start_us=START_US + day * DAY_US))


@pytest.mark.slow
def test_more_devices_need_hardly_more_memory(tmp_path):
    peaks = {}
    for devices in (20_000, 50_000):
        write_fleet(tmp_path / str(devices), devices)
        tries = [peak_mib(CHILD, tmp_path / str(devices)) for _ in range(2)]
        assert [n_models for _, n_models in tries] == [[str(devices)]] * 2
        peaks[devices] = [peak for peak, _ in tries]
    # The rows of 30,000 more devices are 85 MB as they are; their statuses 5. How far the reading thread is
    # ahead is chance, and up to 35 MiB on a busy machine: what a fleet needs, it needs each time.
    assert min(peaks[50_000]) < max(peaks[20_000]) + 40, peaks
