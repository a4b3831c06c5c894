"""Keep the daily totals of the predictions: what a run adds, or a count of all where another run came between."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.errors import InputError
from batch_scoring.detection.detectors import DETECTORS
from batch_scoring.registry.published import PublishedModel
from batch_scoring.scoring.marks import read_mark
from batch_scoring.scoring.run import ScoreRun
from batch_scoring.scoring.totals import merge_totals, scored_totals, silent_totals, unscored_totals
from batch_scoring.storage.row_table import Change, DataFile, RowTable
from batch_scoring.storage.upsert import Upsert
from batch_scoring.tables.arrays import Bool, UInt
from batch_scoring.tables.arrow_arrays import distinct, empty_table, positions, strings, to_arrow, to_numpy
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.pieces import DAY_US
from batch_scoring.tables.schemas import DAILY, DAILY_KEY, WINDOW_KEY

# The name under which the totals record which version of the predictions they are of.
ADD_UP = "predictions"
_SERIES_DAY = ("sensor", "device", "day")


def update_totals(run: ScoreRun, totals: RowTable) -> Change | None:
    """Return the change of the daily totals after a run's predictions are committed.

    Parameters
    ----------
    run : ScoreRun
    totals : RowTable
        Schema DAILY.
    """
    if run.table is None or run.change is None:
        return None
    predictions = run.table.latest()
    new = _concat(run.totals)
    mine = set(run.change.written)
    sensors = sorted(run.before, key=str.encode)
    recounted: list[pa.Table] = []
    other_days: dict[str, set[int]] = {}
    added: dict[int | None, list[DataFile]] = {}
    for sensor in sensors:
        seen = _seen(totals, sensor)
        if seen not in added:
            added[seen] = [file for file in predictions.added_since(seen) if file.name not in mine]
        others = [file for file in added[seen] if file.may_have("sensor", [sensor])]
        if others:
            other_days[sensor] = {day for file in others for day in _days(file.first, file.last)}
            recounted.append(_count(run, predictions, sensor, sorted(other_days[sensor])))
    new = new.filter(to_arrow(~_are_of(new, other_days)))
    touched = _touched(pa.concat_tables([new, *recounted]), other_days)
    if not touched:
        return _progress_only(run, totals, predictions, sensors)
    files = [file for file in totals.files() if _holds(file, touched)]
    stored = _stored(totals, files, touched, other_days)
    merged, overlapping = merge_totals(stored, new)
    merged = _recount(run, predictions, merged, pa.concat_tables([overlapping, *_lost(run)]))
    final = _with_silence(run, pa.concat_tables([merged, *recounted]), touched)
    upsert = Upsert(totals, files, DAILY_KEY, _contents, among=lambda rows: _are_of(rows, touched))
    rows = list(upsert.fresh([final]))
    upsert.remove_unseen()
    return Change(DAILY, [rows], _progress(run, predictions, sensors), rewritten=upsert.rewritten)


def _progress(run: ScoreRun, predictions: RowTable, sensors: Iterable[str]) -> dict[str, int]:
    progress = {f"{ADD_UP}/{sensor}": predictions.version for sensor in sensors}
    return progress | ({ADD_UP: predictions.version} if run.is_whole else {})


def _progress_only(
    run: ScoreRun, totals: RowTable, predictions: RowTable, sensors: Sequence[str]
) -> Change | None:
    if totals.progress(ADD_UP) == predictions.version or not (sensors or run.is_whole):
        return None
    return Change(DAILY, (), _progress(run, predictions, sensors))


def _seen(totals: RowTable, sensor: str) -> int | None:
    """Return the version of the predictions that a sensor's totals are of."""
    known = [totals.progress(f"{ADD_UP}/{sensor}"), totals.progress(ADD_UP)]
    return max((one for one in known if one is not None), default=None)


def _count(run: ScoreRun, predictions: RowTable, sensor: str, days: Sequence[int]) -> pa.Table:
    """Count a sensor's predictions of some days, and its closed windows without one."""
    published = _published(run, sensor)
    states = _states(published)
    until = read_mark(predictions, sensor, run.scope.selection.shard).until
    parts = []
    for day in days:
        span = (day * DAY_US, (day + 1) * DAY_US)
        scored = predictions.read(None, *span, sensors=[sensor])
        windows = run.windows.read([*WINDOW_KEY, "window_end"], *span, sensors=[sensor])
        known = np.isin(row_fingerprints(windows, WINDOW_KEY), row_fingerprints(scored, WINDOW_KEY))
        closed = to_numpy(windows["window_end"]) <= until
        left = windows.filter(to_arrow(closed & ~known))
        has_model = positions(left["device"], _modelled(published)) >= 0
        parts += [scored_totals(scored, states), unscored_totals(left, has_model)]
    return _concat(parts)


def _recount(run: ScoreRun, predictions: RowTable, merged: pa.Table, keys: pa.Table) -> pa.Table:
    """Count the predictions of some series and days anew; their windows without one stay as counted."""
    if keys.num_rows == 0:
        return merged
    wanted = np.unique(row_fingerprints(keys, _SERIES_DAY))
    is_due = np.isin(row_fingerprints(merged, _SERIES_DAY), wanted)
    has_windows = to_numpy(merged["n_windows"]) > 0
    parts = [merged.filter(to_arrow(~(is_due & has_windows)))]
    for sensor in pc.unique(keys["sensor"]).to_pylist():
        mine = keys.filter(pc.equal(keys["sensor"], sensor))
        days = np.floor_divide(to_numpy(mine["day"]), DAY_US)
        devices = pc.unique(mine["device"]).to_pylist()
        rows = predictions.read(
            None, int(days.min()) * DAY_US, (int(days.max()) + 1) * DAY_US, sensors=[sensor], devices=devices
        )
        rows = rows.filter(to_arrow(np.isin(_series_days(rows), wanted)))
        parts.append(scored_totals(rows, _states(_published(run, sensor))))
    return _concat(parts)


def _lost(run: ScoreRun) -> list[pa.Table]:
    days = [_with_day(rows).select(list(_SERIES_DAY)) for rows in run.lost]
    return [one.cast(pa.schema([DAILY.field(name) for name in _SERIES_DAY])) for one in days]


def _with_silence(run: ScoreRun, rows: pa.Table, touched: dict[str, set[int]]) -> pa.Table:
    """Add a row for each device that has a model and no window on a day."""
    parts = [rows]
    series = row_fingerprints(rows, _SERIES_DAY)
    for sensor, days in touched.items():
        modelled = [one for one in run.modelled.get(sensor, []) if len(one)]
        if not modelled:
            continue
        for day in sorted(days):
            silent = silent_totals(sensor, distinct(*modelled), day)
            is_mine = run.scope.has_part(silent) & run.scope.has_devices(silent)
            is_new = ~np.isin(row_fingerprints(silent, _SERIES_DAY), series)
            parts.append(silent.filter(to_arrow(is_new & is_mine)))
    return _concat(parts)


def _stored(
    totals: RowTable, files: Sequence[DataFile], touched: dict[str, set[int]], recounted: dict[str, set[int]]
) -> pa.Table:
    parts = [rows for file in files for rows in totals.batches(file)]
    rows = _concat(parts)
    kept = _are_of(rows, touched) & ~_are_of(rows, recounted)
    return rows.filter(to_arrow(kept))


def _touched(rows: pa.Table, others: dict[str, set[int]]) -> dict[str, set[int]]:
    """Return the days of each sensor in totals."""
    found = {sensor: set(days) for sensor, days in others.items()}
    pairs = rows.select(["sensor", "day"]).group_by(["sensor", "day"], use_threads=False).aggregate([])
    for sensor, day in zip(pairs["sensor"].to_pylist(), to_numpy(pairs["day"]).tolist(), strict=True):
        found.setdefault(sensor, set()).add(day // DAY_US)
    return found


def _are_of(rows: pa.Table, days: dict[str, set[int]]) -> Bool:
    """Mark the rows of these days of these sensors, shape (n,)."""
    found = np.zeros(rows.num_rows, bool)
    if not days or not rows.num_rows:
        return found
    names = sorted(days)
    sensor = positions(rows["sensor"], strings(names))
    day = np.floor_divide(to_numpy(rows["day"]), DAY_US)
    first = min(min(some) for some in days.values())
    width = max(max(some) for some in days.values()) - first + 1
    wanted = [place * width + one - first for place, name in enumerate(names) for one in days[name]]
    is_inside = (sensor >= 0) & (day >= first) & (day < first + width)
    return is_inside & np.isin(sensor * width + day - first, wanted)


def _holds(file: DataFile, touched: dict[str, set[int]]) -> bool:
    first, last = file.first // DAY_US, file.last // DAY_US
    return file.may_have("sensor", touched) and any(
        first <= day <= last for days in touched.values() for day in days
    )


def _contents(rows: pa.Table) -> UInt:
    """Fingerprint totals, whose times and thresholds may be null and whose decades are a list."""
    columns = {}
    for name in rows.column_names:
        column = rows[name].combine_chunks()
        if pa.types.is_list(column.type):
            column = pc.binary_join(column.cast(pa.list_(pa.string())), ",")
        elif pa.types.is_timestamp(column.type):
            column = pc.fill_null(column.cast(pa.int64()), 0)
        elif pa.types.is_boolean(column.type):
            column = column.cast(pa.int64())
        elif column.null_count:
            column = pc.fill_null(column, 0.0)
        columns[name] = column
    return row_fingerprints(pa.table(columns), DAILY.names)


def _series_days(windows: pa.Table) -> UInt:
    return row_fingerprints(_with_day(windows), _SERIES_DAY)


def _with_day(windows: pa.Table) -> pa.Table:
    day = np.floor_divide(to_numpy(windows["window_start"]), DAY_US) * DAY_US
    times = to_arrow(day).view(DAILY.field("day").type)
    return pa.table({"sensor": windows["sensor"], "device": windows["device"], "day": times})


def _published(run: ScoreRun, sensor: str) -> PublishedModel | None:
    try:
        return run.models[sensor]() if sensor in run.models else None
    except InputError:
        return None


def _states(published: PublishedModel | None) -> bool:
    return published is not None and DETECTORS[published.models.info.detector].states_tail_probability


def _modelled(published: PublishedModel | None) -> pa.Array:
    batches = published.models.batches(["device"]) if published else ()
    return distinct(*(rows["device"] for rows in batches)) if published else strings([])


def _days(first: int, last: int) -> Iterable[int]:
    return range(first // DAY_US, last // DAY_US + 1)


def _concat(parts: Sequence[pa.Table]) -> pa.Table:
    return pa.concat_tables([empty_table(DAILY), *parts]).combine_chunks()
