"""Join anomalous windows of one sensor's devices to incidents, one period after the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from batch_scoring.tables.arrays import Bool, Int, UInt
from batch_scoring.tables.arrow_arrays import constant, distinct, positions, to_arrow, to_numpy
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.schemas import INCIDENTS, TIMESTAMP

# The runs of a sensor that the next windows may go on with.
UNFINISHED = pa.schema(
    [
        INCIDENTS.field("device"),
        *(INCIDENTS.field(name) for name in ("start", "end", "n_windows", "peak_severity", "peak_at")),
        *(INCIDENTS.field(name) for name in ("top_feature", "model_version")),
        pa.field("is_incident", pa.bool_()),
        INCIDENTS.field("seen_until"),
    ]
)


@dataclass(frozen=True)
class JoinRules:
    """When anomalous windows of a device and sensor are one incident.

    Attributes
    ----------
    tolerated_gap : int
        Maximum number of normal or missing windows between two anomalous windows of a run.
    min_windows : int
        Minimum number of anomalous windows of a run that begins an incident.
    cool_down_us : int
        An anomalous window within this time after an incident's end extends it, microseconds. Never
        shorter in effect than the tolerated gap.
    """

    tolerated_gap: int = 2
    min_windows: int = 1
    cool_down_us: int = 0


def join_windows(windows: pa.Table, unfinished: pa.Table, rules: JoinRules) -> tuple[pa.Table, pa.Table]:
    """Join anomalous windows and the unfinished runs before them to incidents.

    Windows may be passed at once or period by period, each with the unfinished runs of the one
    before: the incidents are the same.

    Parameters
    ----------
    windows : pyarrow.Table
        The columns JUDGED of predictions of one sensor, sorted by device and window_start. Of the
        normal windows only the last one of each device matters.
    unfinished : pyarrow.Table
        Schema UNFINISHED, sorted by device; of earlier windows only.
    rules : JoinRules

    Returns
    -------
    closed : pyarrow.Table
        Schema UNFINISHED, sorted by device and start: incidents that no later window can extend.
        ``start`` is the start of the first anomalous window, ``end`` the end of the last one;
        severity, feature and model are those of the first window of the largest severity.
    unfinished : pyarrow.Table
        Schema UNFINISHED, at most one row a device: runs that the next windows may extend. A
        device without windows keeps its row: it has not been observed to recover.
    """
    everyone = distinct(windows["device"], unfinished["device"])
    pieces = _in_order(pa.concat_tables([unfinished, _pieces(windows)]), everyone)
    if pieces.num_rows == 0:
        return pieces, pieces
    seen, length = _last_windows(windows, unfinished, everyone)
    joined = _join(pieces, positions(pieces["device"], everyone), rules)
    device, end = positions(joined["device"], everyone), to_numpy(joined["end"])
    is_incident = to_numpy(joined["is_incident"])

    gap = rules.tolerated_gap * length[device]
    reach = np.where(is_incident, np.maximum(gap, rules.cool_down_us), gap)
    is_last = np.append(device[1:] != device[:-1], True)
    goes_on = is_last & ((length[device] == 0) | (seen[device] - end <= reach))
    known = joined.set_column(UNFINISHED.get_field_index("seen_until"), "seen_until", _times(seen[device]))
    return known.filter(to_arrow(is_incident & ~goes_on)), known.filter(to_arrow(goes_on))


def incidents_table(runs: pa.Table, sensor: str, state: str) -> pa.Table:
    """Build the table of incidents.

    Parameters
    ----------
    runs : pyarrow.Table
        Schema UNFINISHED, each row an incident.
    sensor : str
    state : str
        ``open``, ``closed`` or ``forming``.

    Returns
    -------
    pyarrow.Table
        Schema INCIDENTS. The id is derived from sensor, device and start, so it stays the same
        as the incident grows.
    """
    n = runs.num_rows
    columns = {name: runs[name] for name in INCIDENTS.names if name in UNFINISHED.names}
    columns |= {"sensor": constant(sensor, n), "state": constant(state, n)}
    key = pa.table({name: columns[name] for name in ("sensor", "device", "start")})
    columns["incident_id"] = hex_digits(row_fingerprints(key, key.column_names))
    return pa.Table.from_arrays([columns[name] for name in INCIDENTS.names], schema=INCIDENTS)


def hex_digits(numbers: UInt) -> pa.Array:
    """Each number as 16 hexadecimal digits.

    Examples
    --------
    >>> hex_digits(np.array([255, 2**63], np.uint64)).to_pylist()
    ['00000000000000ff', '8000000000000000']
    """
    data = np.ascontiguousarray(numbers, ">u8").view(np.uint8)
    nibbles = np.stack([data >> 4, data & 15], axis=-1)
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)[nibbles]
    offsets = np.arange(numbers.size + 1, dtype=np.int32) * 16
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(digits))]
    return pa.Array.from_buffers(pa.string(), numbers.size, buffers)


def _pieces(windows: pa.Table) -> pa.Table:
    """Turn each anomalous window into a row of UNFINISHED."""
    rows = windows.filter(windows["is_anomaly"])
    n = rows.num_rows
    columns = [
        rows["device"],
        rows["window_start"],
        rows["window_end"],
        to_arrow(np.ones(n, np.int64)),
        # NaN is not a valid severity and could not be a peak.
        to_arrow(np.nan_to_num(to_numpy(rows["severity"], null=0.0), nan=0.0, posinf=np.inf)),
        rows["window_start"],
        rows["top_feature"],
        rows["model_version"],
        to_arrow(np.zeros(n, bool)),
        rows["window_end"],
    ]
    return pa.Table.from_arrays(columns, schema=UNFINISHED)


def _in_order(pieces: pa.Table, everyone: pa.Array) -> pa.Table:
    order = np.lexsort((to_numpy(pieces["start"]), positions(pieces["device"], everyone)))
    return pieces.take(to_arrow(order)).combine_chunks()


def _last_windows(windows: pa.Table, unfinished: pa.Table, everyone: pa.Array) -> tuple[Int, Int]:
    """Return until when each device was observed, and the length of its last window, 0 if none."""
    seen, length = np.zeros(len(everyone), np.int64), np.zeros(len(everyone), np.int64)
    seen[positions(unfinished["device"], everyone)] = to_numpy(unfinished["seen_until"])
    device, start, end = (
        positions(windows["device"], everyone),
        to_numpy(windows["window_start"]),
        to_numpy(windows["window_end"]),
    )
    last = np.flatnonzero(np.append(device[1:] != device[:-1], True)) if device.size else device
    seen[device[last]], length[device[last]] = end[last], (end - start)[last]
    return seen, length


def _join(pieces: pa.Table, device: Int, rules: JoinRules) -> pa.Table:
    """Join pieces sorted by device and start; keeps a device's last run even if not yet an incident."""
    start, end = to_numpy(pieces["start"]), to_numpy(pieces["end"])
    gap = rules.tolerated_gap * (end - start)
    is_first = np.append(True, device[1:] != device[:-1])
    away = np.append(0, start[1:] - end[:-1])
    begins_cluster = is_first | (away > np.maximum(gap, rules.cool_down_us))
    begins_run = is_first | (away > gap)
    kept, is_incident = _from_first_long_run(pieces, begins_run, begins_cluster, rules.min_windows)

    pieces = pieces.filter(to_arrow(kept)).combine_chunks()
    cluster = (np.cumsum(begins_cluster) - 1)[kept]
    first = np.flatnonzero(np.append(True, cluster[1:] != cluster[:-1]))
    last = np.append(first[1:], cluster.size) - 1
    columns = {name: pieces[name].take(to_arrow(_peaks(pieces, first))) for name in UNFINISHED.names}
    columns["start"] = pieces["start"].take(to_arrow(first))
    columns["end"] = pieces["end"].take(to_arrow(last))
    columns["n_windows"] = to_arrow(np.add.reduceat(to_numpy(pieces["n_windows"]), first))
    columns["is_incident"] = to_arrow(is_incident)
    return pa.table(columns, schema=UNFINISHED)


def _from_first_long_run(
    pieces: pa.Table, begins_run: Bool, begins_cluster: Bool, min_windows: int
) -> tuple[Bool, Bool]:
    """Mark the pieces to keep, shape (n,), and the clusters that are incidents, (n_clusters,).

    A cluster is what the cool-down would join. Its incident begins with its first long enough
    run; without one, only its last run can still become an incident.
    """
    run_start = np.flatnonzero(begins_run)
    n_windows = np.add.reduceat(to_numpy(pieces["n_windows"]), run_start)
    is_long = (n_windows >= min_windows) | np.logical_or.reduceat(to_numpy(pieces["is_incident"]), run_start)
    first_run = np.flatnonzero(begins_cluster[run_start])
    last_run = np.append(first_run[1:], run_start.size) - 1
    long_run = np.minimum.reduceat(np.where(is_long, np.arange(is_long.size), is_long.size), first_run)
    is_incident = long_run < is_long.size
    begin = np.where(is_incident, long_run, last_run)
    run, cluster = np.cumsum(begins_run) - 1, np.cumsum(begins_cluster) - 1
    return run >= begin[cluster], is_incident


def _peaks(pieces: pa.Table, first: Int) -> Int:
    """Find the first row of the largest severity in each group, given the groups' first rows."""
    severity = to_numpy(pieces["peak_severity"])
    largest = np.repeat(np.maximum.reduceat(severity, first), np.diff(first, append=severity.size))
    candidates = np.flatnonzero(severity == largest)
    return candidates[np.searchsorted(candidates, first)]


def _times(microseconds: Int) -> pa.Array:
    return to_arrow(microseconds).view(TIMESTAMP)
