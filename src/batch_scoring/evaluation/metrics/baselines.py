"""Baselines to compare models with: plain methods on the same windows, split and features."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from batch_scoring.core.moments import DAY_US
from batch_scoring.evaluation.metrics.sensor_windows import SensorWindows, Verdict, excess
from batch_scoring.tables.arrays import Bool, Float, Int

# A MAD of 0 means that more than half of the values are equal.
MAD_TO_SIGMA = 1.4826

# A day with fewer than this share of its windows gives no usable mean.
MIN_SHARE_OF_DAY = 0.25


@dataclass(frozen=True)
class Series:
    """The windows of one device and sensor whose features are finite, n of them, in the order of time.

    Attributes
    ----------
    X : array of shape (n, d), float64
    value : array of shape (n,), float64
        The feature ``mean``, or the first one where there is no mean.
    start, end : array of shape (n,), int64
        Microseconds since the epoch.
    is_train : array of shape (n,), bool
        At least one of them is true.
    seed : int
        Seed of all random numbers.
    """

    X: Float
    value: Float
    start: Int
    end: Int
    is_train: Bool
    seed: int


def robust_z(series: Series) -> Float:
    """The largest distance of a feature from its training median, in training MADs.

    A feature whose MAD is 0 is measured in its standard deviations.
    """
    train = series.X[series.is_train]
    middle = np.median(train, axis=0)
    spread = MAD_TO_SIGMA * np.median(np.abs(train - middle), axis=0)
    spread = np.where(spread > 0, spread, np.maximum(train.std(axis=0), 1e-9))
    return np.abs((series.X - middle) / spread).max(axis=1)


def isolation_forest(series: Series) -> Float:
    """scikit-learn's IsolationForest, 100 trees, fitted on the training windows."""
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(n_estimators=100, random_state=series.seed).fit(series.X[series.is_train])
    return -forest.score_samples(series.X)


def rolling_z(series: Series) -> Float:
    """The distance of the value from the mean of the day before, in standard deviations of that day.

    The day ends where the window begins. With less than a quarter of its windows nothing is usual
    yet and nothing suspicious: 0.
    """
    value = series.value - np.median(series.value)
    day = np.searchsorted(series.start, series.start - DAY_US)
    now = np.arange(value.size)
    count = now - day
    total, squares = (np.concatenate([[0.0], np.cumsum(part)]) for part in (value, value**2))
    size = np.maximum(count, 1)
    mean = (total[now] - total[day]) / size
    variance = np.maximum((squares[now] - squares[day]) / size - mean**2, 0.0)
    # Differences of long sums are never quite 0.
    floor = max(1e-6 * float(value[series.is_train].std()), 1e-9)
    enough = count >= max(2.0, MIN_SHARE_OF_DAY * DAY_US / float(np.min(series.end - series.start)))
    return np.where(enough, np.abs(value - mean) / np.maximum(np.sqrt(variance), floor), 0.0)


def random(series: Series) -> Float:
    """Draw a number from [0, 1): the result of chance."""
    return np.random.default_rng(series.seed).random(series.value.size)


BASELINES: dict[str, Callable[[Series], Float]] = {
    "robust_z": robust_z,
    "isolation_forest": isolation_forest,
    "rolling_z": rolling_z,
    "random": random,
}


def verdict_of_baseline(name: str, windows: SensorWindows, seed: int) -> Verdict:
    """Return a baseline's verdict on the windows that the models have scored.

    It learns from the training windows of the very version that scored a window, and its threshold flags
    the models' budget of them. Of windows without a prediction it has none, so that all methods are
    evaluated on the same ones.

    Parameters
    ----------
    name : str
        One of ``BASELINES``.
    seed : int
        Together with the names of sensor and device, of what is drawn at random.
    """
    over, alarm = np.full(windows.score.size, np.nan), np.zeros(windows.score.size, bool)
    usable: Bool = np.asarray(np.isfinite(windows.X).all(axis=1))
    value = windows.X[:, windows.features.index("mean") if "mean" in windows.features else 0]
    learned = {version: windows.learned_by(version) for version in np.unique(windows.version).tolist()}
    for device, rows, version, is_its in windows.series_by_version():
        mine = rows.start + np.flatnonzero(usable[rows])
        is_train = learned[version][mine]
        if not is_train.any():
            continue
        draw = zlib.crc32(f"{name}\n{windows.sensor}\n{windows.devices[device]}".encode(), seed)
        start, end = windows.timeline.start[mine], windows.timeline.end[mine]
        suspicion = BASELINES[name](Series(windows.X[mine], value[mine], start, end, is_train, draw))
        threshold = np.quantile(suspicion[is_train], 1.0 - windows.mean_budget)
        scored = is_its[usable[rows]]
        over[mine[scored]] = excess(suspicion, threshold, np.median(suspicion[is_train]))[scored]
        alarm[mine[scored]] = suspicion[scored] > threshold
    shown = windows.is_test & windows.is_predicted
    over[~shown], alarm[~shown] = np.nan, False
    return Verdict(over[windows.is_test], alarm[windows.is_test])
