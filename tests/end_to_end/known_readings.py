"""Readings that are known beforehand, and what must be made of them: counted without the project's code."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

DEVICES = [f"pump {n}" for n in range(11)] + ["über/7"]
SENSORS = ["flow", "air/pressure", "speed"]
START = pd.Timestamp("2026-01-05T00:00Z")
SPAN_US = int(pd.Timedelta("2 days") / pd.Timedelta("1us"))
WINDOW = "5min"
FEATURES = ("mean", "sum", "min", "max")
SERIES = ["sensor", "device"]


def known_readings(count: int, seed: int) -> pd.DataFrame:
    """So many readings in the order in which they are sent; no two of a series at one time.

    Most are up to some minutes late, some an hour, a few half a day, so the order of sending is not
    that of time. Values are eighths: sums of them are exact in any order.

    Returns
    -------
    pandas.DataFrame
        timestamp (UTC), device, sensor, value.
    """
    chance = np.random.default_rng(seed)
    lateness = chance.exponential(chance.choice([30e6, 3600e6, 12 * 3600e6], count, p=[0.9, 0.08, 0.02]))
    microsecond = np.maximum(np.linspace(0, SPAN_US - 1, count) - lateness, 0).astype(np.int64)
    readings = pd.DataFrame(
        {
            "timestamp": START + pd.to_timedelta(microsecond, unit="us"),
            "device": np.array(DEVICES)[chance.integers(len(DEVICES), size=count)],
            "sensor": np.array(SENSORS)[chance.integers(len(SENSORS), size=count)],
            "value": chance.integers(-8000, 8000, count) / 8,
        }
    )
    while (again := readings.duplicated(["timestamp", *SERIES])).any():
        readings.loc[again, "timestamp"] += pd.to_timedelta(chance.integers(1, 10**6, again.sum()), unit="us")
    return readings


def bodies(readings: pd.DataFrame) -> list[str]:
    """What devices send: JSON, one reading each."""
    times = readings["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    rows = zip(times, readings["device"], readings["sensor"], readings["value"], strict=True)
    return [
        json.dumps(dict(zip(("timestamp", "device", "sensor", "value"), row, strict=True))) for row in rows
    ]


@dataclass(frozen=True)
class Found:
    """What is stored, held against what is known.

    Attributes
    ----------
    in_windows : int
        The sum of the windows' counts.
    lost, doubled : int
        Readings that windows, or the table of readings, have too few or too many of; the larger.
    wrong : int
        Windows whose mean, sum, least or largest value is another, and readings nobody sent.
    windows : int
    """

    in_windows: int
    lost: int
    doubled: int
    wrong: int
    windows: int

    @property
    def is_all_well(self) -> bool:
        return not (self.lost or self.doubled or self.wrong)


def compare(known: pd.DataFrame, readings: pa.Table, windows: pa.Table) -> Found:
    """Hold stored readings and windows against the known readings."""
    lost, doubled, foreign = _compare_readings(known, readings.to_pandas())
    expected, found = known_windows(known), windows.to_pandas()
    keys = [*SERIES, "window_start"]
    merged = expected.merge(found, "outer", on=keys, suffixes=("", "_found"))
    counts = merged[["count", "count_found"]].fillna(0)
    surplus = counts["count_found"] - counts["count"]
    both = merged.dropna(subset=["count", "count_found"])
    differs = np.zeros(len(both), bool)
    for feature in FEATURES:
        differs |= ~np.isclose(both[feature], both[f"{feature}_found"], rtol=1e-12, atol=1e-12)
    ends = found["window_start"] + pd.Timedelta(WINDOW)
    return Found(
        in_windows=int(found["count"].sum()),
        lost=max(lost, int(-surplus[surplus < 0].sum())),
        doubled=max(doubled, int(surplus[surplus > 0].sum()), int(found.duplicated(keys).sum())),
        wrong=int(differs.sum()) + foreign + int((found["window_end"] != ends).sum()),
        windows=len(found),
    )


def known_windows(known: pd.DataFrame) -> pd.DataFrame:
    """The windows of known readings."""
    floors = known.assign(window_start=known["timestamp"].dt.floor(WINDOW))
    grouped = floors.groupby([*SERIES, "window_start"])["value"]
    return grouped.agg(["count", *FEATURES]).reset_index()


def _compare_readings(known: pd.DataFrame, found: pd.DataFrame) -> tuple[int, int, int]:
    """How many are missing, there again, and there without having been sent."""
    keys = ["timestamp", *SERIES]
    merged = known.merge(found.drop_duplicates(keys), "outer", on=keys, indicator=True)
    is_foreign = (merged["_merge"] == "right_only") | (
        (merged["_merge"] == "both") & (merged["value_x"] != merged["value_y"])
    )
    lost = int((merged["_merge"] == "left_only").sum())
    return lost, int(found.duplicated(keys).sum()), int(is_foreign.sum())
