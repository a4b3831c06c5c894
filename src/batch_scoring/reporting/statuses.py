"""Sum up statuses and quarantine: what was not scored, what was refused, and why."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.ids import Selection
from batch_scoring.reporting.fleet_view import EVERYTHING, select_devices
from batch_scoring.tables.partitions import Partitions
from batch_scoring.tables.schemas import QUARANTINE, STATUS

_KEYS = ["device", "sensor", "stage", "status"]
_EXAMPLE = ["source", "row", "timestamp", "device", "sensor", "value"]


def select_rows(table: pa.Table, selection: Selection) -> pa.Table:
    """Select the rows of a run's devices and sensors."""
    table = select_devices(table, selection)
    if selection.sensors is None:
        return table
    return table.filter(pc.is_in(table["sensor"], pa.array(sorted(selection.sensors), pa.string())))


def sum_statuses(train: Partitions, score: Partitions, selection: Selection = EVERYTHING) -> pa.Table:
    """Sum the status tables up over the days.

    Parameters
    ----------
    train, score : mapping of str to function
        Partition name to a function that opens it, with the schema ``STATUS``.
    selection : Selection

    Returns
    -------
    pyarrow.Table
        device, sensor, stage, status, n_parts (number of partitions), n_windows, n_anomalies,
        message (the newest). What is not ``ok`` comes first, then by device, sensor, stage.
    """
    parts = [
        select_rows(load().read(columns=STATUS.names), selection)
        for loads in (train, score)
        for _, load in loads.items()
    ]
    rows = pa.concat_tables([part.cast(STATUS) for part in parts] or [STATUS.empty_table()])
    # "last" follows the order of the partitions, and that is the order of the days.
    sums = rows.group_by(_KEYS, use_threads=False).aggregate(
        [([], "count_all"), ("n_windows", "sum"), ("n_anomalies", "sum"), ("message", "last")]
    )
    sums = sums.rename_columns([*_KEYS, "n_parts", "n_windows", "n_anomalies", "message"])
    sums = sums.append_column("is_ok", pc.cast(pc.equal(sums["status"], "ok"), pa.int8()))
    order = [(name, "ascending") for name in ("is_ok", *_KEYS)]
    return sums.sort_by(order).drop_columns(["is_ok"]).combine_chunks()


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


def sum_quarantine(quarantine: Partitions, selection: Selection = EVERYTHING) -> pa.Table:
    """Count the refused measurements by reason.

    Parameters
    ----------
    quarantine : mapping of str to function
        Partition name to a function that opens it, with the schema ``QUARANTINE``.
    selection : Selection

    Returns
    -------
    pyarrow.Table
        reason, count, and of the first such row: source, row, timestamp, device, sensor, value (all as
        they came). Most frequent first.
    """
    counts = []
    for load in quarantine.values():
        rows = select_rows(load().read(columns=QUARANTINE.names).cast(QUARANTINE), selection)
        first = [(name, "first") for name in _EXAMPLE]
        sums = rows.group_by("reason", use_threads=False).aggregate([([], "count_all"), *first])
        counts.append(sums.rename_columns(["reason", "count", *_EXAMPLE]))
    if not counts:
        return (
            QUARANTINE.empty_table()
            .select(["reason", *_EXAMPLE])
            .add_column(1, "count", pa.array([], pa.int64()))
        )
    total = (
        pa.concat_tables(counts)
        .group_by("reason", use_threads=False)
        .aggregate([("count", "sum"), *((name, "first") for name in _EXAMPLE)])
    )
    return total.rename_columns(["reason", "count", *_EXAMPLE]).sort_by(
        [("count", "descending"), ("reason", "ascending")]
    )
