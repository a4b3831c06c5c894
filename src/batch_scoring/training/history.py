"""Find what the training windows of a device lack or hold: a week, a weekend, an outage, a failure.

Nothing is left out for it: the summary warns, and a person decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta

import numpy as np
import pyarrow as pa

from batch_scoring.core.moments import DAY_US, EPOCH, HOUR_US, MICROSECOND
from batch_scoring.core.text import duration, read_length
from batch_scoring.detection.warm_up import is_warming_up
from batch_scoring.tables.arrays import Float, Int
from batch_scoring.tables.arrow_arrays import positions, to_numpy
from batch_scoring.tables.intervals import slices
from batch_scoring.tables.schemas import STATUS

WARMING_UP = "warming up"
NO_WEEKEND = "no weekend"
OUTAGE = "outage"
STRETCH = "unusual stretch"

KINDS = (WARMING_UP, NO_WEEKEND, OUTAGE, STRETCH)

_SHORTEST_OUTAGE, _WEEKEND_GAP, _SHORTEST_STRETCH = DAY_US, 3 * DAY_US, 3 * HOUR_US
# A gap that comes back, such as every weekend, is no outage: it must be this much longer than the next.
_OUTAGE_OVER_NEXT = 2
# A stretch beyond this many spreads from the median, with no other such stretch, and a small part of all.
_FAR, _LARGEST_SHARE = 6.0, 0.1
_IQR_TO_SIGMA = 1.349
# Rows of the status whose texts are Python's at a time.
_AT_ONCE = 4096


class History:
    """What stands out in the training windows of devices, gathered as they are read.

    Parameters
    ----------
    features : sequence of str
        Of the windows; the stretch is looked for in ``mean``, where that is among them.
    cycle : timedelta
        Models of a shorter training are warming up.
    """

    def __init__(self, features: Iterable[str], cycle: timedelta) -> None:
        self._level = "mean" if "mean" in features else None
        self._cycle = cycle
        self._notes: dict[str, tuple[str, ...]] = {}
        # Devices of one history have the same notes: each is held once.
        self._distinct: dict[tuple[str, ...], tuple[str, ...]] = {}

    def observe(self, ranges: Iterable[list[pa.Table]]) -> Iterator[list[pa.Table]]:
        """Yield each range of devices as it is, and remember what stands out in it."""
        for parts in ranges:
            self._look_at(parts)
            yield parts

    def add_to(self, status: pa.Table) -> pa.Table:
        """Add the notes to the messages of the devices that got a model; schema ``STATUS``."""
        texts = [self._texts(batch) for batch in status.to_batches(max_chunksize=_AT_ONCE)]
        place = STATUS.names.index("message")
        return status.set_column(place, STATUS.field("message"), pa.chunked_array(texts, pa.string()))

    def _texts(self, status: pa.RecordBatch) -> pa.Array:
        rows = zip(*(status[name].to_pylist() for name in ("device", "status", "message")), strict=True)
        texts = [
            "; ".join([*([message] if message else []), *self._notes.get(device, ())])
            if state == "ok"
            else message
            for device, state, message in rows
        ]
        return pa.array(texts, pa.string())

    def summary(self, status: pa.Table) -> str:
        """Count the models with each kind of note and name the first; empty where there is none."""
        devices = [
            device
            for device, state in zip(status["device"].to_pylist(), status["status"].to_pylist(), strict=True)
            if state == "ok" and device in self._notes
        ]
        if not devices:
            return ""
        kinds = Counter(note.partition(":")[0] for device in devices for note in self._notes[device])
        counts = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
        return f"of {status.num_rows:,} models {counts}; first {devices[0]!r}: {self._notes[devices[0]][0]}"

    def _look_at(self, parts: list[pa.Table]) -> None:
        columns = ["device", "window_start", "window_end", *([self._level] if self._level else [])]
        rows = pa.concat_tables([part.select(columns) for part in parts])
        if not rows.num_rows:
            return
        names = rows["device"].unique()
        device, start = positions(rows["device"], names), to_numpy(rows["window_start"])
        order = np.lexsort((start, device))
        start, end = start[order], to_numpy(rows["window_end"])[order]
        level = to_numpy(rows[self._level], null=np.nan)[order] if self._level else None
        for name, mine in zip(names.to_pylist(), slices(device[order], len(names)), strict=True):
            notes = [*describe_time(start[mine], end[mine], self._cycle)]
            if level is not None:
                notes += describe_level(start[mine], end[mine], level[mine])
            if notes:
                self._notes[name] = self._distinct.setdefault(tuple(notes), tuple(notes))


def describe_time(start: Int, end: Int, cycle: timedelta) -> Iterator[str]:
    """Describe what the times of one device's training windows lack.

    Parameters
    ----------
    start, end : array of shape (n,), int64
        Rising, µs since the epoch; at least one.
    """
    is_young = bool(is_warming_up(start[:1], end[-1:], cycle)[0])
    if is_young:
        seen, wanted = duration((int(end[-1]) - int(start[0])) / 1e6), read_length(cycle.total_seconds())
        yield f"{WARMING_UP}: trained on {seen}, less than {wanted} (train.warm_up)"
    # 1970-01-01 was a Thursday.
    has_weekend = bool(((start // DAY_US + 3) % 7 >= 5).any())
    if not has_weekend:
        yield f"{NO_WEEKEND}: the training has no Saturday or Sunday (UTC), which look unusual if they differ"
    gaps = np.sort(start[1:] - end[:-1])[::-1]
    # Friday evening to Monday morning is no outage of a machine that rests at weekends.
    if gaps.size and gaps[0] >= (_SHORTEST_OUTAGE if has_weekend else _WEEKEND_GAP):
        following = gaps[1] if gaps.size > 1 else 0
        if gaps[0] > _OUTAGE_OVER_NEXT * following:
            at = int(np.argmax(start[1:] - end[:-1]))
            missing = duration(int(gaps[0]) / 1e6)
            yield f"{OUTAGE}: the training has nothing for {missing} from {_text(end[at])}"


def describe_level(start: Int, end: Int, level: Float) -> Iterator[str]:
    """Describe a single stretch of a device's training windows that lies far from the rest.

    Parameters
    ----------
    start, end : array of shape (n,), int64
        Rising, µs since the epoch.
    level : array of shape (n,), float64
        What the windows measure; NaN where unknown.
    """
    known = np.isfinite(level)
    if not known.any():
        return
    with np.errstate(over="ignore", invalid="ignore"):  # values up to 1e308 are readings, too
        low, middle, high = np.quantile(level[known], [0.25, 0.5, 0.75])
        spread = (high - low) / _IQR_TO_SIGMA
        far = known & (np.abs(level - middle) > _FAR * spread)
    if not spread > 0:
        return
    begins = np.flatnonzero(far & ~np.append(False, far[:-1]))
    if begins.size == 0 or far.sum() > _LARGEST_SHARE * level.size:
        return
    ends = np.flatnonzero(far & ~np.append(far[1:], False))
    lengths = end[ends] - start[begins]
    long = np.flatnonzero(lengths >= _SHORTEST_STRETCH)
    if long.size == 1:
        first, last = begins[long[0]], ends[long[0]]
        yield (
            f"{STRETCH}: {_text(start[first])} to {_text(end[last])} lies far from the rest; if it was a "
            "failure, confirm it in the feedback (true_event) and train again"
        )


def _text(at: int) -> str:
    return f"{EPOCH + int(at) * MICROSECOND:%Y-%m-%d %H:%M} UTC"
