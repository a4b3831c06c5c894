"""Measure the drift of each device from its model's calibration: flag rate, coverage, stability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.detection.flag_rate import least_rate
from batch_scoring.tables.arrays import Bool, Float, Int
from batch_scoring.tables.arrow_arrays import are, constant, distinct, positions, strings, to_arrow, to_numpy
from batch_scoring.tables.schemas import BIN_EDGES, DRIFT, TIMESTAMP

# The share of normal windows that calibration expects in each bin, since one in 10**k is beyond k decades.
# Below one decade it is a rank, not a promise.
_BEYOND = 10.0 ** -np.array(BIN_EDGES)
EXPECTED_SHARES = -np.diff(np.concatenate([[1.0], _BEYOND, [0.0]]))

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


def drift_table(
    totals: pa.Table,
    models: pa.Table,
    sensor: str,
    span: tuple[int, int],
    version: str,
    states_tail_probability: bool,
    limits: DriftLimits,
) -> pa.Table:
    """Compute one row for each device that has a window or a model.

    Parameters
    ----------
    totals : pyarrow.Table
        Schema DAILY, of one sensor and the days of the range, in any order.
    models : pyarrow.Table
        The columns ``device`` and ``trained_from`` of the models in force.
    span : (int, int)
        ``[start, end)`` of the range, µs since the epoch; it starts at midnight (UTC).
    version : str
        The champion. Windows scored by another version are counted, but do not enter rates and stability.
    states_tail_probability : bool
        Whether scores are log10 of a tail probability, as ``Detector.states_tail_probability``.

    Returns
    -------
    pyarrow.Table
        Schema DRIFT, sorted by device. ``coverage`` is the share of the windows that would be there had
        the device sent without a break: since the range began, or, where its model learned from nothing
        earlier, since its first window. ``is_over_budget`` says that the flag rate is over the target
        beyond chance: see :func:`~batch_scoring.detection.flag_rate.least_rate`. ``psi`` holds the scores
        against what calibration promises; null where scores are not tail probabilities, and for few windows.
    """
    names = distinct(totals["device"], models["device"])
    rows = totals.filter(to_arrow(to_numpy(totals["n_windows"]) > 0)).sort_by(
        [("device", "ascending"), ("day", "ascending"), ("first_start", "ascending")]
    )
    device, n = positions(rows["device"], names), len(names)
    n_windows = _sums(device, to_numpy(rows["n_windows"]), n)
    is_champion = are(rows["model_version"], version)
    judged, mine = rows.filter(to_arrow(is_champion)), device[is_champion]
    n_judged, n_flagged, n_alarms = (
        _sums(mine, to_numpy(judged[name]), n) for name in ("n_windows", "n_anomalies", "n_alarms")
    )
    n_alarms -= _sums(mine, _goes_on(mine, judged), n)
    has_rate = n_judged > 0
    rate = np.divide(n_flagged, n_judged, out=np.zeros(n), where=has_rate)
    has_target = has_rate & states_tail_probability
    has_psi = (n_judged >= limits.min_windows) & states_tail_probability
    target, index = np.zeros(n), np.zeros(n)
    if states_tail_probability:
        # All thresholds of a device and version are equal.
        target[mine] = 10.0 ** to_numpy(judged["threshold"])
        index = stability_index(_bin_counts(judged, mine, n))
    is_over = has_target & (least_rate(n_flagged, n_alarms, n_judged) > target)
    since = _present_since(models, names, rows, device, span)
    coverage = _coverage(rows, n_windows, since, span)
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
    Half a window is added, spread as expected, so that an empty bin does not give infinity. Below 0.1 is
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
    rarer = np.maximum(rarer, _BEYOND)
    ones = np.ones_like(total)
    found = np.maximum(-np.diff(np.hstack([ones, rarer, 0 * ones])), 0.5 * EXPECTED_SHARES / total)
    index: Float = ((found - EXPECTED_SHARES) * np.log(found / EXPECTED_SHARES)).sum(axis=1)
    return np.maximum(index, 0.0)


def _sums(device: Int, values: Int, n: int) -> Int:
    total = np.zeros(n, np.int64)
    np.add.at(total, device, values)
    return total


def _goes_on(device: Int, rows: pa.Table) -> Int:
    """Return 1 for each day that begins with the alarm that the day before ended with, else 0."""
    goes_on = np.zeros(device.size, np.int64)
    begins, ends = to_numpy(rows["begins_flagged"]), to_numpy(rows["ends_flagged"])
    goes_on[1:] = (device[1:] == device[:-1]) & begins[1:] & ends[:-1]
    return goes_on


def _present_since(
    models: pa.Table, names: pa.Array, rows: pa.Table, device: Int, span: tuple[int, int]
) -> Int:
    """Return when each device is expected to have started sending, within the range."""
    first = np.full(len(names), span[1])
    np.minimum.at(first, device, to_numpy(rows["first_start"]))
    learned = np.full(len(names), np.iinfo(np.int64).max)
    # An imported model has no recorded training range; its device existed before.
    learned[positions(models["device"], names)] = to_numpy(models["trained_from"], null=span[0])
    return np.where(learned <= span[0], span[0], np.minimum(first, np.maximum(learned, span[0])))


def _coverage(rows: pa.Table, n_windows: Int, since: Int, span: tuple[int, int]) -> Float:
    if rows.num_rows == 0:
        return np.zeros(n_windows.size)
    length = int(to_numpy(rows["last_end"])[0] - to_numpy(rows["last_start"])[0])
    n_expected = (span[1] - since) // length
    return np.minimum(np.divide(n_windows, n_expected, out=np.zeros(since.size), where=n_expected > 0), 1.0)


def _bin_counts(rows: pa.Table, device: Int, n: int) -> Int:
    counts = np.zeros((n, EXPECTED_SHARES.size), np.int64)
    found = to_numpy(rows["decades"].combine_chunks().flatten())
    # Days that were counted while the models could not be read have none.
    has_counts = to_numpy(pc.list_value_length(rows["decades"])) > 0
    np.add.at(counts, device[has_counts], found.reshape(-1, EXPECTED_SHARES.size))
    return counts


def _known(values: Float | Bool, is_known: Bool) -> pa.Array:
    """Build an Arrow array with nulls where values are unknown."""
    array = to_arrow(values)
    if is_known.all():
        return array
    mask = pa.py_buffer(np.packbits(is_known, bitorder="little"))
    return pa.Array.from_buffers(array.type, values.size, [mask, array.buffers()[1]])
