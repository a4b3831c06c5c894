"""The incidents of a fleet four times as large take hardly more memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from batch_scoring.scoring.digests import PredictionsDigest

from batch_scoring.tables.schemas import PREDICTIONS
from batch_scoring.tables.streams import Stream
from tests.factories import MINUTE_US, START_US
from tests.partitions import Store

KEY = "s/2026-01-05"
PART, N_WINDOWS = 4_096, 24

PROGRAM = """
import re, sys, time
from pathlib import Path
from batch_scoring.pipelines.incidents.nodes import find_incidents
from tests.partitions import Store

folder = Path(sys.argv[1])
predictions, incidents, unfinished = (Store(folder / name) for name in "piu")
began = time.perf_counter()
for found, left in find_incidents(predictions.load(), incidents.load(), unfinished.load(), {}, None, None):
    incidents.save(found)
    unfinished.save(left)
print(time.perf_counter() - began)
# Not ru_maxrss, which starts with the memory of the process that started this one.
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def predictions_of(first: int) -> pa.Table:
    """One window in a thousand is an anomaly."""
    rng = np.random.default_rng(first)
    n = PART * N_WINDOWS
    start = START_US + 5 * MINUTE_US * np.tile(np.arange(N_WINDOWS), PART)
    devices = pa.array([f"pump-{i:07d}" for i in range(first, first + PART)])
    is_anomaly = rng.random(n) < 0.001
    columns = {
        "window_start": start,
        "window_end": start + 5 * MINUTE_US,
        "device": devices.take(pa.array(np.repeat(np.arange(PART), N_WINDOWS))),
        "sensor": ["s"] * n,
        **{name: rng.normal(size=n) for name in ("value", "score", "threshold", "severity")},
        "is_anomaly": is_anomaly,
        "top_feature": ["std"] * n,
        "model_version": ["1"] * n,
        "window_fingerprint": rng.integers(0, 2**63, n).astype(np.uint64),
    }
    # What incidents are not made of may be missing.
    arrays = [
        pa.array(columns[field.name]).cast(field.type) if field.name in columns else pa.nulls(n, field.type)
        for field in PREDICTIONS
    ]
    return pa.Table.from_arrays(arrays, schema=PREDICTIONS)


def make_predictions(folder: Path, n_devices: int) -> None:
    footer: dict[str, str] = {}

    def parts() -> Iterator[pa.Table]:
        digest = PredictionsDigest()
        for first in range(0, n_devices, PART):
            part = predictions_of(first)
            digest.update(part)
            yield part
        footer["digest"] = digest.hexdigest()

    Store(folder / "p").save({KEY: Stream(PREDICTIONS, parts(), footer)})


def peak(folder: Path) -> tuple[float, float]:
    """Seconds, and MiB, of a process that finds the incidents."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)], check=True, capture_output=True, text=True
    )
    seconds, kilobytes = map(float, done.stdout.split())
    return seconds, kilobytes / 1024


@pytest.mark.slow
def test_memory_does_not_grow_with_the_fleet(tmp_path: Path) -> None:
    taken = {}
    for n_devices in (10 * PART, 40 * PART):
        make_predictions(tmp_path / str(n_devices), n_devices)
        _, taken[n_devices] = peak(tmp_path / str(n_devices))
        found = Store(tmp_path / str(n_devices) / "i").table()
        assert found.num_rows > 0.02 * n_devices
    small, large = taken.values()
    # The larger fleet has 200 MiB more of predictions as they are read.
    assert large < small + 60, taken
