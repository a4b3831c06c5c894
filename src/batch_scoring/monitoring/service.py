"""Sum up, by day, how each version of each sensor's models does in service."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.moments import DAY_US
from batch_scoring.monitoring.drift import stability_index
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrow_arrays import empty_table, to_arrow, to_numpy
from batch_scoring.tables.schemas import BIN_EDGES, DAILY

KEY = ["sensor", "model_version", "day"]
_BINS = [f"bin_{number}" for number in range(len(BIN_EDGES) + 1)]
_SUMS = ["n_windows", "n_anomalies", "n_alarms", "series", "watched_us", "rated", "rated_flagged", "budget"]
_READ = [
    *KEY,
    *("n_windows", "n_anomalies", "n_alarms", "last_start", "last_end", "threshold"),
    "decades",
]
_WEEK_US = 7 * DAY_US
_NO_SUMS = empty_table(
    pa.schema(
        [DAILY.field(name) for name in KEY]
        + [pa.field(name, pa.float64() if name == "budget" else pa.int64()) for name in [*_SUMS, *_BINS]]
    )
)


def service_days(totals: RowTable, since: int | None, until: int | None) -> pa.Table:
    """Compute the figures of all versions on the days that are over.

    Parameters
    ----------
    totals : RowTable
        Schema DAILY.
    since, until : int, optional
        Days that begin in ``[since, until)``, µs since the epoch; default: all. A day that the newest
        window of any sensor lies in is not over.

    Returns
    -------
    pyarrow.Table
        One row a sensor, version and day, sorted by them. ``flag_rate`` is the share of anomalous windows;
        ``budget_used`` that share over the one that calibration promised (1 is as promised), and ``drift``
        the stability index of all series together, both null where scores are not tail probabilities;
        ``alarms_per_sensor_week`` counts runs of neighbouring anomalous windows of a series.
    """
    files = totals.files(since, until)
    newest = max((file.bounds["last_end"][1] for file in files if "last_end" in file.bounds), default=0)
    over = min(newest // DAY_US * DAY_US, newest if until is None else until)
    parts = [
        _sums(rows)
        for file in files
        for batch in totals.batches(file, _READ)
        if (rows := _between(batch, since, over)).num_rows
    ]
    return _figures(_added(pa.concat_tables([_NO_SUMS, *parts])))


def days_of(table: pa.Table) -> Iterator[tuple[tuple[str, str], list[tuple[int, dict[str, float]]]]]:
    """Yield ``(sensor, version)`` and its days: when each began, µs since the epoch, and its figures."""
    found: dict[tuple[str, str], list[tuple[int, dict[str, float]]]] = {}
    for row in table.set_column(2, "day", table["day"].cast(pa.int64())).to_pylist():
        sensor, version, day = (row.pop(name) for name in KEY)
        figures = {name: float(value) for name, value in row.items() if value is not None}
        found.setdefault((sensor, version), []).append((day, figures))
    yield from found.items()


def _between(rows: pa.Table, since: int | None, over: int) -> pa.Table:
    day = to_numpy(rows["day"])
    keep = (day < over) & (to_numpy(rows["n_windows"]) > 0)
    if since is not None:
        keep &= day >= since
    return rows.filter(to_arrow(keep))


def _sums(rows: pa.Table) -> pa.Table:
    """Add the rows of a version and day up; schema KEY, _SUMS and _BINS."""
    n = to_numpy(rows["n_windows"])
    length = to_numpy(rows["last_end"]) - to_numpy(rows["last_start"])
    # Detectors whose scores are not tail probabilities have no counts by decade, and promise no rate.
    is_rated = to_numpy(pc.list_value_length(rows["decades"])) > 0
    bins = np.zeros((n.size, len(_BINS)), np.int64)
    bins[is_rated] = to_numpy(rows["decades"].combine_chunks().flatten()).reshape(-1, len(_BINS))
    flagged = to_numpy(rows["n_anomalies"])
    added = {
        "n_windows": n,
        "n_anomalies": flagged,
        "n_alarms": to_numpy(rows["n_alarms"]),
        "series": np.ones(n.size, np.int64),
        "watched_us": n * length,
        "rated": np.where(is_rated, n, 0),
        "rated_flagged": np.where(is_rated, flagged, 0),
        "budget": np.where(is_rated, n * 10.0 ** to_numpy(rows["threshold"], null=np.nan), 0.0),
        **dict(zip(_BINS, bins.T, strict=True)),
    }
    arrays = [*(rows[name] for name in KEY), *(pa.array(np.ascontiguousarray(one)) for one in added.values())]
    return _added(pa.table(arrays, names=[*KEY, *added]))


def _added(rows: pa.Table) -> pa.Table:
    names = [*_SUMS, *_BINS]
    sums = rows.group_by(KEY, use_threads=False).aggregate([(name, "sum") for name in names])
    return sums.select([*KEY, *(f"{name}_sum" for name in names)]).rename_columns([*KEY, *names])


def _figures(sums: pa.Table) -> pa.Table:
    sums = sums.sort_by([(name, "ascending") for name in KEY])
    n, rated = to_numpy(sums["n_windows"]), to_numpy(sums["rated"])
    bins = np.stack([to_numpy(sums[name]) for name in _BINS], axis=1)
    drift = stability_index(bins)
    unrated = rated == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        used = to_numpy(sums["rated_flagged"]) / to_numpy(sums["budget"])
        weeks = to_numpy(sums["watched_us"]) / _WEEK_US
    return pa.table(
        {
            **{name: sums[name] for name in KEY},
            "flag_rate": to_numpy(sums["n_anomalies"]) / np.maximum(n, 1),
            "budget_used": pa.array(used, mask=unrated),
            "drift": pa.array(drift, mask=unrated),
            "alarms_per_sensor_week": to_numpy(sums["n_alarms"]) / weeks,
            "windows": n,
            "series": sums["series"],
        }
    )
