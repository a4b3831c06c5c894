"""The windows of one device and sensor in a range of time: values, verdicts and the expected range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from batch_scoring.detection.detectors.base import ExpectedRange
from batch_scoring.reporting.page_data import pack
from batch_scoring.server.queries.band import DeviceModel, expected_range
from batch_scoring.tables.arrays import Float, Int
from batch_scoring.tables.arrow_arrays import are, to_arrow, to_numpy

# More points than a chart has pixels.
MAX_READINGS = 3_000
_NUMBERS = ("value", "score", "threshold", "severity")


@dataclass(frozen=True)
class WindowSeries:
    """The windows of one series, whether they were scored or not.

    Attributes
    ----------
    start : array of shape (n,), int64
        Microseconds since the epoch, ascending.
    numbers : dict of str to array of shape (n,), float64
        ``value`` (the mean), ``score``, ``threshold`` and ``severity``; NaN where there is none.
    is_anomaly : array of shape (n,), bool
    feature, rule : list of str
        The most unusual feature, and the rule that decided; empty where there is none.
    features : pyarrow.Table
        The rows of the windows table in this range, by time; they may be fewer.
    """

    start: Int
    numbers: Mapping[str, Float]
    is_anomaly: Any
    feature: list[str]
    rule: list[str]
    features: pa.Table = field(repr=False)

    @property
    def lead(self) -> str:
        """The feature that leads most of the anomalous windows; empty without one."""
        led = [self.feature[i] for i in np.flatnonzero(self.is_anomaly) if self.feature[i]]
        return max(sorted(set(led)), key=led.count) if led else ""


def join_windows(windows: pa.Table, predictions: pa.Table) -> WindowSeries:
    """Join the windows of one series with its predictions.

    Parameters
    ----------
    windows : pyarrow.Table
        Schema of the windows.
    predictions : pyarrow.Table
        Schema PREDICTIONS; ``rule`` may be missing.
    """
    windows, predictions = (rows.sort_by("window_start") for rows in (windows, predictions))
    of_windows, of_scored = (to_numpy(rows["window_start"]) for rows in (windows, predictions))
    start = np.union1d(of_windows, of_scored)
    place = np.searchsorted(start, of_scored)
    numbers = {name: np.full(start.size, np.nan) for name in _NUMBERS}
    if "mean" in windows.column_names:
        numbers["value"][np.searchsorted(start, of_windows)] = to_numpy(windows["mean"], np.nan)
    for name in _NUMBERS:
        column = to_numpy(predictions[name], np.nan)
        is_known = np.isfinite(column)
        numbers[name][place[is_known]] = column[is_known]
    flags = np.zeros(start.size, bool)
    flags[place] = to_numpy(predictions["is_anomaly"], False)
    texts = {name: [""] * start.size for name in ("top_feature", "rule")}
    for name, known in texts.items():
        if name in predictions.column_names:
            for at, text in zip(place.tolist(), predictions[name].to_pylist(), strict=True):
                known[at] = text or ""
    return WindowSeries(start, numbers, flags, texts["top_feature"], texts["rule"], windows)


def feature_band(
    series: WindowSeries, model: DeviceModel | None, calibrations: pa.Table, feature: str
) -> tuple[Int, Float, ExpectedRange | None]:
    """Return start, value and expected range of a feature of the windows that still have their features."""
    rows = series.features
    start = to_numpy(rows["window_start"])
    value = (
        to_numpy(rows[feature], np.nan).astype(np.float64)
        if feature in rows.column_names
        else np.full(start.size, np.nan)
    )
    names = model.manifest.features if model is not None else ()
    if not names or not set(names) <= set(rows.column_names):
        return start, value, None
    X = np.column_stack([to_numpy(rows[name], np.nan).astype(np.float64) for name in names])
    return start, value, expected_range(model, calibrations, X, start, feature)


def thinned(time: Int, value: Float, at_most: int = MAX_READINGS) -> tuple[Int, Float]:
    """Keep the lowest and the highest reading of each of a number of stretches, in the order of time.

    Examples
    --------
    >>> time, value = thinned(np.arange(6), np.array([0.0, 5, 1, 2, 2, 9]), 4)
    >>> time.tolist(), value.tolist()
    ([0, 1, 3, 5], [0.0, 5.0, 2.0, 9.0])
    """
    if time.size <= at_most:
        return time, value
    edges = np.linspace(0, time.size, at_most // 2 + 1).astype(np.int64)[:-1]
    stretch = np.repeat(np.arange(edges.size), np.diff(edges, append=time.size))
    order = np.lexsort((value, stretch))
    ends = np.append(edges[1:], time.size) - 1
    keep = np.unique(np.concatenate([order[edges], order[ends]]))
    return time[keep], value[keep]


def pack_windows(series: WindowSeries, origin: int) -> dict[str, Any]:
    """Pack a series for the page: arrays as base64, starts in seconds after ``origin``."""
    flags = np.flatnonzero(series.is_anomaly)
    return {
        "t": pack((series.start - origin) / 1e6, "f8"),
        **{name: pack(series.numbers[name], "f4") for name in ("value", "score", "threshold")},
        "flags": flags.tolist(),
        "severity": [_plain(series.numbers["severity"][i]) for i in flags],
        "feature": [series.feature[i] for i in flags],
        "rules": [[int(i), text] for i, text in enumerate(series.rule) if text],
    }


def pack_band(start: Int, value: Float, band: ExpectedRange | None, origin: int) -> dict[str, Any]:
    """Pack a feature with its expected range."""
    packed = {"t": pack((start - origin) / 1e6, "f8"), "value": pack(value, "f4")}
    if band is not None:
        packed |= {name: pack(getattr(band, name), "f4") for name in ("expected", "lower", "upper")}
    return packed


def pack_readings(rows: pa.Table, origin: int) -> dict[str, str]:
    """Pack readings, thinned to what a chart can show."""
    rows = rows.sort_by("timestamp")
    time, value = thinned(to_numpy(rows["timestamp"]), to_numpy(rows["value"], np.nan))
    return {"t": pack((time - origin) / 1e6, "f8"), "value": pack(value, "f4")}


def _plain(number: float) -> float | None:
    return float(f"{number:.4g}") if np.isfinite(number) else None


def shifted(rows: pa.Table, by_us: int) -> tuple[Int, Float]:
    """Return start and value of windows, moved in time: last week's beside this week's."""
    rows = rows.sort_by("window_start")
    return to_numpy(rows["window_start"]) + by_us, to_numpy(rows["value"], np.nan)


def of_sensor(rows: pa.Table, sensor: str) -> pa.Table:
    """Select the rows of a sensor."""
    return rows.filter(to_arrow(are(rows["sensor"], sensor)))
