"""Predictions for tests, drawn as text: one character a window."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from datetime import timedelta

import numpy as np
import pyarrow as pa

from batch_scoring.core.moments import MICROSECOND
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.storage.upsert import Upsert
from batch_scoring.tables.arrays import Bool, UInt
from batch_scoring.tables.arrow_arrays import are, to_numpy
from batch_scoring.tables.schemas import PREDICTIONS, WINDOW_KEY
from tests.factories import START, START_US
from tests.tables_on_disk import TableOnDisk

WINDOW = timedelta(minutes=5)
WINDOW_US = WINDOW // MICROSECOND
WINDOWS_A_DAY = 288


def draw_predictions(
    series: dict[str, str], sensor: str = "s", first: int = 0, young: Collection[str] = ()
) -> pa.Table:
    """Predictions of some devices: ``.`` a normal window, ``1`` to ``9`` an anomaly so severe, a blank none.

    ``h`` is a normal window at a higher level, ``H`` an anomaly there; ``r`` is rare, but no anomaly.

    Parameters
    ----------
    series : dict of str to str
        Device to its windows of 5 minutes, from window ``first`` after START on.
    young : collection of str
        Devices whose models are warming up.
    """
    rows = [
        {
            "window_start": START + (first + place) * WINDOW,
            "window_end": START + (first + place + 1) * WINDOW,
            "device": device,
            "sensor": sensor,
            "value": 5.0 if mark in "hH" else 0.0,
            "score": -_severity(mark) or 1.0,
            "threshold": 0.0,
            "is_anomaly": _severity(mark) > 0,
            "severity": _severity(mark),
            "top_feature": f"feature {mark}",
            "model_version": "1",
            "window_fingerprint": _number(device, sensor, first + place, mark),
            "evidence": 4.0 if mark == "r" else _severity(mark),
            "warming_up": device in young,
            "rule": None,
        }
        for device, text in sorted(series.items(), key=lambda item: item[0].encode())
        for place, mark in enumerate(text)
        if mark != " "
    ]
    return pa.Table.from_pylist(rows, schema=PREDICTIONS)


def _severity(mark: str) -> float:
    return {".": 0.0, "h": 0.0, "r": 0.0, "H": 5.0}[mark] if mark in ".hrH" else float(mark)


def put_predictions(
    table: TableOnDisk, *parts: pa.Table, instead_of: Sequence[tuple[str, int, int]] = ()
) -> bool:
    """Commit predictions as `score` does: equal ones stay, others of the same window go; whether any changed.

    Parameters
    ----------
    instead_of : sequence of (str, int, int)
        Sensors and ranges of windows after START of which all others go, too.
    """

    def is_among(rows: pa.Table) -> Bool:
        number = (to_numpy(rows["window_start"]) - START_US) // WINDOW_US
        found = np.zeros(rows.num_rows, bool)
        for sensor, first, end in instead_of:
            found |= are(rows["sensor"], sensor) & (number >= first) & (number < end)
        return found

    def update(predictions: RowTable) -> Change:
        def content(rows: pa.Table) -> UInt:
            return to_numpy(rows["window_fingerprint"]).view(np.uint64)

        stored = Upsert(
            predictions, predictions.files(), WINDOW_KEY, content, ["window_fingerprint"], is_among
        )
        fresh = [list(stored.fresh([part])) for part in parts]
        stored.remove_unseen()
        return Change(PREDICTIONS, fresh, rewritten=stored.rewritten, guard="score")

    return table.save(update)


def window_number(moment: object) -> int:
    """How many windows after START a time is."""
    return (moment - START) // WINDOW  # type: ignore[operator]


def _number(*of: object) -> int:
    return int.from_bytes(hashlib.sha256(repr(of).encode()).digest()[:8], "big", signed=True)
