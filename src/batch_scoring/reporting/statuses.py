"""Sum up statuses and quarantine: what was not scored, what was refused, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.ids import Selection
from batch_scoring.core.text import number
from batch_scoring.reporting.fleet_view import EVERYTHING, select_rows
from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrow_arrays import are, constant, empty_table, strings, to_arrow, to_numpy
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.groups import Groups, are_among
from batch_scoring.tables.schemas import CALIBRATIONS, QUARANTINE, STATUS

# Small files of the quarantine that one report opens; compaction joins them.
MAX_QUARANTINE_FILES = 200

_KEYS = ["device", "sensor", "stage", "status"]
_SUMS = ["n_parts", "n_windows", "n_anomalies"]
_EXAMPLES = pa.schema(
    [QUARANTINE.field(name) for name in ("reason", "source", "row", "timestamp", "device", "sensor", "value")]
)
OLDER = "older"
_SERIES = ("device", "sensor")
_CALIBRATED = pa.schema([CALIBRATIONS.field(name) for name in (*_SERIES, "day", "n_windows")])
# By status, the column that the message begins with, what it counts, and the rest.
_MESSAGES = {
    "no_model": ("n_unscored", "window", ", but no model of this device; train it"),
    "no_data": ("n_parts", "day", " without a window of this device"),
    "bad_features": ("n_unscored", "window", " not scored, of a feature that is not finite"),
}


def sum_statuses(train: RowTable, totals: pa.Table, selection: Selection = EVERYTHING) -> pa.Table:
    """Sum up the statuses of trainings and of scored days.

    Parameters
    ----------
    train : RowTable
        Schema ``STATUS``.
    totals : pyarrow.Table
        Columns of the schema ``DAILY``, of the selected devices and sensors.
    selection : Selection

    Returns
    -------
    pyarrow.Table
        device, sensor, stage, status, n_parts (trainings, or scored days), n_windows, n_anomalies, message.
        What is not ``ok`` comes first, then by device, sensor, stage.
    """
    trained = empty_table(STATUS)
    if train.exists:
        trained = train.read(STATUS.names, sensors=selection.sensors, devices=selection.devices).cast(STATUS)
    ones = to_arrow(are(trained["stage"], "train").astype(np.int64))
    rows = pa.concat_tables([_scored(totals), trained.append_column("n_parts", ones).select(_COLUMNS)])
    rows = rows.append_column("is_ok", to_arrow(are(rows["status"], "ok").astype(np.int64)))
    order = [(name, "ascending") for name in ("is_ok", *_KEYS)]
    return rows.sort_by(order).drop_columns(["is_ok"]).combine_chunks()


def with_calibrations(
    statuses: pa.Table, calibrations: RowTable, start: int | None, selection: Selection = EVERYTHING
) -> pa.Table:
    """Append the column ``calibrated``: the day of the newest calibration of each scored series.

    Parameters
    ----------
    statuses : pyarrow.Table
        As :func:`sum_statuses` returns it.
    calibrations : RowTable
        Schema CALIBRATIONS.
    start : int, optional
        Those of earlier days are left out, microseconds since the epoch.
    selection : Selection

    Returns
    -------
    pyarrow.Table
        ``calibrated`` is a date such as ``2026-01-18``; empty where the curve is the model's own.
    """
    wanted = (selection.sensors, selection.devices)
    rows = [empty_table(_CALIBRATED)]
    for file in calibrations.files(start, None, *wanted):
        rows += calibrations.batches(file, _CALIBRATED.names, *wanted)
    every = pa.concat_tables(rows)
    every = every.filter(to_arrow(to_numpy(every["n_windows"]) > 0))
    days = to_numpy(every["day"]).view("datetime64[us]")
    newest = np.argsort(-days.view(np.int64), kind="stable")
    keys, first = np.unique(row_fingerprints(every, _SERIES)[newest], return_index=True)
    texts = strings([*np.datetime_as_string(days[newest][first], "D").tolist(), ""])
    is_scored = are(statuses["stage"], "score") & are(statuses["status"], "ok")
    own = row_fingerprints(statuses, _SERIES)
    place = np.minimum(np.searchsorted(keys, own), keys.size)
    has = is_scored & (np.append(keys, np.uint64(0))[place] == own) & (place < keys.size)
    return statuses.append_column("calibrated", texts.take(to_arrow(np.where(has, place, keys.size))))


_COLUMNS = [*_KEYS, *_SUMS, "message"]


def _scored(totals: pa.Table) -> pa.Table:
    keys, summed = ["device", "sensor", "status"], ["n_windows", "n_anomalies", "n_unscored"]
    groups = Groups(totals, keys)
    columns = [*groups.firsts(keys).columns, groups.count_distinct("day"), *map(groups.sums, summed)]
    sums = pa.table(columns, names=[*keys, "n_parts", *summed])
    messages = [""] * sums.num_rows
    for status, (column, what, text) in _MESSAGES.items():
        counts = to_numpy(sums[column])
        for place in np.flatnonzero(are(sums["status"], status)).tolist():
            messages[place] = f"{number(counts[place], what)}{text}"
    stage = constant("score", sums.num_rows)
    return sums.append_column("message", strings(messages)).append_column("stage", stage).select(_COLUMNS)


def find_not_scored(statuses: pa.Table, series: pa.Table) -> pa.Table:
    """Find the series with a status but no prediction, each with its first cause.

    Parameters
    ----------
    statuses : pyarrow.Table
        As :func:`sum_statuses` returns it.
    series : pyarrow.Table
        device, sensor of the series that have predictions.

    Returns
    -------
    pyarrow.Table
        device, sensor, stage, status, message; one row a series. Why there is no model (stage ``train``)
        explains more than its absence (stage ``score``), so it goes first.
    """
    bad = statuses.filter(to_arrow(~are(statuses["status"], "ok")))
    bad = bad.filter(to_arrow(~are_among(bad, series, ["device", "sensor"])))
    bad = bad.append_column("order", to_arrow((~are(bad["stage"], "train")).astype(np.int64)))
    bad = bad.sort_by([(name, "ascending") for name in ("device", "sensor", "order", "stage", "status")])
    return Groups(bad, ["device", "sensor"]).firsts(["device", "sensor", "stage", "status", "message"])


def sum_quarantine(table: RowTable, max_rows: int, selection: Selection = EVERYTHING) -> pa.Table:
    """Count the refused measurements by reason.

    Parameters
    ----------
    table : RowTable
        Schema ``QUARANTINE``.
    max_rows : int
        Of a larger quarantine, only the rows of the last sources by name are counted by reason.
    selection : Selection

    Returns
    -------
    pyarrow.Table
        reason, count, and of one such row: source, row, timestamp, device, sensor, value (all as they came).
        Most frequent first. The other rows, if any, are counted as ``OLDER``, without an example.
    """
    ids = [] if selection == EVERYTHING else ["device", "sensor"]
    counts: Counter[str] = Counter()
    examples = [empty_table(_EXAMPLES)]
    counted = _last_sources(table.files(None, None, selection.sensors, selection.devices), max_rows)
    for file in counted:
        here: Counter[str] = Counter()
        for batch in table.batches(file, ["reason", *ids], encoded=["reason"]):
            pairs = pc.value_counts(select_rows(batch, selection)["reason"]).to_pylist()
            here.update({pair["values"]: pair["counts"] for pair in pairs})
        examples += _examples(table, file, selection, set(here) - set(counts))
        counts += here
    rows = pa.concat_tables(examples)
    n = [counts[reason] for reason in rows["reason"].to_pylist()]
    older = 0 if ids else table.num_rows - sum(file.rows for file in counted)
    if older:
        rows = pa.concat_tables([rows, pa.Table.from_pylist([{"reason": OLDER}], _EXAMPLES)])
        n.append(older)
    rows = rows.append_column("count", to_arrow(np.array(n, np.int64)))
    return rows.sort_by([("count", "descending"), ("reason", "ascending")])


def _last_sources(files: Sequence[DataFile], max_rows: int) -> list[DataFile]:
    """Choose the files of the sources that are last by name, which mostly are the newest; at least one."""
    chosen: list[DataFile] = []
    rows = 0
    for file in sorted(files, key=lambda one: one.bounds.get("source", ("", ""))[1], reverse=True):
        rows += file.rows
        if chosen and (rows > max_rows or len(chosen) == MAX_QUARANTINE_FILES):
            break
        chosen.append(file)
    return chosen[::-1]


def _examples(table: RowTable, file: DataFile, selection: Selection, reasons: set[str]) -> Iterator[pa.Table]:
    """Yield the first row of each reason."""
    missing = set(reasons)
    for batch in table.batches(file, _EXAMPLES.names) if missing else ():
        rows = select_rows(batch, selection)
        found = set(pc.unique(rows["reason"]).to_pylist()) & missing
        for reason in sorted(found):
            yield rows.filter(to_arrow(are(rows["reason"], reason))).slice(0, 1).select(_EXAMPLES.names)
        missing -= found
        if not missing:
            return
