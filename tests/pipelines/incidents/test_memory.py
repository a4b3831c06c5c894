"""The incidents of a fleet four times as large take hardly more memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from batch_scoring.incidents.start import UNTIL
from batch_scoring.storage.row_table import Change
from batch_scoring.tables.schemas import PREDICTIONS
from tests.factories import MINUTE_US, START_US
from tests.peak_memory import peak_mib
from tests.tables_on_disk import TableOnDisk

PART, N_WINDOWS = 4_096, 24

PROGRAM = """
import sys
from pathlib import Path
from batch_scoring.pipelines.incidents.nodes import find_incidents
from tests.tables_on_disk import TableOnDisk

folder = Path(sys.argv[1])
predictions = TableOnDisk(folder / "predictions", "window_start").load()
TableOnDisk(folder / "incidents", "start").save(find_incidents(predictions, {}, None, None))
"""


def predictions_of(first: int, hour: int) -> pa.Table:
    """One window in a thousand is an anomaly."""
    rng = np.random.default_rng([first, hour])
    n = PART * N_WINDOWS
    start = START_US + 5 * MINUTE_US * (N_WINDOWS * hour + np.tile(np.arange(N_WINDOWS), PART))
    devices = pa.array([f"pump-{i:07d}" for i in range(first, first + PART)])
    columns = {
        "window_start": start,
        "window_end": start + 5 * MINUTE_US,
        "device": devices.take(pa.array(np.repeat(np.arange(PART), N_WINDOWS))),
        "sensor": ["s"] * n,
        **{name: rng.normal(size=n) for name in ("value", "score", "threshold", "severity")},
        "is_anomaly": rng.random(n) < 0.001,
        "top_feature": ["std"] * n,
        "model_version": ["1"] * n,
        "window_fingerprint": rng.integers(0, 2**63, n),
    }
    # What incidents are not made of may be missing.
    arrays = [
        pa.array(columns[field.name]).cast(field.type) if field.name in columns else pa.nulls(n, field.type)
        for field in PREDICTIONS
    ]
    return pa.Table.from_arrays(arrays, schema=PREDICTIONS)


def add_hours(folder: Path, n_devices: int, *hours: int) -> None:
    def rows(hour: int) -> Iterator[pa.Table]:
        return (predictions_of(first, hour) for first in range(0, n_devices, PART))

    predictions = TableOnDisk(folder / "predictions", "window_start")
    for hour in hours:
        predictions.save(lambda _, hour=hour: Change(PREDICTIONS, [rows(hour)]))


@pytest.mark.slow
def test_memory_does_not_grow_with_the_fleet(tmp_path: Path) -> None:
    """Neither over all predictions nor over those of another hour."""
    taken: dict[str, list[float]] = {"all": [], "hour": []}
    for n_devices in (5 * PART, 20 * PART):
        folder = tmp_path / str(n_devices)
        add_hours(folder, n_devices, 0, 1)
        taken["all"].append(peak_mib(PROGRAM, folder)[0])
        add_hours(folder, n_devices, 2)
        taken["hour"].append(peak_mib(PROGRAM, folder)[0])
        incidents = TableOnDisk(folder / "incidents", "start").load()
        assert incidents.num_rows > 0.05 * n_devices
        assert incidents.progress(UNTIL) == START_US + (3 * N_WINDOWS - 1) * 5 * MINUTE_US
    # The larger fleet has 200 and 100 MiB more of predictions as they are read.
    for small, large in taken.values():
        assert large < small + 60, taken
