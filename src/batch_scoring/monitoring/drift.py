"""Measure the drift of each device from its model's calibration: flag rate, coverage, stability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.detection.flag_rate import begins_alarm, least_rate
from batch_scoring.tables.arrays import Bool, Float, Int
from batch_scoring.tables.arrow_arrays import constant, distinct, positions, strings, to_arrow, to_numpy
from batch_scoring.tables.schemas import DRIFT, TIMESTAMP

# Bins of −log10 of the tail probability, in decades: where they begin, and the share of normal windows that
# calibration expects in each, since one in 10**k is beyond k. Below one decade it is a rank, not a promise.
BIN_EDGES = np.array([1.0, 1.5, 2.0, 3.0])
EXPECTED_SHARES = -np.diff(np.concatenate([[1.0], 10.0**-BIN_EDGES, [0.0]]))

STATUSES = ("ok", "too_few_windows", "sparse", "drifted", "over_budget")


@dataclass(frozen=True)
class DriftLimits:
    """The limits beyond which a device is not ``ok``.

    Attributes
    ----------
    max_psi : float
        A larger population stability index is a drift.
    min_coverage : float
        A smaller share of the expected windows is sparse.
    min_windows : int
        Minimum number of windows of the champion for an index.
    """

    max_psi: float = 0.25
    min_coverage: float = 0.8
    min_windows: int = 100


@dataclass(frozen=True)
class WatchedModels:
    """The champion's models of the devices of a range.

    Attributes
    ----------
    version : str
        Windows scored by another version are counted, but do not enter rates and stability.
    states_tail_probability : bool
        Whether scores are log10 of a tail probability, as ``Detector.states_tail_probability``.
    """

    version: str
    states_tail_probability: bool


def drift_table(
    predictions: pa.Table,
    models: pa.Table,
    sensor: str,
    span: tuple[int, int],
    watched: WatchedModels,
    limits: DriftLimits,
) -> pa.Table:
    """Compute one row for each device that has a window or a model.

    Parameters
    ----------
    predictions : pyarrow.Table
        The columns WATCHED of one sensor's predictions, each device's windows in any order.
    models : pyarrow.Table
        The columns ``device`` and ``trained_from`` of the models in force.
    sensor : str
    span : (int, int)
        ``[start, end)`` of the windows to look at, µs since the epoch; others are left out.
    watched : WatchedModels
    limits : DriftLimits

    Returns
    -------
    pyarrow.Table
        Schema DRIFT, sorted by device. ``coverage`` is the share of the windows that would be there had
        the device sent without a break: since the range began, or, where its model learned from nothing
        earlier, since its first window. ``is_over_budget`` says that the flag rate is over the target
        beyond chance: see :func:`~batch_scoring.detection.flag_rate.least_rate`. ``psi`` holds the scores
        against what calibration promises; null where scores are no tail probabilities, and for few windows.
    """
    names = distinct(predictions["device"], models["device"])
    rows = _rows(predictions, names, span)
    n = len(names)
    n_windows = np.bincount(rows.device, minlength=n)
    is_champion = to_numpy(pc.is_in(rows.table["model_version"], value_set=strings([watched.version])))
    device, flagged = rows.device[is_champion], to_numpy(rows.table["is_anomaly"])[is_champion]
    n_judged, n_flagged = (np.bincount(some, minlength=n) for some in (device, device[flagged]))
    n_alarms = np.bincount(device[begins_alarm(device, flagged)], minlength=n)
    has_rate = n_judged > 0
    rate = np.divide(n_flagged, n_judged, out=np.zeros(n), where=has_rate)
    has_target = has_rate & watched.states_tail_probability
    has_psi = (n_judged >= limits.min_windows) & watched.states_tail_probability
    target, index = np.zeros(n), np.zeros(n)
    if watched.states_tail_probability:
        # All thresholds of a device and version are equal.
        target[device] = 10.0 ** to_numpy(rows.table["threshold"])[is_champion]
        index = stability_index(_bin_counts(-to_numpy(rows.table["score"])[is_champion], device, n))
    is_over = has_target & (least_rate(n_flagged, n_alarms, n_judged) > target)
    coverage = _coverage(rows, n_windows, _present_since(models, names, rows, span), span)
    case = np.select(
        [
            is_over,
            has_psi & (index > limits.max_psi),
            coverage < limits.min_coverage,
            n_judged < limits.min_windows,
        ],
        [4, 3, 2, 1],
        0,
    )
    columns = [
        names,
        constant(sensor, n),
        *(to_arrow(np.full(n, edge)).view(TIMESTAMP) for edge in span),
        to_arrow(n_windows),
        to_arrow(coverage),
        to_arrow(n_judged),
        to_arrow(n_alarms),
        _known(rate, has_rate),
        _known(target, has_target),
        _known(is_over, has_target),
        _known(index, has_psi),
        strings(STATUSES).take(to_arrow(case)),
    ]
    return pa.Table.from_arrays(columns, schema=DRIFT)


def stability_index(counts: Int) -> Float:
    """Compute the population stability index of the counts of each device, shape (n,).

    ``Σ (a - e) log(a / e)`` over the bins, ``a`` the share found and ``e`` the one expected. Scores are
    upper estimates: normal windows lie beyond k decades at most once in 10**k. So where fewer are,
    as many as expected count as found, and only too many windows far out make an index.
    Half a window is added, spread as expected, so that an empty bin is no infinity. Below 0.1 is
    called stable and above 0.25 shifted.

    Parameters
    ----------
    counts : array of shape (n, 5), int64
        Windows in each bin between BIN_EDGES.

    Examples
    --------
    >>> calm, twice_as_rare, shifted = [1000, 0, 0, 0, 0], [800, 136, 44, 18, 2], [500, 200, 200, 50, 50]
    >>> stability_index(np.array([calm, twice_as_rare, shifted])).round(2).tolist()
    [0.0, 0.08, 1.03]
    """
    total = counts.sum(axis=1, keepdims=True) + 0.5
    rarer = np.cumsum((counts + 0.5 * EXPECTED_SHARES)[:, :0:-1], axis=1)[:, ::-1] / total
    rarer = np.maximum(rarer, 10.0**-BIN_EDGES)
    ones = np.ones_like(total)
    found = np.maximum(-np.diff(np.hstack([ones, rarer, 0 * ones])), 0.5 * EXPECTED_SHARES / total)
    index: Float = ((found - EXPECTED_SHARES) * np.log(found / EXPECTED_SHARES)).sum(axis=1)
    return np.maximum(index, 0.0)


@dataclass(frozen=True)
class _Rows:
    """Windows inside the range, sorted by device and start."""

    table: pa.Table
    device: Int
    start: Int
    length: int


def _rows(predictions: pa.Table, names: pa.Array, span: tuple[int, int]) -> _Rows:
    start, end = (to_numpy(predictions[name]) for name in ("window_start", "window_end"))
    kept = np.flatnonzero((start >= span[0]) & (end <= span[1]))
    device = positions(predictions["device"], names)[kept]
    order = np.lexsort((start[kept], device))
    table = predictions.take(to_arrow(kept[order])).combine_chunks()
    length = int((end - start)[kept[0]]) if kept.size else 0
    return _Rows(table, device[order], start[kept[order]], length)


def _present_since(models: pa.Table, names: pa.Array, rows: _Rows, span: tuple[int, int]) -> Int:
    """Return when each device is expected to have started sending, within the range."""
    first = np.full(len(names), span[1])
    begins = np.flatnonzero(np.diff(rows.device, prepend=-1))
    first[rows.device[begins]] = rows.start[begins]
    learned = np.full(len(names), np.iinfo(np.int64).max)
    # An imported model has no recorded training range; its device existed before.
    learned[positions(models["device"], names)] = to_numpy(models["trained_from"], null=span[0])
    return np.where(learned <= span[0], span[0], np.minimum(first, np.maximum(learned, span[0])))


def _coverage(rows: _Rows, n_windows: Int, since: Int, span: tuple[int, int]) -> Float:
    if rows.length == 0:
        return np.zeros(n_windows.size)
    n_expected = (span[1] - since) // rows.length
    return np.minimum(np.divide(n_windows, n_expected, out=np.zeros(since.size), where=n_expected > 0), 1.0)


def _bin_counts(decades: Float, device: Int, n: int) -> Int:
    n_bins = EXPECTED_SHARES.size
    place = np.searchsorted(BIN_EDGES, decades, "right")
    return np.bincount(device * n_bins + place, minlength=n * n_bins).reshape(n, n_bins)


def _known(values: Float | Bool, is_known: Bool) -> pa.Array:
    """Build an Arrow array with nulls where values are unknown."""
    array = to_arrow(values)
    if is_known.all():
        return array
    mask = pa.py_buffer(np.packbits(is_known, bitorder="little"))
    return pa.Array.from_buffers(array.type, values.size, [mask, array.buffers()[1]])
