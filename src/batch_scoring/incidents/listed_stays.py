"""Find the stays that rows of the list are about, which pages show: no window of them is anomalous."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.moments import HOUR_US, microseconds
from batch_scoring.incidents.expected import expected_words
from batch_scoring.incidents.long_stays import AT_ONE_LEVEL, stay_words
from batch_scoring.plant.devices import Devices
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrow_arrays import as_rows, to_arrow, to_numpy
from batch_scoring.tables.schemas import STAY, STAYS


@dataclass(frozen=True)
class ListedStay:
    """A stay that lasted too long.

    Attributes
    ----------
    of : int
        Its row of the list.
    device, sensor : str
    start, usual_until, end : int
        Since when the machine is at the level, up to when that was usual, and its end so far; microseconds
        since the epoch.
    is_open : bool
    words : str
        How long, and what is usual.
    """

    of: int
    device: str
    sensor: str
    start: int
    usual_until: int
    end: int
    is_open: bool
    words: str


def listed_stays(stays: RowTable, rows: pa.Table, devices: Devices) -> list[ListedStay]:
    """Find the stays that rows of the list name, by row and start.

    Parameters
    ----------
    stays : RowTable
        Schema STAYS.
    rows : pyarrow.Table
        Schema DEVICE_INCIDENTS.
    devices : Devices
        Which ids are one machine.
    """
    places = np.flatnonzero(to_numpy(pc.match_substring(rows["advice"], AT_ONE_LEVEL)))
    if not (places.size and stays.exists):
        return []
    some = list(zip(places.tolist(), as_rows(rows.take(to_arrow(places))), strict=True))
    names = {name for _, row in some for name in row["devices"]}
    ids = [*names, *devices.former_of(names)]
    known = stays.read(STAYS.names, sensors={name for _, row in some for name in row["sensors"]}, devices=ids)
    current = devices.with_newest(known)["device"].to_pylist()
    found = []
    for newest, one in zip(current, as_rows(known), strict=True):
        name = f"{one['sensor']}: {stay_words(one['start'], one['may_stay'])}"
        found += [
            _listed(place, row, one)
            for place, row in some
            if newest in row["devices"] and name in row["advice"] and one["start"] < row["end"]
        ]
    return sorted(found, key=lambda stay: (stay.of, stay.start, stay.sensor, stay.device))


def _listed(place: int, row: dict[str, Any], stay: dict[str, Any]) -> ListedStay:
    end = min(stay["end"] or row["end"], row["end"])
    start, until = microseconds(stay["start"]), microseconds(end)
    usual = stay["may_stay"]
    leads = (row["top_feature"], row["peak_sensor"], row["expected"]) == (STAY, stay["sensor"], usual)
    # Of the one that leads it is known how long, without what the calendar leaves out.
    hours = row["top_value"] if leads and row["n_devices"] == 1 else (until - start) / HOUR_US
    words = expected_words(
        {"top_feature": STAY, "top_value": hours, "expected": usual, "lower": None, "upper": usual}
    )
    is_open = row["state"] == "open" and stay["end"] is None
    usual_until = min(start + round(usual * HOUR_US), until)
    return ListedStay(place, stay["device"], stay["sensor"], start, usual_until, until, is_open, words)
