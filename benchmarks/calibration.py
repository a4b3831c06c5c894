"""How many windows are flagged beside how many were asked for, on real servers without labels.

    python benchmarks/calibration.py READINGS                      # asd/readings.parquet
    python benchmarks/calibration.py READINGS --faults 1 --json    # with faults put in
    python benchmarks/calibration.py READINGS --windows 1h --until 2021-01-24 --days 14 7

Readings (timestamp, device, sensor, value) up to `--until`, the end of the servers' training range, are
copied; what comes later, and any labels, are not looked at. `kedro run` trains on the first days, 20, and
scores the others, 10, day after day with calibrations that follow. Of the flagged windows are counted

`over`          their share over the rate asked for, mean of the series
`over_alone`    the same without windows in which three sensors of a device or more are flagged: these are
                events of the whole device, which nobody has labelled
`over_lasting`  what incidents of more than 20 windows add to `over_alone`: mostly levels that have changed

With `--faults SEED` some series get faults, one in five days: levels, ramps, noise and spikes that come
again, of 1.5 hours (median) and 2.5 standard deviations (median). Then `over` is of windows outside these,

`found`         faults with a flagged window
`right`         alerts, flagged windows no more than two apart, with a window of a fault
`false_a_week`  other alerts a sensor-week
`roc_auc`, `pr_auc`  of `evidence`, mean of the series with faults
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

PROJECT = Path(__file__).parents[1]
UNTIL = "2021-01-31"
DAYS = (20, 10)
# Name of the windows: their length in microseconds, and the rate asked for; None is the default budget.
WINDOWS: dict[str, tuple[int, float | None]] = {"1h": (3_600_000_000, 0.01), "5min": (300_000_000, None)}
DAY_US = 86_400_000_000
WEEK_US = 7 * DAY_US
KEYS = ("device", "sensor")
FAULTS_A_DAY = 0.2
LONG = 20

Faults = dict[tuple[str, str], list[tuple[int, int]]]


def put_faults(value: np.ndarray, time: np.ndarray, first: int, random: Any) -> list[tuple[int, int]]:
    """Put faults into the values of a series from a time on; returns first and last moment of each."""
    deviation = float(np.std(value[time < first])) or 1.0
    found = []
    for _ in range(random.poisson(FAULTS_A_DAY * (time[-1] - first) / DAY_US)):
        length = int(np.clip(np.exp(random.normal(np.log(18), 1.2)), 1, 288))
        begin = int(np.searchsorted(time, first + random.uniform() * (time[-1] - first)))
        part = value[begin : begin + length]
        kind = random.integers(4)
        size = deviation * np.exp(random.normal(np.log(2.5), 0.7)) * random.choice([-1, 1])
        if kind == 0:
            part += size
        elif kind == 1:
            part += size * np.linspace(0, 1, part.size)
        elif kind == 2:
            part += abs(size) * random.normal(size=part.size)
        else:
            is_spike = random.random(part.size) < 0.3
            is_spike[:1] = True
            part += 1.5 * size * is_spike
        if part.size:
            found.append((int(time[begin]), int(time[begin + part.size - 1])))
    return found


def copy_readings(
    source: Path, target: Path, start: datetime, first: datetime, end: datetime, seed: int | None
) -> Faults:
    """Copy the readings of a range of time, with faults from ``first`` on if there is a seed."""
    kind = pq.read_schema(source).field("timestamp").type
    within = [("timestamp", ">=", pa.scalar(start, kind)), ("timestamp", "<", pa.scalar(end, kind))]
    rows = pq.read_table(source, filters=within)
    for name in KEYS:
        rows = rows.set_column(rows.schema.get_field_index(name), name, rows[name].cast(pa.string()))
    rows = rows.sort_by([("device", "ascending"), ("sensor", "ascending"), ("timestamp", "ascending")])
    faults: Faults = {}
    if seed is not None:
        names = [np.array(rows[name].to_pylist()) for name in KEYS]
        time = rows["timestamp"].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
        value = rows["value"].to_numpy().copy()
        is_first = np.any([name[1:] != name[:-1] for name in names], axis=0)
        edges = [0, *(np.flatnonzero(is_first) + 1).tolist(), len(value)]
        for number, (begin, after) in enumerate(pairwise(edges)):
            random = np.random.default_rng([seed, number])
            key = str(names[0][begin]), str(names[1][begin])
            own = slice(begin, after)
            faults[key] = put_faults(value[own], time[own], int(first.timestamp()) * 1_000_000, random)
        rows = rows.set_column(rows.schema.get_field_index("value"), "value", pa.array(value))
    pq.write_table(rows, target)
    return faults


def predictions(
    readings: Path, folder: Path, window: str, rate: float | None, first: datetime
) -> dict[str, Any]:
    """Train up to ``first`` and score the rest by `kedro run`; returns columns, by series and time."""
    from deltalake import DeltaTable

    parameters = (
        f"readings={readings},data={folder},aggregate.window={window},train.to={first:%Y-%m-%dT%H:%MZ}"
    )
    parameters += "" if rate is None else f",train.fit.false_alarm_rate={rate}"
    command = [sys.executable, "-m", "kedro", "run", "--pipelines=ingest,aggregate,train,score"]
    done = subprocess.run(
        [*command, "--params", parameters],
        cwd=PROJECT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    names = [*KEYS, "window_start", "is_anomaly", "evidence", "threshold"]
    rows = DeltaTable(str(folder / "07_model_output/predictions")).to_pyarrow_table(columns=names)
    rows = rows.sort_by([(name, "ascending") for name in (*KEYS, "window_start")])
    found: dict[str, Any] = {name: np.array(rows[name].to_pylist()) for name in KEYS}
    found["start"] = rows["window_start"].cast(pa.int64()).to_numpy()
    found |= {name: rows[name].to_numpy() for name in ("is_anomaly", "evidence", "threshold")}
    is_new = found["start"] >= int(first.timestamp()) * 1_000_000
    return {name: column[is_new] for name, column in found.items()}


def runs(flagged: np.ndarray, start: np.ndarray, window_us: int) -> list[np.ndarray]:
    """Group the flagged windows of a series that are no more than two windows apart; returns rows."""
    rows = np.flatnonzero(flagged)
    return np.split(rows, np.flatnonzero(np.diff(start[rows]) > 3 * window_us) + 1) if rows.size else []


def count(rows: dict[str, Any], faults: Faults, window_us: int) -> dict[str, float]:
    """Count; see above."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    _, server = np.unique(rows["device"], return_inverse=True)
    _, moment = np.unique(rows["start"], return_inverse=True)
    at = server * (moment.max() + 1) + moment
    together = np.bincount(at, weights=rows["is_anomaly"])[at] >= 3
    change = np.flatnonzero((np.diff(server) != 0) | (rows["sensor"][1:] != rows["sensor"][:-1])) + 1
    shares, ranks, alerts, right, n_found, time = [], [], 0, 0, 0, 0
    for own in np.split(np.arange(len(at)), change):
        start, flagged, alone = rows["start"][own], rows["is_anomaly"][own], ~together[own]
        is_fault, lasts = np.zeros(own.size, bool), np.zeros(own.size, bool)
        for first, last in faults.get((str(rows["device"][own[0]]), str(rows["sensor"][own[0]])), []):
            during = (start <= last) & (start + window_us > first)
            is_fault |= during
            n_found += bool((flagged & during).any())
        groups = runs(flagged, start, window_us)
        alerts += len(groups)
        right += sum(bool(is_fault[group].any()) for group in groups)
        for group in groups:
            lasts[group] = group.size > LONG
        of = flagged & ~is_fault
        rate = (~is_fault).sum() * 10.0 ** rows["threshold"][own[0]]
        shares.append([of.sum() / rate, (of & alone).sum() / rate, (of & alone & lasts).sum() / rate])
        if is_fault.any() and not is_fault.all():
            evidence = rows["evidence"][own]
            ranks.append([roc_auc_score(is_fault, evidence), average_precision_score(is_fault, evidence)])
        time += int(start[-1] - start[0]) + window_us
    over, alone_, lasting = np.mean(shares, axis=0).tolist()
    figures = {"series": len(shares), "over": over, "over_alone": alone_, "over_lasting": lasting}
    if faults:
        n = sum(map(len, faults.values()))
        figures |= {"faults": n, "found": n_found / n, "right": right / alerts}
        figures |= {"false_a_week": (alerts - right) / (time / WEEK_US)}
        figures |= dict(zip(("roc_auc", "pr_auc"), np.mean(ranks, axis=0).tolist(), strict=True))
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("readings", type=Path)
    parser.add_argument("--windows", choices=WINDOWS, action="append", help="default: each")
    parser.add_argument("--until", default=UNTIL, help="no reading from this day on is looked at")
    parser.add_argument("--days", type=int, nargs=2, default=DAYS, help="to train on, and to count")
    parser.add_argument("--faults", type=int, metavar="SEED")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    end = datetime.fromisoformat(chosen.until).replace(tzinfo=UTC)
    first = end - timedelta(days=chosen.days[1])
    figures = {}
    with tempfile.TemporaryDirectory(prefix="batch_scoring_bench_") as folder:
        copy = Path(folder) / "readings.parquet"
        start = first - timedelta(days=chosen.days[0])
        faults = copy_readings(chosen.readings, copy, start, first, end, chosen.faults)
        for name in chosen.windows or WINDOWS:
            window_us, rate = WINDOWS[name]
            found = predictions(copy, Path(folder) / name, name, rate, first)
            figures[name] = count(found, faults, window_us)
    if chosen.json:
        print(json.dumps(figures, indent=2))
    else:
        for name, own in figures.items():
            print(name, *(f"{key} {value:.3g}" for key, value in own.items()), sep="  ")


if __name__ == "__main__":
    main()
