"""Sum up statuses and quarantine: what was not scored, what was refused, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.ids import Selection
from batch_scoring.reporting.fleet_view import EVERYTHING, select_rows
from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrow_arrays import empty_table
from batch_scoring.tables.schemas import QUARANTINE, STATUS

# Small files of the quarantine that one report opens; compaction joins them.
MAX_QUARANTINE_FILES = 200

_KEYS = ["device", "sensor", "stage", "status"]
_SUMS = ["n_parts", "n_windows", "n_anomalies"]
_EXAMPLES = pa.schema(
    [QUARANTINE.field(name) for name in ("reason", "source", "row", "timestamp", "device", "sensor", "value")]
)
OLDER = "older"
# By status, the column that the message begins with.
_MESSAGES = {
    "no_model": ("n_unscored", " windows, but no model of this device; train it"),
    "no_data": ("n_parts", " days without a window of this device"),
    "bad_features": ("n_unscored", " windows have a feature that is not finite and were not scored"),
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
    ones = pc.equal(trained["stage"], "train").cast(pa.int64())
    rows = pa.concat_tables([_scored(totals), trained.append_column("n_parts", ones).select(_COLUMNS)])
    rows = rows.append_column("is_ok", pc.cast(pc.equal(rows["status"], "ok"), pa.int8()))
    order = [(name, "ascending") for name in ("is_ok", *_KEYS)]
    return rows.sort_by(order).drop_columns(["is_ok"]).combine_chunks()


_COLUMNS = [*_KEYS, *_SUMS, "message"]


def _scored(totals: pa.Table) -> pa.Table:
    keys, summed = ["device", "sensor", "status"], ["n_windows", "n_anomalies", "n_unscored"]
    sums = totals.group_by(keys, use_threads=False).aggregate(
        [("day", "count_distinct"), *((name, "sum") for name in summed)]
    )
    sums = sums.rename_columns([*keys, "n_parts", *summed])
    message = pa.chunked_array([pa.repeat("", sums.num_rows)])
    for status, (number, text) in _MESSAGES.items():
        words = pc.binary_join_element_wise(sums[number].cast(pa.string()), text, "")
        message = pc.if_else(pc.equal(sums["status"], status), words, message)
    stage = pa.repeat("score", sums.num_rows)
    return sums.append_column("message", message).append_column("stage", stage).select(_COLUMNS)


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
    bad = statuses.filter(pc.not_equal(statuses["status"], "ok"))
    scored = series.select(["device", "sensor"])
    bad = bad.join(scored, ["device", "sensor"], join_type="left anti")
    bad = bad.append_column("order", pc.cast(pc.not_equal(bad["stage"], "train"), pa.int8()))
    bad = bad.sort_by([(name, "ascending") for name in ("device", "sensor", "order", "stage", "status")])
    first = bad.group_by(["device", "sensor"], use_threads=False).aggregate(
        [("stage", "first"), ("status", "first"), ("message", "first")]
    )
    return first.rename_columns(["device", "sensor", "stage", "status", "message"])


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
    rows = rows.append_column("count", pa.array(n, pa.int64()))
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
            yield rows.filter(pc.equal(rows["reason"], reason)).slice(0, 1).select(_EXAMPLES.names)
        missing -= found
        if not missing:
            return
