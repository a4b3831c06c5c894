"""Window aggregation side by side: our NumPy reductions, pandas, DuckDB and Polars on the same readings.

    python benchmarks/aggregate.py                    # 5 M readings of 5,000 devices into 5-minute windows
    python benchmarks/aggregate.py --readings 1000000 --json
    python benchmarks/aggregate.py --out-of-core      # and 100 M of a day by `kedro run`, with its memory

The outputs are compared before anything is timed. Polars is measured when it is installed; it is not
a dependency. The time is that of sorted readings in memory (an Arrow table) to windows in memory.
`bits` says whether fresh processes on one core and on all cores gave the same bits, three times each,
over a million of the readings.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec

import numpy as np
import out_of_core
import pyarrow as pa

from batch_scoring.core.prefetch import computed
from batch_scoring.tables.device_ranges import BATCH_ROWS, device_ranges
from batch_scoring.tables.schemas import READINGS
from batch_scoring.windows.features import aggregate_readings

WINDOW_US = 300_000_000
INTERVAL_US = 60_000_000
FEATURES = ("mean", "std", "min", "max", "change", "diff_mean")

Engine = Callable[[pa.Table], pa.Table]


def make_readings(n: int, devices: int) -> pa.Table:
    """Sorted readings of one sensor, about one a minute with a tenth missing; always the same."""
    random = np.random.default_rng(7)
    per_device = -(-n // devices)
    device = np.repeat(np.arange(devices), per_device)[:n]
    slot = np.tile(np.arange(int(per_device * 1.1)), (devices, 1))
    kept = np.sort(random.permuted(slot, axis=1)[:, :per_device], axis=1).ravel()[:n]
    time_us = 1_767_571_200_000_000 + kept * INTERVAL_US + random.integers(0, INTERVAL_US // 2, n)
    value = 20 + 5 * np.sin(kept / 229) + random.normal(0, 0.3, n)
    names = pa.array([f"pump-{i:05d}" for i in range(devices)])
    columns = [
        pa.array(time_us).cast(READINGS.field("timestamp").type),
        names.take(pa.array(device)),
        pa.array(["temperature"]).take(pa.array(np.zeros(n, np.int64))),
        pa.array(value),
    ]
    return pa.Table.from_arrays(columns, schema=READINGS)


def our_engine(threads: int | None = None) -> Engine:
    """As `kedro run --pipelines=aggregate` does it: range by range of devices, on all cores."""
    workers = threads or len(os.sched_getaffinity(0))

    def windows(readings: pa.Table) -> pa.Table:
        return aggregate_readings(readings, WINDOW_US, FEATURES)

    def run(readings: pa.Table) -> pa.Table:
        ranges = device_ranges([(readings.schema, readings.to_batches(BATCH_ROWS))])
        parts = (part for (part,) in ranges)
        made = computed(windows, parts, workers) if workers > 1 else map(windows, parts)
        return pa.concat_tables(made).select(["device", "window_start", *FEATURES])

    return run


def pandas_engine() -> Engine:
    import pandas as pd

    def run(readings: pa.Table) -> pa.Table:
        # Categories: with devices as plain text pandas takes longer.
        frame = readings.select(["timestamp", "device", "value"]).to_pandas(categories=["device"])
        frame["window_start"] = frame["timestamp"].dt.floor(pd.Timedelta(microseconds=WINDOW_US))
        # The readings are sorted, and pandas keeps the order of the rows within a group.
        values = frame.groupby(["device", "window_start"], observed=True, sort=False)["value"]
        windows = values.agg(["mean", "min", "max", "first", "last"])
        windows["std"] = values.std(ddof=0)
        windows["change"] = windows["last"] - windows["first"]
        windows = windows.reset_index()
        same_device = windows["device"].eq(windows["device"].shift())
        before = same_device & windows["window_start"].diff().eq(pd.Timedelta(microseconds=WINDOW_US))
        windows["diff_mean"] = windows["mean"].diff().where(before, 0.0)
        return pa.Table.from_pandas(windows[["device", "window_start", *FEATURES]], preserve_index=False)

    return run


def duckdb_engine(threads: int | None = None) -> Engine:
    import duckdb

    query = f"""
        WITH windows AS (
            SELECT device, epoch_us(timestamp) // {WINDOW_US} AS w, avg(value) AS mean,
                stddev_pop(value) AS std, min(value) AS min, max(value) AS max,
                arg_max(value, timestamp) - arg_min(value, timestamp) AS change
            FROM readings GROUP BY device, w)
        SELECT device, make_timestamptz(w * {WINDOW_US}) AS window_start, mean, std, min, max, change,
            CASE WHEN lag(w) OVER before = w - 1 THEN mean - lag(mean) OVER before ELSE 0 END AS diff_mean
        FROM windows WINDOW before AS (PARTITION BY device ORDER BY w) ORDER BY device, window_start"""

    def run(readings: pa.Table) -> pa.Table:
        with duckdb.connect(config={"threads": threads or len(os.sched_getaffinity(0))}) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.register("readings", readings)
            return connection.sql(query).to_arrow_table()

    return run


def polars_engine() -> Engine:
    import polars as pl

    def run(readings: pa.Table) -> pa.Table:
        frame = pl.from_arrow(readings).lazy()
        window = pl.col("timestamp").dt.epoch("us") // WINDOW_US
        value = pl.col("value")
        # The readings are sorted, and Polars keeps the order of the rows within a group.
        windows = frame.group_by("device", window.alias("w")).agg(
            value.mean().alias("mean"),
            value.std(ddof=0).alias("std"),
            value.min().alias("min"),
            value.max().alias("max"),
            (value.last() - value.first()).alias("change"),
        )
        same_device = pl.col("device") == pl.col("device").shift(1)
        before = (same_device & (pl.col("w").shift(1) == pl.col("w") - 1)).fill_null(False)
        change = pl.col("mean") - pl.col("mean").shift(1)
        result = windows.sort("device", "w").with_columns(
            pl.when(before).then(change).otherwise(0.0).alias("diff_mean"),
            (pl.col("w") * WINDOW_US).cast(pl.Datetime("us", "UTC")).alias("window_start"),
        )
        return result.select("device", "window_start", *FEATURES).collect().to_arrow()

    return run


def require_equal(expected: pa.Table, found: pa.Table, name: str) -> None:
    """Stop when two engines disagree on a key, or on a number by more than rounding."""
    if not expected["device"].cast(pa.string()).equals(found["device"].cast(pa.string())):
        sys.exit(f"{name}: other devices or another order than ours")
    starts = [t["window_start"].cast(pa.timestamp("us", "UTC")).cast(pa.int64()) for t in (expected, found)]
    if not np.array_equal(*(start.to_numpy() for start in starts)):
        sys.exit(f"{name}: other windows than ours")
    for feature in FEATURES:
        a, b = (table[feature].to_numpy() for table in (expected, found))
        if not np.allclose(a, b, rtol=1e-9, atol=1e-9):
            sys.exit(f"{name}: {feature} differs by up to {np.abs(a - b).max():.1e}")


def digest(table: pa.Table) -> str:
    numbers = [table[name].combine_chunks().to_numpy(zero_copy_only=False) for name in FEATURES]
    return hashlib.sha256(b"".join(np.ascontiguousarray(one).tobytes() for one in numbers)).hexdigest()


def has_stable_bits(engine: str, arguments: argparse.Namespace) -> bool:
    """Whether fresh processes on one core and on all of them give the same bits."""
    n = min(arguments.readings, 1_000_000)
    command = [sys.executable, __file__, "--digest", engine, "--readings", str(n)]
    command += ["--devices", str(arguments.devices)]
    cores = sorted(os.sched_getaffinity(0))
    found = set()
    for used in (cores[:1], cores) * 3:
        pinned = ["taskset", "-c", ",".join(map(str, used)), *command]
        found.add(subprocess.run(pinned, capture_output=True, text=True, check=True).stdout.strip())
    return len(found) == 1


def measure(engines: dict[str, Engine], readings: pa.Table, rounds: int) -> list[dict[str, object]]:
    """All engines in turn, round by round, so that a busy moment of the machine hits all of them."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in engines}
    for _ in range(rounds):
        for name, engine in engines.items():
            began = time.perf_counter(), time.process_time()
            engine(readings)
            taken[name].append((time.perf_counter() - began[0], time.process_time() - began[1]))
    floor = next(iter(taken.values()))
    return [
        {
            "engine": name,
            "seconds": statistics.median(wall for wall, _ in times),
            "best_seconds": min(wall for wall, _ in times),
            "cpu_seconds": statistics.median(cpu for _, cpu in times),
            "ratio": statistics.median(t[0] / f[0] for t, f in zip(times, floor, strict=True)),
            "cpu_ratio": statistics.median(t[1] / f[1] for t, f in zip(times, floor, strict=True)),
        }
        for name, times in taken.items()
    ]


ENGINES: dict[str, Callable[[], Engine]] = {
    "ours (NumPy)": our_engine,
    "ours, 1 thread": lambda: our_engine(1),
    "pandas": pandas_engine,
    "DuckDB": duckdb_engine,
    "DuckDB, 1 thread": lambda: duckdb_engine(1),
    "Polars": polars_engine,
}
NEEDS = {"pandas": "pandas", "DuckDB": "duckdb", "DuckDB, 1 thread": "duckdb", "Polars": "polars"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--readings", type=int, default=5_000_000)
    parser.add_argument("--devices", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--out-of-core",
        type=int,
        nargs="?",
        const=100_000_000,
        metavar="READINGS",
        help="also aggregate so many readings of one day on disk (default 100 M; 2 GB of disk)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--digest", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    readings = make_readings(arguments.readings, arguments.devices)
    if arguments.digest:
        print(digest(ENGINES[arguments.digest]()(readings)))
        return
    there = [name for name in ENGINES if name not in NEEDS or find_spec(NEEDS[name])]
    expected = our_engine()(readings)
    for name in there:
        require_equal(expected, ENGINES[name]()(readings), name)
    rows = measure({name: ENGINES[name]() for name in there}, readings, arguments.rounds)
    for row in rows:
        row["same_bits"] = has_stable_bits(str(row["engine"]), arguments)
    used = ("numpy", "pyarrow", "pandas", "duckdb", "polars")
    versions = {name: version(name) for name in used if find_spec(name)}
    ratios = {str(row["engine"]): row["ratio"] for row in rows}
    big = {"out_of_core": out_of_core.measure(arguments.out_of_core)} if arguments.out_of_core else {}
    result = {
        **{
            f"{NEEDS[name]}_over_ours": ratios[name]
            for name in ("pandas", "DuckDB", "Polars")
            if name in ratios
        },
        "readings": readings.num_rows,
        "windows": expected.num_rows,
        "cores": len(os.sched_getaffinity(0)),
        "versions": versions,
        "engines": rows,
        **big,
    }
    if arguments.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{readings.num_rows:,} readings -> {expected.num_rows:,} windows, {result['cores']} cores")
    print(", ".join(f"{name} {number}" for name, number in versions.items()))
    head = ("seconds", "best", "cpu s", "x ours", "x cpu")
    print(f"{'engine':<18}" + "".join(f"{name:>9}" for name in head) + "  bits")
    for row in rows:
        numbers = (row[key] for key in ("seconds", "best_seconds", "cpu_seconds", "ratio", "cpu_ratio"))
        bits = "same" if row["same_bits"] else "differ"
        print(f"{row['engine']:<18}" + "".join(f"{number:>9.2f}" for number in numbers) + f"  {bits}")
    for one in big.values():
        print(
            f"kedro run --pipelines=aggregate, {one['readings']:,} readings of one day -> {one['windows']:,}"
            f" windows: {one['seconds']:.1f} s, {one['peak_rss_gib']:.2f} GiB of memory at the most; "
            f"{one['read_gib']:.2f} GiB read, {one['written_gib']:.2f} GiB written"
        )


if __name__ == "__main__":
    main()
