"""A wide Parquet file into readings, beside DuckDB's own ``UNPIVOT`` of it into one Parquet file.

    python benchmarks/wide_parquet.py                  # 20 and 60 million cells, three rounds
    python benchmarks/wide_parquet.py --cells 8000000 --rounds 1 --json

Each is a process of its own, from its start to its end: `kedro run --pipelines=ingest` in a new workspace,
and Python with DuckDB and nothing else, which neither sorts, checks nor records anything. Both compress with
Zstandard. The figure is the ratio of processor time, and that of the peaks of memory is shown.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import timed_process
from figures import Figure, print_figures

PROJECT = Path(__file__).resolve().parents[1]
SENSORS, DEVICES, INTERVAL_US = 20, 50, 30_000_000
START_US = 1_767_571_200_000_000
ROW_GROUP_ROWS = 122_880
FIGURE = Figure(
    "wide_over_unpivot", "ingest of a wide Parquet file over DuckDB's UNPIVOT, processor", 2, False
)
UNPIVOT = """
import duckdb, sys
duckdb.sql(
    f"COPY (UNPIVOT '{sys.argv[1]}' ON COLUMNS(* EXCLUDE (timestamp, device)) INTO NAME sensor VALUE value) "
    f"TO '{sys.argv[2]}' (FORMAT parquet, COMPRESSION zstd)"
)
"""


def write_wide(path: Path, cells: int) -> int:
    """Write a file of some cells, a row an interval and device in the order of time; returns the cells."""
    random = np.random.default_rng(7)
    steps = -(-cells // (SENSORS * DEVICES))
    names = pa.array([f"pump-{n:03d}" for n in range(DEVICES)])
    schema = pa.schema(
        [("timestamp", pa.timestamp("us", "UTC")), ("device", pa.string())]
        + [(f"s{n:02d}", pa.float64()) for n in range(SENSORS)]
    )
    at_once = ROW_GROUP_ROWS // DEVICES
    with pq.ParquetWriter(path, schema, compression="zstd") as out:
        for first in range(0, steps, at_once):
            n = min(at_once, steps - first)
            step = np.repeat(np.arange(first, first + n), DEVICES)
            time = pa.array(START_US + step * INTERVAL_US).cast(schema.field("timestamp").type)
            device = names.take(pa.array(np.tile(np.arange(DEVICES), n)))
            wave = 20 + 5 * np.sin(step / 460)
            values = [
                pa.array(np.round(wave + k + random.normal(0, 0.3, step.size), 2)) for k in range(SENSORS)
            ]
            out.write_table(pa.Table.from_arrays([time, device, *values], schema=schema))
    return steps * DEVICES * SENSORS


def measure(path: Path, cells: int, folder: Path) -> dict[str, timed_process.Finished]:
    """Run both once; the readings of ours are counted."""
    kedro = [sys.executable, "-m", "kedro", "run", "--pipelines=ingest"]
    workspace = folder / "workspace"
    ours = timed_process.run([*kedro, "--params", f"readings={path},data={workspace}"], PROJECT)
    stored = duckdb.sql(
        f"SELECT count(*) FROM '{workspace}/02_intermediate/readings/*/*.parquet'"
    ).fetchall()[0][0]
    if stored != cells:
        sys.exit(f"{stored:,} readings are stored of {cells:,}")
    theirs = timed_process.run(
        [sys.executable, "-c", UNPIVOT, str(path), str(folder / "out.parquet")], PROJECT
    )
    shutil.rmtree(workspace)
    return {"ingest": ours, "duckdb": theirs}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cells", type=int, nargs="+", default=[20_000_000, 60_000_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    rows, ratio = [], 0.0
    for wanted in asked.cells:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            cells = write_wide(folder / "wide.parquet", wanted)
            rounds = [measure(folder / "wide.parquet", cells, folder) for _ in range(asked.rounds)]
        ratio = statistics.median(one["ingest"].cpu_seconds / one["duckdb"].cpu_seconds for one in rounds)
        for program in ("ingest", "duckdb"):
            row = {
                what: statistics.median(getattr(one[program], what) for one in rounds)
                for what in ("seconds", "cpu_seconds", "peak_gib")
            }
            rows.append({"program": program, "cells": cells} | row | {"ratio": ratio})
    values = {FIGURE.key: ratio}
    if asked.json:
        print(json.dumps(values | {"rows": rows}))
        return
    print("| program | cells | seconds | processor | peak GiB |\n|---|---:|---:|---:|---:|")
    for row in rows:
        print(
            f"| {row['program']} | {row['cells']:,} | {row['seconds']:.1f} | {row['cpu_seconds']:.1f} "
            f"| {row['peak_gib']:.2f} |"
        )
    print_figures([FIGURE], values, {FIGURE.key: rows[-1]["cells"]}, "cells")


if __name__ == "__main__":
    main()
