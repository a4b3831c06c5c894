"""Data passed to and from detectors: training windows, settings, fitted models, rows and scores.

Plain arrays and Arrow columns, independent of any one detector. The protocol ``Detector`` is in ``__init__``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batch_scoring.core.parameters import require
from batch_scoring.tables.arrays import Float, Int
from batch_scoring.tables.arrow_arrays import to_numpy

_DEFAULT_RATE = 0.001


@dataclass(frozen=True)
class FitParameters:
    """Settings of the fit, ``train.fit``.

    Attributes
    ----------
    nu : float
        Share of the training windows that may lie outside, in (0, 1]; scikit-learn's.
    gamma : "scale", "auto" or float
        Width of the RBF; scikit-learn's.
    tol : float
        Tolerance of the solver; scikit-learn's.
    detector : str
        A name in ``DETECTORS``; each detector checks the settings it requires.
    threshold : "calibrated" or "native"
        Native is the plain one-class SVM: anomalies have scores below 0.
    false_alarm_rate : float or None
        Share of normal windows that a calibrated threshold may flag, in [0, 1); None is one in a thousand.
    calibration_blocks : int
        Number of blocks of time that the training range is split into, at least 2.
    calibrate_on : "every_block" or "newest_block"
        Score every block by a model of the others, or only the newest one.
    min_windows : int
        Devices with fewer training windows get no model; at least 2.
    max_train_windows : int
        The one-class SVM of a longer series is fitted on as many windows, evenly spaced in time, since the
        solver is quadratic. All windows count in its calibration, and in the distance from the median.
    timezone : str
        IANA time zone whose hours and weekends the time of day follows.
    """

    nu: float = 0.1
    gamma: Any = "scale"
    tol: float = 1e-3
    detector: str = "combined"
    threshold: Literal["calibrated", "native"] = "calibrated"
    false_alarm_rate: float | None = None
    calibration_blocks: int = 5
    calibrate_on: Literal["every_block", "newest_block"] = "every_block"
    min_windows: int = 30
    max_train_windows: int = 800
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        checks = {
            "nu": (0 < self.nu <= 1, "a number in (0, 1]"),
            "tol": (self.tol > 0, "a positive number"),
            "false_alarm_rate": (0 <= self.rate < 1, "a number in [0, 1)"),
            "calibration_blocks": (self.calibration_blocks >= 2, "2 or more"),
            "min_windows": (self.min_windows >= 2, "2 or more"),
            "max_train_windows": (self.max_train_windows >= self.min_windows, "min_windows or more"),
            "gamma": (
                self.gamma in ("scale", "auto") or (_is_number(self.gamma) and self.gamma > 0),
                "'scale', 'auto' or a positive number",
            ),
        }
        require(self, "train.fit", checks)

    @property
    def rate(self) -> float:
        """Share of normal windows that may be flagged."""
        return _DEFAULT_RATE if self.false_alarm_rate is None else self.false_alarm_rate


@dataclass(frozen=True)
class Series:
    """The training windows of one device.

    Attributes
    ----------
    X : array of shape (n, d), float64
        Finite features, in the order of time.
    start_us : array of shape (n,), int64
        When the windows start, in microseconds since the epoch.
    window_us : int
        Their length, microseconds.
    features : tuple of str
        The names of the columns of X.
    """

    X: Float
    start_us: Int
    window_us: int
    features: tuple[str, ...]


@dataclass(frozen=True)
class FittedModel:
    """One device's model, which becomes a row of the fleet model's table.

    Attributes
    ----------
    columns : mapping of str to float, str or array of float64
        The columns of the detector's schema that are not in ``MODEL_KEYS``; arrays of any shape become
        lists, row by row.
    threshold : float
        A window is an anomaly when ``score < threshold``.
    train_flag_rate : float
        Share of the training windows that are flagged, 0 to 1.
    notes : tuple of str
        Remarks on this fit; written into the status table.
    is_constant : bool
        Whether the series never changed in training; the status is then ``constant``.
    """

    columns: Mapping[str, float | str | Float]
    threshold: float
    train_flag_rate: float
    notes: tuple[str, ...] = ()
    is_constant: bool = False


@dataclass(frozen=True)
class ModelRows:
    """The models of m devices, as passed to a detector for scoring.

    Attributes
    ----------
    table : pyarrow.Table
        The detector's schema, one row a device.
    features : tuple of str
        The d features, in the order of the columns of every model's arrays.
    window_us : int
        Length of the windows, microseconds.
    """

    table: pa.Table
    features: tuple[str, ...]
    window_us: int

    def numbers(self, name: str) -> Any:
        """Return a column of numbers, shape (m,)."""
        return to_numpy(self.table[name])

    def values(self, name: str) -> Float:
        """Return the concatenated lists of a column, float64."""
        # flatten() honours the offsets of a sliced array, .values would not.
        return to_numpy(self._array(name).flatten())

    def offsets(self, name: str) -> Int:
        """Return the start of each model's list in :meth:`values`, and the end of the last, (m + 1,)."""
        offsets = to_numpy(self._array(name).offsets).astype(np.int64)
        return offsets - offsets[0] if offsets.size else np.zeros(1, np.int64)

    def _array(self, name: str) -> pa.Array:
        column = self.table[name]
        return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


@dataclass(frozen=True)
class ExpectedRange:
    """What the most unusual feature of n windows would normally be, in the feature's own unit.

    Attributes
    ----------
    expected : array of shape (n,), float64
    lower, upper : array of shape (n,), float64
        Where normal windows stay but for a few; infinite where nothing is too low, or too high. A window
        inside is no anomaly by this feature alone; one outside need not be an anomaly.
    """

    expected: Float
    lower: Float
    upper: Float


@dataclass(frozen=True)
class Scores:
    """The scores of n windows over d features; see :func:`batch_scoring.detection.score.predict`.

    Attributes
    ----------
    score, threshold, severity : array of shape (n,), float64
        The lower the score, the more abnormal; an anomaly is below its threshold. Severity is 0 at the
        threshold and grows with the distance from it.
    top : array of shape (n,), int32 or int64
        The position of the most unusual feature.
    contributions : array of shape (n_anomalies, d), float64, or None
        For each anomaly, in the order of the windows, the decades that each feature alone would have
        given; None if the detector does not provide them.
    evidence : array of shape (n,), float64, or None
        How much speaks for an anomaly, not below 0; it ranks windows and sets no flag. None: the severity.
    expected : ExpectedRange or None
        What the most unusual feature would normally be; None if the detector does not provide it.
    may_stay : array of shape (n,), float64, or None
        Up to how many hours the machine may stay at the level that it comes to in this window, infinite where
        training does not show it; NaN where it comes to none. None if the detector knows no levels.
    """

    score: Float
    threshold: Float
    severity: Float
    top: NDArray[np.int32] | Int
    contributions: Float | None = None
    evidence: Float | None = None
    expected: ExpectedRange | None = None
    may_stay: Float | None = None


def row_offsets(known: Int, n_models: int) -> Int:
    """Compute the first row of each model, and the end of the last one, shape (n_models + 1,).

    Parameters
    ----------
    known : array of shape (n,), int64
        The model of each window, in the order of the models.
    n_models : int

    Examples
    --------
    >>> row_offsets(np.array([0, 0, 2]), 3).tolist()
    [0, 2, 2, 3]
    """
    return np.concatenate([[0], np.cumsum(np.bincount(known, minlength=n_models))])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
