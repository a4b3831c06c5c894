"""How well the anomalies of a finished run match the labels of the Application Server Dataset (ASD).

    kedro run --params "readings=ASD/readings.parquet,data=/tmp/asd,
        aggregate.window=1h,train.to=2021-01-31T00:00Z"        # in one line
    python benchmarks/quality_asd.py --data /tmp/asd --labels ASD/labels.csv

Windows that start at --from or later count: the models have not seen them. An event is a labelled
interval of one device and sensor; it is found when an anomalous window of that device and sensor
overlaps it. An alert is a run of neighbouring anomalous windows. The second row judges the same
windows by a robust z-score (distance from the median in MADs, largest over the same features), with a
threshold at the same share of the training windows: the bar any model should be held against.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

LABEL_STEP_US = 300_000_000  # a labelled timestamp is one reading of five minutes
DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Windows:
    """Windows sorted by series (a device and sensor) and time; times in microseconds since the epoch."""

    series: np.ndarray
    device: np.ndarray
    start: np.ndarray
    end: np.ndarray
    is_anomaly: np.ndarray


def read_table(folder: Path) -> pa.Table:
    return pa.concat_tables([pq.read_table(path) for path in sorted(folder.rglob("*.parquet"))])


def read_labels(path: Path) -> pa.Table:
    """device, sensor, start, end (half-open, microseconds): the file's intervals are closed."""
    table = csv.read_csv(path)
    start, last = (pc.cast(pc.cast(table[n], pa.timestamp("us")), pa.int64()) for n in ("first", "last"))
    return pa.table([table["device"], table["sensor"], start, pc.add(last, LABEL_STEP_US)],
                    names=["device", "sensor", "start", "end"])  # fmt: skip


def number(table: pa.Table, names: list[str]) -> np.ndarray:
    """One text a row made of some columns."""
    parts = [np.array(table[name].cast(pa.string()).to_pylist(), dtype=object) for name in names]
    return parts[0] if len(parts) == 1 else parts[0] + "\t" + parts[1]


def as_windows(table: pa.Table, is_anomaly: np.ndarray) -> Windows:
    series, device = number(table, ["device", "sensor"]), number(table, ["device"])
    start, end = (table[n].cast(pa.int64()).to_numpy() for n in ("window_start", "window_end"))
    order = np.lexsort((start, series.astype(str)))
    return Windows(series[order], device[order], start[order], end[order], is_anomaly[order])


@dataclass(frozen=True)
class Overlaps:
    """Which windows overlap a label; which labels an anomalous window overlaps, at all and with its first."""

    is_labelled: np.ndarray
    is_found: np.ndarray
    is_found_at_once: np.ndarray


def overlap(windows: Windows, key: np.ndarray, labels: list[tuple[str, int, int]]) -> Overlaps:
    """Hold labels (key, start, end) against the windows of that key."""
    found = Overlaps(np.zeros(windows.start.size, bool), *(np.zeros(len(labels), bool) for _ in range(2)))
    rows_of = {name: np.flatnonzero(key == name) for name in np.unique(key.astype(str))}
    for place, (name, start, end) in enumerate(labels):
        rows = rows_of.get(name, np.zeros(0, int))
        inside = rows[(windows.start[rows] < end) & (windows.end[rows] > start)]
        found.is_labelled[inside] = True
        found.is_found[place] = bool(windows.is_anomaly[inside].any())
        found.is_found_at_once[place] = bool(windows.is_anomaly[inside[:1]].any())
    return found


def share(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None


def judge(windows: Windows, labels: pa.Table, method: str) -> dict[str, Any]:
    rows = labels.to_pylist()
    events = [(f"{r['device']}\t{r['sensor']}", r["start"], r["end"]) for r in rows]
    on_event = overlap(windows, windows.series, events)
    is_labelled, is_found = on_event.is_labelled, on_event.is_found
    alarm = windows.is_anomaly
    # A run of anomalous windows: neighbours in time of one series.
    follows = (
        (np.r_[False, windows.series[1:] == windows.series[:-1]])
        & np.r_[False, windows.start[1:] == windows.end[:-1]]
    )
    begins = alarm & ~(follows & np.r_[False, alarm[:-1]])
    run = np.cumsum(begins)[alarm] - 1
    n_runs = int(begins.sum())
    run_hits = np.zeros(n_runs, bool)
    np.logical_or.at(run_hits, run, is_labelled[alarm])
    incidents = merge([(r["device"], r["start"], r["end"]) for r in rows])
    on_incident = overlap(windows, windows.device, incidents)
    days = float(
        (windows.end.max() - windows.start.min()) / DAY_US * np.unique(windows.device.astype(str)).size
    )
    n_false = int((alarm & ~is_labelled).sum())
    normal = int((~is_labelled).sum())
    return {
        "method": method,
        "windows": int(alarm.size),
        "labelled_windows": share(is_labelled.sum(), alarm.size),
        "events": len(events),
        "event_recall": share(is_found.sum(), len(events)),
        "found_at_once": share(on_event.is_found_at_once.sum(), len(events)),
        "window_recall": share((alarm & is_labelled).sum(), is_labelled.sum()),
        "anomalous_windows": int(alarm.sum()),
        "window_precision": share((alarm & is_labelled).sum(), alarm.sum()),
        "alerts": n_runs,
        "alert_precision": share(run_hits.sum(), n_runs),
        "false_alarm_rate": share(n_false, normal),
        "device_days": days,
        "false_windows_per_device_day": n_false / days,
        "false_alerts_per_device_day": float((~run_hits).sum() / days),
        "incidents": len(incidents),
        "incident_recall": share(on_incident.is_found.sum(), len(incidents)),
        "window_precision_any_sensor": share((alarm & on_incident.is_labelled).sum(), alarm.sum()),
    }


def merge(intervals: list[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """The intervals of each device joined where they overlap or touch: what befell the device as a whole."""
    merged: list[tuple[str, int, int]] = []
    for name, start, end in sorted(intervals):
        if merged and merged[-1][0] == name and start <= merged[-1][2]:
            merged[-1] = (name, merged[-1][1], max(end, merged[-1][2]))
        else:
            merged.append((name, start, end))
    return merged


def robust_z(windows: pa.Table, first_us: int, false_alarm_rate: float) -> tuple[pa.Table, np.ndarray]:
    """The test windows and whether a robust z-score calls them anomalous."""
    features = windows.column_names[5:]
    X = np.column_stack([windows[name].to_numpy() for name in features])
    series = number(windows, ["device", "sensor"]).astype(str)
    test = windows["window_start"].cast(pa.int64()).to_numpy() >= first_us
    alarm = np.zeros(len(X), bool)
    for name in np.unique(series):
        mine = series == name
        train = X[mine & ~test]
        middle = np.median(train, axis=0)
        # A feature that hardly changes has a MAD of 0; its standard deviation stands in.
        spread = 1.4826 * np.median(np.abs(train - middle), axis=0)
        spread = np.where(spread > 0, spread, np.maximum(train.std(axis=0), 1e-9))
        score = np.abs((X - middle) / spread).max(axis=1)
        alarm[mine] = score[mine] > np.quantile(score[mine & ~test], 1 - false_alarm_rate)
    return windows.filter(pa.array(test)), alarm[test]


TABLE = {
    "event_recall": "events found",
    "found_at_once": "found by its first window",
    "window_recall": "labelled windows flagged",
    "window_precision": "precision, windows",
    "alert_precision": "precision, alerts",
    "false_alarm_rate": "normal windows flagged",
    "false_windows_per_device_day": "false windows / device-day",
    "false_alerts_per_device_day": "false alerts / device-day",
    "incident_recall": "incidents found, any sensor",
    "window_precision_any_sensor": "precision, any sensor",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="the data folder of the run")
    parser.add_argument("--labels", type=Path, required=True, help="labels.csv of the data set")
    parser.add_argument(
        "--from", dest="first", default="2021-01-31T00:00+00:00", help="start of the test range"
    )
    parser.add_argument("--false-alarm-rate", type=float, default=0.001, help="target of the robust z-score")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    first = datetime.fromisoformat(arguments.first).astimezone(UTC)
    first_us = int(first.timestamp() * 1e6)
    labels = read_labels(arguments.labels)
    predictions = read_table(arguments.data / "07_model_output/predictions")
    predictions = predictions.filter(pc.greater_equal(predictions["window_start"], pa.scalar(first)))
    ours = as_windows(predictions, predictions["is_anomaly"].to_numpy())
    windows = read_table(arguments.data / "03_primary/windows").replace_schema_metadata(None)
    results = [
        judge(ours, labels, "fleet models"),
        judge(as_windows(*robust_z(windows, first_us, arguments.false_alarm_rate)), labels, "robust z-score"),
    ]
    if arguments.json:
        print(json.dumps(results, indent=2))
        return
    one = results[0]
    print(f"{one['windows']:,} windows, {one['labelled_windows']:.1%} of them labelled")
    print(f"{one['events']} events, {one['incidents']} incidents, {one['device_days']:.0f} device-days")
    print(f"{'':<30}" + "".join(f"{r['method']:>16}" for r in results))
    for key, text in TABLE.items():
        cells = (r[key] for r in results)
        digits = 2 if "per_device" in key else 3
        shown = ("-" if c is None else f"{c:.{digits}f}" for c in cells)
        print(f"{text:<30}" + "".join(f"{cell:>16}" for cell in shown))


if __name__ == "__main__":
    main()
