"""Find the training windows of one sensor in the footers of its days, and read them by device range."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scoring.core.digests import digest_of
from batch_scoring.core.errors import InputError
from batch_scoring.core.moments import MICROSECOND, microseconds
from batch_scoring.core.stopwatch import stopwatch
from batch_scoring.detection.fit import FIT_VERSION
from batch_scoring.tables.arrow_arrays import strings, to_arrow, to_numpy
from batch_scoring.tables.device_ranges import BATCH_ROWS, device_ranges, read_pieces
from batch_scoring.tables.fingerprints import TableDigest
from batch_scoring.tables.schemas import FEEDBACK, feature_columns
from batch_scoring.tables.streams import footer_text
from batch_scoring.training.known_events import events_between, known_events, overlap
from batch_scoring.training.settings import TrainParameters
from batch_scoring.training.spans import TIMES, Day, Span, ended_span, span_of

_FOREVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class TrainingWindows:
    """The windows of one sensor that start in ``[first, last)`` and have ended; read on demand.

    Attributes
    ----------
    sensor : str
    features : tuple of str
        To train on, in this order.
    first, last : int
        The training range, in µs since the epoch.
    now : int
        Windows that end later are left out.
    window_us : int
        Their length.
    days : tuple
        The files that hold some of them.
    known_events : pyarrow.Table
        The columns ``device``, ``start`` and ``end`` of confirmed events, sorted: windows that overlap
        one are left out of the training.
    every_day : tuple
        The files of the sensor, those outside the range too.
    """

    sensor: str
    features: tuple[str, ...]
    first: int
    last: int
    now: int
    window_us: int
    days: tuple[Day, ...]
    known_events: pa.Table
    every_day: tuple[Day, ...] = ()

    @property
    def n_windows(self) -> int:
        """Estimate the number of windows: days that the range cuts count in full."""
        return sum(day.span.n_windows for day in self.days)

    @property
    def columns(self) -> list[str]:
        """Return the names of all columns of the files."""
        names: list[str] = self.days[0].file.schema_arrow.names
        return names

    def ranges(
        self,
        devices: frozenset[str] | None = None,
        models: Sequence[tuple[pa.Schema, Iterable[pa.Table]]] = (),
    ) -> Iterator[list[pa.Table]]:
        """Read the windows by device range, one table per day.

        Parameters
        ----------
        devices : frozenset of str, optional
            Whose windows; default: all.
        models : sequence of (schema, tables)
            What to read side by side with them, one table each; each device once.
        """
        schema = self.days[0].file.schema_arrow.remove_metadata()
        names = [name for name in schema.names if name in {*TIMES, "device", "sensor", *self.features}]
        columns = pa.schema([schema.field(name) for name in names])
        # All days together are as many rows as one would be alone.
        batch_rows = max(BATCH_ROWS // len(self.days), 1_024)
        sources = [(columns, self._read(day, names, batch_rows, devices)) for day in self.days]
        n = len(sources)
        return device_ranges([*sources, *models], range(n, n + len(models)))

    def held_out(self, since: int, features: Iterable[str]) -> TrainingWindows | None:
        """Select the windows that start at ``since`` or later, with these features; None without one."""
        days = tuple(day for day in self.every_day if day.span.last_start >= since)
        if not days:
            return None
        return replace(self, first=since, last=_FOREVER, days=days, features=tuple(dict.fromkeys(features)))

    def heard(self, since: int) -> TrainingWindows | None:
        """Like ``held_out``, without features and with confirmed events: a faulty device is not silent."""
        windows = self.held_out(since, ())
        return windows and replace(windows, known_events=self.known_events.slice(0, 0))

    def devices_among(self, devices: frozenset[str]) -> set[str]:
        """Return the devices among these that have a window here."""
        found: set[str] = set()
        for day in self.days if devices else ():
            for part in self._read(day, [*TIMES, "device"], BATCH_ROWS, devices):
                found.update(part["device"].unique().to_pylist())
        return found

    def fingerprint(self, settings: TrainParameters) -> str:
        """Digest of the inputs of a sensor's training: windows, settings, fit version and library.

        Days that lie in the range as a whole have the digest of their rows in the footer; of the
        others, the rows are read for it.
        """
        from importlib.metadata import version

        made_of: dict[str, Any] = {
            "windows": [digest for day in self.days if (digest := self._digest(day))],
            "features": list(self.features),
            "fit": asdict(settings.fit),
            "recipe": FIT_VERSION,
            "scikit-learn": version("scikit-learn"),
        }
        events = events_between(self.known_events, self.first, self.last)
        if events:
            made_of["known_events"] = events
        return digest_of(made_of)

    def _is_inside(self, span: Span) -> bool:
        return self.first <= span.first_start and span.last_start < self.last and span.last_end <= self.now

    def _digest(self, day: Day) -> str:
        """Digest of the rows inside the range; empty where there are none."""
        stored = footer_text(day.file, "digest")
        if stored and self._is_inside(day.span):
            return stored
        digest, n_rows = TableDigest(), 0
        for part in self._read(day, day.file.schema_arrow.names, BATCH_ROWS):
            digest.update(part)
            n_rows += part.num_rows
        return digest.hexdigest() if n_rows else ""

    def _read(
        self, day: Day, columns: Sequence[str], batch_rows: int, devices: frozenset[str] | None = None
    ) -> Iterator[pa.Table]:
        is_inside = self._is_inside(day.span)
        chosen = strings(sorted(devices)) if devices is not None else None
        for batch in stopwatch.each("read", read_pieces(day.file, columns, batch_rows)):
            rows = batch.replace_schema_metadata(None)
            if not is_inside:
                start, end = to_numpy(rows["window_start"]), to_numpy(rows["window_end"])
                keep = (start >= self.first) & (start < self.last) & (end <= self.now)
                rows = rows.filter(to_arrow(keep))
            if chosen is not None:
                rows = rows.filter(pc.is_in(rows["device"], value_set=chosen))
            if self.known_events.num_rows and rows.num_rows:
                rows = rows.filter(to_arrow(~overlap(rows, self.known_events)))
            if rows.num_rows:
                yield rows


def find_windows(
    sensor: str,
    days: Iterable[Callable[[], pq.ParquetFile]],
    settings: TrainParameters,
    now: datetime,
    feedback: pa.Table | None = None,
) -> TrainingWindows | None:
    """Find the windows that a sensor is trained on; None where not one has ended.

    Parameters
    ----------
    sensor : str
    days : iterable of callable
        Each opens one file of windows, sorted by device; in the order of time.
    settings : TrainParameters
    now : datetime
        UTC; windows that end later are not trained on.
    feedback : pyarrow.Table, optional
        Schema FEEDBACK: windows that overlap a true event are not trained on.

    Raises
    ------
    InputError
        When the days hold different features.
    """
    now_us = microseconds(now)
    found = [
        (Day(file, span), ended)
        for load in days
        for file in [load()]
        for span in [span_of(file)]
        if span
        for ended in [ended_span(file, span, now_us)]
        if ended
    ]
    if not found:
        return None
    _require_same_columns(sensor, [day.file for day, _ in found])
    first_start = min(ended.first_start for _, ended in found)
    last_end = max(ended.last_end for _, ended in found)
    window_us = _window_us(found[0][0].file)
    first, last = training_range(first_start, last_end, window_us, settings)
    inside = tuple(day for day, _ in found if day.span.first_start < last and day.span.last_start >= first)
    if not inside:
        return None
    return TrainingWindows(
        sensor,
        settings.features or tuple(feature_columns(found[0][0].file.schema_arrow)),
        first,
        last,
        now_us,
        window_us,
        inside,
        known_events(feedback if feedback is not None else FEEDBACK.empty_table(), sensor),
        tuple(day for day, _ in found),
    )


def training_range(
    first_start: int, last_end: int, window_us: int, settings: TrainParameters
) -> tuple[int, int]:
    """Compute the training range ``[from, to)`` of one sensor in µs since the epoch.

    Parameters
    ----------
    first_start, last_end : int
        When the sensor's first window starts and its last one ends, in µs since the epoch.
    window_us : int
        Length of a window.
    settings : TrainParameters
        Without ``to``, the range ends ``hold_out`` before the last window does; without that after
        ``share`` of the time from the first window to the last; on a window's edge. With ``range``
        it starts that duration before its end, if that is later than ``from``.
    """
    first = first_start if settings.from_ is None else microseconds(settings.from_)
    if settings.to is not None:
        last = microseconds(settings.to)
    else:
        kept = (last_end - first) * settings.share
        if settings.hold_out is not None:
            kept = last_end - first - settings.hold_out // MICROSECOND
        last = first + max(int(kept / window_us), 1) * window_us
    if settings.range is not None:
        first = max(first, last - settings.range // MICROSECOND)
    return first, last


def _window_us(file: pq.ParquetFile) -> int:
    first = next(file.iter_batches(1, columns=list(TIMES)))
    start, end = (to_numpy(first.column(name)) for name in TIMES)
    return int(end[0] - start[0])


def _require_same_columns(sensor: str, files: list[pq.ParquetFile]) -> None:
    names = [file.schema_arrow.names for file in files]
    for other in names:
        if other != names[0]:
            raise InputError(
                f"sensor {sensor!r}: its days were aggregated with different features "
                f"({names[0][5:]} and {other[5:]}); run `kedro run --pipelines=aggregate`"
            )
