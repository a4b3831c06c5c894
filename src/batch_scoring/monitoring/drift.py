"""Measure the drift of each device from its model's calibration: flag rate, coverage, stability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.detection.flag_rate import least_rate
from batch_scoring.tables.arrays import Bool, Float, Int
from batch_scoring.tables.arrow_arrays import distinct, positions, strings, to_arrow, to_numpy
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


@dataclass(frozen=True)
class Watched:
    """Devices of a sensor that are watched.

    Attributes
    ----------
    sensor : str
    totals : pyarrow.Table
        Schema DAILY, of the days of the range, in any order.
    models : pyarrow.Table
        The columns ``device`` and ``trained_from`` of the models in force.
    version : str
        The champion. Windows scored by another version are counted, but do not enter rates and stability.
    states_tail_probability : bool
        Whether scores are log10 of a tail probability, as ``Detector.states_tail_probability``.
    """

    sensor: str
    totals: pa.Table
    models: pa.Table
    version: str
    states_tail_probability: bool


def drift_table(watched: Sequence[Watched], span: tuple[int, int], limits: DriftLimits) -> pa.Table:
    """Compute one row for each device that has a window or a model.

    Parameters
    ----------
    watched : sequence of Watched
        Of sensors in the order of their UTF-8 bytes: together, since each of a thousand may be small.
    span : (int, int)
        ``[start, end)`` of the range, µs since the epoch; it starts at midnight (UTC).
    limits : DriftLimits

    Returns
    -------
    pyarrow.Table
        Schema DRIFT, sorted by sensor and device. ``coverage`` is the share of the windows that would be
        there had the device sent without a break: since the range began, or, where its model learned from
        nothing earlier, since its first window. ``is_over_budget`` says that the flag rate is over the target
        beyond chance: see :func:`~batch_scoring.detection.flag_rate.least_rate`. ``psi`` holds the scores
        against what calibration promises; null where scores are not tail probabilities, and for few windows.
    """
    names, of_sensor, totals, models = _series(watched)
    rows = totals.filter(to_arrow(to_numpy(totals["n_windows"]) > 0)).sort_by(
        [("series", "ascending"), ("day", "ascending"), ("first_start", "ascending")]
    )
    series, n = to_numpy(rows["series"]), len(names)
    n_windows = _sums(series, to_numpy(rows["n_windows"]), n)
    champions = strings([one.version for one in watched]).take(to_arrow(of_sensor[series]))
    is_champion = to_numpy(pc.equal(rows["model_version"], champions), null=False)
    judged, mine = rows.filter(to_arrow(is_champion)), series[is_champion]
    n_judged, n_flagged, n_alarms = (
        _sums(mine, to_numpy(judged[name]), n) for name in ("n_windows", "n_anomalies", "n_alarms")
    )
    n_alarms -= _sums(mine, _goes_on(mine, judged), n)
    has_rate = n_judged > 0
    rate = np.divide(n_flagged, n_judged, out=np.zeros(n), where=has_rate)
    states = np.array([one.states_tail_probability for one in watched], bool)[of_sensor]
    has_target = has_rate & states
    has_psi = (n_judged >= limits.min_windows) & states
    target = np.zeros(n)
    # All thresholds of a device and version are equal.
    is_promised = states[mine]
    target[mine[is_promised]] = 10.0 ** to_numpy(judged["threshold"])[is_promised]
    index = np.where(states, stability_index(_bin_counts(judged, mine, n)), 0.0)
    is_over = has_target & (least_rate(n_flagged, n_alarms, n_judged) > target)
    since = _present_since(models, rows, n, span)
    coverage = _coverage(rows, n_windows, since, of_sensor, span)
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
        strings([one.sensor for one in watched]).take(to_arrow(of_sensor)),
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


def _series(watched: Sequence[Watched]) -> tuple[pa.Array, Int, pa.Table, pa.Table]:
    """Number the series of all sensors; returns devices, sensors (positions), totals and models with them."""
    names: list[pa.Array] = []
    totals: list[pa.Table] = []
    models: list[pa.Table] = []
    first = 0
    for one in watched:
        devices = distinct(one.totals["device"], one.models["device"])
        for tables, rows in ((totals, one.totals), (models, one.models)):
            series = to_arrow(positions(rows["device"], devices) + first)
            tables.append(rows.append_column("series", series))
        names.append(devices)
        first += len(devices)
    of_sensor = np.repeat(np.arange(len(names)), [len(devices) for devices in names])
    return pa.concat_arrays(names), of_sensor, pa.concat_tables(totals), pa.concat_tables(models)


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


def _present_since(models: pa.Table, rows: pa.Table, n: int, span: tuple[int, int]) -> Int:
    """Return when each device is expected to have started sending, within the range."""
    first = np.full(n, span[1])
    np.minimum.at(first, to_numpy(rows["series"]), to_numpy(rows["first_start"]))
    learned = np.full(n, np.iinfo(np.int64).max)
    # An imported model has no recorded training range; its device existed before.
    learned[to_numpy(models["series"])] = to_numpy(models["trained_from"], null=span[0])
    return np.where(learned <= span[0], span[0], np.minimum(first, np.maximum(learned, span[0])))


def _coverage(rows: pa.Table, n_windows: Int, since: Int, of_sensor: Int, span: tuple[int, int]) -> Float:
    lengths = np.ones(of_sensor.max(initial=0) + 1, np.int64)
    sensors, first = np.unique(of_sensor[to_numpy(rows["series"])], return_index=True)
    lengths[sensors] = (to_numpy(rows["last_end"]) - to_numpy(rows["last_start"]))[first]
    n_expected = (span[1] - since) // lengths[of_sensor]
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
