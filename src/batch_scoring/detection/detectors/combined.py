"""The combined detector: score windows by distance from the median and by the one-class SVM.

The distance is unbounded; the SVM detects unusual combinations of usual features, but its score is bounded
far from all support vectors. Both become decades of tail probability (``tail_curves``), which are added up
and calibrated together. Its arrays are in ``combined_tails``, its fit in ``combined_fit``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from batch_scoring.core.parameters import require
from batch_scoring.detection.detectors.base import (
    ExpectedRange,
    FitParameters,
    FittedModel,
    ModelRows,
    Scores,
    Series,
    row_offsets,
)
from batch_scoring.detection.detectors.combined_tails import (
    N_BOTH,
    SUMMED,
    CombinedModels,
    Curves,
    contributions,
    distance_at,
    hours_of_models,
    tail_decades,
    treat,
    usual_distance,
)
from batch_scoring.detection.detectors.levels import comes_to, levels_of_models
from batch_scoring.detection.detectors.one_class_svm import rbf_models, svm_list_sizes
from batch_scoring.detection.detectors.preprocessing import CONSTANT, COUNTER, KINDS, Roles
from batch_scoring.detection.detectors.recalibration import recalibrated
from batch_scoring.detection.detectors.tail_curves import N_NUMBERS
from batch_scoring.detection.kernel import score_rows
from batch_scoring.tables.arrays import Float, Int
from batch_scoring.tables.arrow_arrays import are, positions, strings
from batch_scoring.tables.schemas import COMBINED

# Scoring a dozen windows of 20,000 models besides the SVM: 34 ms with 1,024 to 8,192 models at a time; 50 ms
# all at once, which exceeds the cache; 58 ms with 128.
_BLOCK_MODELS = 1024
# Severity ends here. Tails are extrapolated from some thousand windows: whether something is rarer by a
# hundred decades or by a billion says how narrow the training was, not how bad the window is.
MOST_SEVERE = 100.0


class Combined:
    """Scores are log10 of the tail probability, estimated from above; it can be recalibrated.

    They end ``MOST_SEVERE`` decades below the threshold; evidence does not.
    """

    name = "combined"
    schema = COMBINED
    states_tail_probability = True

    def check(self, parameters: FitParameters) -> None:
        """Require a calibrated threshold and a rate above 0, since the threshold is the rate's logarithm."""
        checks = {
            "threshold": (
                parameters.threshold == "calibrated",
                "'calibrated', or train.fit.detector 'one_class_svm'",
            ),
            "false_alarm_rate": (
                parameters.rate > 0,
                f"a number above 0 and below 1 for train.fit.detector {self.name!r}",
            ),
        }
        require(parameters, "train.fit", checks)

    def fit(self, series: Series, parameters: FitParameters) -> FittedModel:
        """Fit and calibrate the one-class SVM and the distance from the median of one device."""
        # Imported here: it would add 3 ms to the start of every scoring job.
        from batch_scoring.detection.detectors.combined_fit import fit_combined

        svm, own = fit_combined(series, parameters)
        return svm.as_fitted(vars(own))

    def list_sizes(self, models: ModelRows) -> Mapping[str, int | Int]:
        """Return the lengths for the one-class SVM, median, spread and curves."""
        d = len(models.features)
        own = {
            "center": d,
            "spread": d,
            "distance_curve": N_NUMBERS,
            "svm_curve": N_NUMBERS,
            "curve": N_BOTH,
        }
        return {**svm_list_sizes(models, Roles.of(models.features).of_svm.size), **own}

    def needs_time_of_day(self, models: ModelRows) -> bool:
        """Whether any of these models removes hour-of-day seasonality."""
        return bool((np.diff(models.offsets("time_of_day")) > 0).any())

    def kinds(self, models: ModelRows) -> Int:
        """Number plain series, counters and constants, each by its levels; see ``HasKinds``."""
        kind = positions(models.table["kind"], strings(KINDS))
        return kind + len(KINDS) * np.diff(models.offsets("levels")).astype(np.int64)

    def recalibrate(self, models: ModelRows, evidence: Float, counts: Int) -> Float:
        """Fit combined curves anew; see ``Recalibrates``. Constant series and former models keep theirs."""
        own = models.values("curve").reshape(-1, N_BOTH)
        kept = are(models.table["kind"], KINDS[CONSTANT]) | (models.numbers("fit_version") < SUMMED)
        used = np.repeat(~kept, counts)
        return recalibrated(own, models.numbers("n_train"), evidence[used], np.where(kept, 0, counts))

    def expected_range(
        self, X: Float, start_us: Int, known: Int, models: ModelRows, feature: str
    ) -> ExpectedRange:
        """Compute what a feature would normally be; see ``StatesRange``."""
        combined, curves = combined_arrays(models)
        roles = Roles.of(models.features)
        limit = _limits(models, curves, roles)
        column = np.full(len(X), models.features.index(feature))
        return _expected(X, start_us, known, column, limit, combined, roles)

    def score_windows(
        self, X: Float, start_us: Int, known: Int, models: ModelRows, n_threads: int | None = None
    ) -> Scores:
        """Score windows by both tail probabilities; see ``Detector.score_windows``."""
        offsets = row_offsets(known, models.table.num_rows)
        counts = np.diff(offsets)
        combined, curves = combined_arrays(models)
        roles = Roles.of(models.features)
        blocks = [slice(first, first + _BLOCK_MODELS) for first in range(0, counts.size, _BLOCK_MODELS)]
        rows_of = [slice(offsets[some.start], offsets[min(some.stop, counts.size)]) for some in blocks]
        treated, z = np.empty((len(X), roles.of_svm.size)), np.empty((X.shape[1], len(X)))
        for some, rows in zip(blocks, rows_of, strict=True):
            treated[rows], z[:, rows] = treat(
                X[rows], start_us[rows], models.window_us, counts[some], combined.part(some), roles
            )
        svm, _ = score_rows(rbf_models(models, roles.of_svm.size), treated, offsets, n_threads)
        svm /= models.numbers("rho")[known]
        threshold = models.numbers("threshold")[known]
        least = threshold - MOST_SEVERE
        score, evidence, top = np.empty(len(X)), np.empty(len(X)), np.empty(len(X), np.int64)
        for some, rows in zip(blocks, rows_of, strict=True):
            rare = tail_decades(z[:, rows], svm[rows], counts[some], curves.part(some))
            score[rows], evidence[rows] = np.maximum(-rare.calibrated, least[rows]), rare.evidence
            top[rows] = _largest(z[:, rows])
        flagged = score < threshold
        parts = contributions(z[:, flagged], np.bincount(known[flagged], minlength=counts.size), curves)
        np.minimum(parts, -least[flagged, None], out=parts)
        limit = _limits(models, curves, roles)
        top[_are_off(treated, z, known, top, limit, combined, roles)] = roles.mean
        expected = _expected(X, start_us, known, top, limit, combined, roles)
        severity = np.maximum(threshold - score, 0.0)
        may_stay = _may_stay(X, known, models, combined, roles)
        return Scores(score, threshold, severity, top, parts, evidence, expected, may_stay)


def _limits(models: ModelRows, curves: Curves, roles: Roles) -> Float:
    """Compute the *z* up to which each feature of m models is usual, shape (m, d)."""
    wanted = -models.numbers("threshold")
    limits = np.repeat(usual_distance(wanted, curves)[:, None], len(models.features), axis=1)
    if roles.run >= 0:
        # Its spread is made for this limit: three times the longest run of training.
        limits[:, roles.run] = distance_at(wanted, curves)
    return limits


def _are_off(
    treated: Float, z: Float, known: Int, top: Int, limit: Float, models: CombinedModels, roles: Roles
) -> Int:
    """Find the windows in which all readings are off, though another feature is farther out; returns rows.

    Mean, lowest and highest reading are not usual, all on one side: whatever that makes of the spread, a
    person calls it another level. Where readings only scatter more, the lowest and the highest part.

    Parameters
    ----------
    treated : array of shape (n, d'), float64
    z : array of shape (d, n), float64
        Both of ``treat``.
    top : array of shape (n,), int64
        The feature that is farthest out.
    limit : array of shape (m, d), float64
        The *z* up to which each feature is usual.
    """
    if roles.mean < 0 or roles.levels.size < 2:
        return np.zeros(0, np.int64)
    rows = np.flatnonzero(roles.of_level[top])
    for level in roles.levels:
        rows = rows[z[level, rows] > limit[known[rows], level]]
    of_svm = np.searchsorted(roles.of_svm, roles.levels)
    is_above = treated[np.ix_(rows, of_svm)] > models.center[np.ix_(known[rows], roles.levels)]
    found: Int = rows[is_above.all(axis=1) | ~is_above.any(axis=1)]
    return found


def _expected(
    X: Float, start_us: Int, known: Int, top: Int, limit: Float, models: CombinedModels, roles: Roles
) -> ExpectedRange:
    """Compute what a feature would normally be: the median, as it is at that time and level.

    Parameters
    ----------
    top : array of shape (n,), int64
        The position of the feature, of each window.
    limit : array of shape (m, d), float64
        The *z* up to which each feature is usual.
    """
    expected, spread = models.usual(X, known, top, roles)
    reach = limit[known, top] * spread
    is_level = np.isin(top, roles.levels)
    seasonal = np.flatnonzero(is_level & (models.season[known] >= 0))
    if seasonal.size:
        offsets = models.level_offsets(start_us[seasonal], known[seasonal])
        of_level = np.searchsorted(roles.levels, top[seasonal])
        expected[seasonal] += offsets[np.arange(seasonal.size), of_level]
    counted = np.flatnonzero(is_level & (models.kind[known] == COUNTER))
    if counted.size:
        expected[counted] += X[counted, roles.mean] - X[counted, roles.diff_mean]
    lower = expected - reach
    # A sensor gives no spread and no number below 0. That its readings were above it so far says less: those
    # of a level may go on falling.
    np.maximum(lower, 0.0, out=lower, where=roles.has_floor[top])
    lower[top == roles.run] = -np.inf
    return ExpectedRange(expected, lower, expected + reach)


def _may_stay(
    X: Float, known: Int, models: ModelRows, combined: CombinedModels, roles: Roles
) -> Float | None:
    """Return up to how many hours each machine may stay at the level that it comes to, NaN elsewhere."""
    if combined.levels is None:
        return None
    levels = combined.levels
    rows = np.flatnonzero(levels.place[known] >= 0)
    place = levels.place[known[rows]]
    level = comes_to(X[rows], levels.low[place], levels.high[place], roles)
    rows, level = rows[level >= 0], level[level >= 0]
    hours, offsets = np.append(models.values("may_stay"), np.inf), models.offsets("may_stay")
    # Models of before stays counted have none.
    is_known = np.diff(offsets)[known[rows]] > 0
    found = np.full(len(X), np.nan)
    found[rows] = hours[np.where(is_known, offsets[known[rows]] + level, -1)]
    return found


def combined_arrays(models: ModelRows) -> tuple[CombinedModels, Curves]:
    """Convert the detector's own columns to arrays."""
    d, n_levels = len(models.features), Roles.of(models.features).levels.size
    season, of_hour = hours_of_models(models.values("time_of_day"), models.offsets("time_of_day"), n_levels)
    zones, version = models.table["time_zone"].unique(), models.numbers("fit_version")
    combined = CombinedModels(
        kind=positions(models.table["kind"], strings(KINDS)),
        center=models.values("center").reshape(-1, d),
        spread=models.values("spread").reshape(-1, d),
        season=season,
        of_hour=of_hour,
        version=version,
        zone=positions(models.table["time_zone"], zones),
        zones=tuple(zones.to_pylist()),
        levels=levels_of_models(models.values("levels"), models.offsets("levels"), d),
    )
    curves = Curves(
        distance=models.values("distance_curve").reshape(-1, N_NUMBERS),
        svm=models.values("svm_curve").reshape(-1, N_NUMBERS),
        both=models.values("curve").reshape(-1, N_BOTH),
        is_former=version < SUMMED,
    )
    return combined, curves


def _largest(z: Float) -> Int:
    """Find the first row of the largest number in each column of z; argmax takes five times as long.

    Examples
    --------
    >>> _largest(np.array([[1.0, 2.0], [3.0, 2.0]])).tolist()
    [1, 0]
    """
    largest, place = z[0].copy(), np.zeros(z.shape[1], np.int64)
    for row in range(1, len(z)):
        place[z[row] > largest] = row
        np.maximum(largest, z[row], out=largest)
    return place
