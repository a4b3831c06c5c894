"""Compare anomalies with labelled faults: faults found, and false alarms."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.moments import DAY_US, microseconds
from batch_scoring.reporting.fleet_view import FleetView
from batch_scoring.tables.arrow_arrays import to_arrow, to_numpy
from batch_scoring.tables.schemas import LABELS

FAULTS = LABELS


@dataclass(frozen=True)
class FoundFaults:
    """Labelled faults matched with the anomalous windows.

    Attributes
    ----------
    faults : pyarrow.Table
        device, sensor, kind, start, end, found (bool), of the faults that overlap the days compared.
    false_alarms : int
        Anomalous windows that overlap no label of their device and sensor.
    device_days : float
        Scored time of all devices, in days; a device counts once however many sensors it has.
    """

    faults: pa.Table
    false_alarms: int
    device_days: float

    @property
    def by_kind(self) -> list[tuple[str, int, int]]:
        """Count the faults found and all faults by kind, in the order of the kinds' names."""
        found = pc.cast(self.faults["found"], pa.int64())
        sums = (
            self.faults.set_column(5, "found", found)
            .group_by("kind", use_threads=False)
            .aggregate([("found", "sum"), ([], "count_all")])
        )
        rows = sums.sort_by("kind").to_pydict()
        return list(zip(rows["kind"], rows["found_sum"], rows["count_all"], strict=True))

    @property
    def false_alarms_per_device_day(self) -> float:
        """Return the false alarms per device-day; 0 where nothing was scored."""
        return self.false_alarms / self.device_days if self.device_days else 0.0


def match_faults(
    labels: pa.Table, view: FleetView, start: int, anomalies: pa.Table, silences: pa.Table
) -> FoundFaults | None:
    """Match labelled faults with the anomalous windows of the days that were read as a whole.

    A fault is found when an anomalous window of its device and sensor overlaps it, or a silence. Faults of
    series that could not be scored count as missed; faults outside of these days or of devices or sensors
    that the fleet does not have do not count.

    Parameters
    ----------
    labels : pyarrow.Table
        device, sensor, kind, start, end: half-open, UTC.
    view : FleetView
    start : int
        The first time that was read, microseconds since the epoch.
    anomalies : pyarrow.Table
        device, sensor, window_start and window_end of all anomalous windows of the labelled series since
        then.
    silences : pyarrow.Table
        The same columns: when sensors were silent.

    Returns
    -------
    FoundFaults or None
        None where no label lies in these days.
    """
    if view.start is None or view.end is None or not labels.num_rows:
        return None
    since, end = microseconds(view.start), microseconds(view.end)
    if start > since:
        since = -(-start // DAY_US) * DAY_US
    # By NumPy: of a number or a time of Python, Arrow asks pandas.
    there = to_arrow((to_numpy(labels["start"]) < end) & (to_numpy(labels["end"]) > since))
    there = pc.and_(there, pc.is_in(labels["device"], pc.unique(view.devices["device"])))
    there = pc.and_(there, pc.is_in(labels["sensor"], pc.unique(view.series["sensor"])))
    faults = labels.filter(there).select(FAULTS.names).cast(FAULTS)
    faults = faults.sort_by(
        [(n, "ascending") for n in ("device", "sensor", "start", "kind")]
    ).combine_chunks()
    if not faults.num_rows:
        return None
    fault, alarm = _overlaps(faults, anomalies.filter(to_arrow(to_numpy(anomalies["window_start"]) >= since)))
    found = np.zeros(faults.num_rows, bool)
    found[fault] = True
    found[_overlaps(faults, silences)[0]] = True
    totals = view.totals.filter(to_arrow(to_numpy(view.totals["day"]) >= since // DAY_US * DAY_US))
    return FoundFaults(
        faults.append_column("found", pa.array(found)),
        (pc.sum(totals["n_anomalies"]).as_py() or 0) - len(np.unique(alarm)),
        _device_days(totals, view.window),
    )


def _overlaps(faults: pa.Table, anomalies: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of the faults and of the anomalous windows that overlap, pair by pair."""
    left = faults.append_column("fault", pa.array(np.arange(faults.num_rows)))
    right = anomalies.select(["device", "sensor", "window_start", "window_end"])
    right = right.append_column("alarm", pa.array(np.arange(anomalies.num_rows)))
    pairs = left.join(right, ["device", "sensor"], join_type="inner")
    overlap = pc.and_(
        pc.less(pairs["window_start"], pairs["end"]), pc.greater(pairs["window_end"], pairs["start"])
    )
    pairs = pairs.filter(overlap)
    return pairs["fault"].to_numpy(), pairs["alarm"].to_numpy()


def _device_days(totals: pa.Table, window: timedelta) -> float:
    series = totals.group_by(["device", "sensor"]).aggregate([("n_windows", "sum")])
    longest = series.group_by("device").aggregate([("n_windows_sum", "max")])
    n_windows = pc.sum(longest["n_windows_sum_max"]).as_py() or 0
    return float(n_windows * (window / timedelta(days=1)))
