"""Ingesting a large file stays within a limit of memory, measured in a process of its own.

Measured and not enforced: what the system can enforce on a process counts the stack of every thread and what
allocators reserve, and so depends on the number of cores.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

# BATCH_SCORING_BIG=1000 makes the file 1 GB; the limit is then 2 GiB, DuckDB's the default 1 GB.
SIZE_MB = int(os.environ.get("BATCH_SCORING_BIG", "200"))
IS_BIG = SIZE_MB >= 1000
LIMIT_BYTES = (2 << 30) if IS_BIG else (1 << 30)
DUCKDB_LIMIT = "1GB" if IS_BIG else "300MB"

CHILD = """
import json, re, sys
from pathlib import Path
source, root, duckdb_limit = sys.argv[1:]
from tests.pipelines.ingest.ingestion import Store
counts = Store(Path(root)).ingest(Path(source), memory_limit=duckdb_limit)
# getrusage's peak would be that of the process which started this one, were that larger.
peak_kilobytes = int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
print(json.dumps([counts, peak_kilobytes * 1024]))
"""


def write_big_csv(path: Path, megabytes: int) -> int:
    """Readings of 1,000 devices and two sensors every ten seconds; returns their number."""
    devices = pa.array([f"pump-{number:03d}" for number in range(1000)])
    sensors = pa.array(["temperature", "vibration"])
    random = np.random.default_rng(0)
    device = devices.take(pa.array(np.tile(np.repeat(np.arange(1000), 2), 100)))
    sensor = sensors.take(pa.array(np.tile([0, 1], 100_000)))
    start, n_rows = np.datetime64("2026-01-05", "us"), 0
    with path.open("wb") as file:
        file.write(b"timestamp,device,sensor,value\n")
        options = csv.WriteOptions(include_header=False, quoting_style="none")
        while file.tell() < megabytes * 1_000_000:
            steps = n_rows // 2000 + np.repeat(np.arange(100), 2000)
            time = pa.array(start + steps * np.timedelta64(10_000_000, "us")).cast(pa.string())
            value = np.round(random.normal(20, 5, len(steps)), 3)
            table = pa.table({"timestamp": time, "device": device, "sensor": sensor, "value": value})
            csv.write_csv(table, file, write_options=options)
            n_rows += table.num_rows
    return n_rows


@pytest.mark.slow
def test_a_large_file_is_ingested_within_a_limit_of_memory(tmp_path: Path):
    n_rows = write_big_csv(tmp_path / "big.csv", SIZE_MB)
    places = os.pathsep.join([str(Path.cwd()), *sys.path])
    arguments = [str(tmp_path / "big.csv"), str(tmp_path / "store"), DUCKDB_LIMIT]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *arguments],
        env=os.environ | {"PYTHONPATH": places},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    counts, peak_bytes = json.loads(done.stdout)
    assert counts["stored"] == counts["rows"] == n_rows
    assert peak_bytes < LIMIT_BYTES
