"""The windows that one sensor is trained on: found in the footers of its days, read in ranges of devices."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scoring.datasets.arrow_parquet import footer_text
from batch_scoring.fleet.arrow_arrays import strings, to_arrow, to_numpy
from batch_scoring.fleet.device_ranges import BATCH_ROWS, device_ranges, read_batches
from batch_scoring.fleet.errors import InputError
from batch_scoring.fleet.fingerprints import TableDigest
from batch_scoring.fleet.tables import feature_columns
from batch_scoring.pipelines.train.settings import TrainParameters

_TIMES = ("window_start", "window_end")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class _Span:
    """The first and last start and end of windows, in µs since the epoch, and how many windows there are."""

    first_start: int
    last_start: int
    last_end: int
    n_windows: int


@dataclass(frozen=True)
class _Day:
    """One file of windows and what lies in it."""

    file: pq.ParquetFile
    span: _Span


@dataclass(frozen=True)
class TrainingWindows:
    """The windows of one sensor that start in ``[first, last)`` and have ended; none of them is held.

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
    """

    sensor: str
    features: tuple[str, ...]
    first: int
    last: int
    now: int
    window_us: int
    days: tuple[_Day, ...]

    @property
    def n_windows(self) -> int:
        """About how many there are: those outside the range are counted in the days that it cuts."""
        return sum(day.span.n_windows for day in self.days)

    def ranges(self, devices: frozenset[str] | None = None) -> Iterator[list[pa.Table]]:
        """Read them a range of devices at a time, one table a day.

        Parameters
        ----------
        devices : frozenset of str, optional
            Whose windows; default: all.
        """
        schema = self.days[0].file.schema_arrow.remove_metadata()
        names = [name for name in schema.names if name in {*_TIMES, "device", "sensor", *self.features}]
        columns = pa.schema([schema.field(name) for name in names])
        # All days together are as many rows as one would be alone.
        batch_rows = max(BATCH_ROWS // len(self.days), 1_024)
        sources = [(columns, self._read(day, names, batch_rows, devices)) for day in self.days]
        return device_ranges(sources)

    def devices_among(self, devices: frozenset[str]) -> set[str]:
        """Which of these devices have a window here."""
        found: set[str] = set()
        for day in self.days if devices else ():
            for part in self._read(day, [*_TIMES, "device"], BATCH_ROWS, devices):
                found.update(part["device"].unique().to_pylist())
        return found

    def fingerprint(self, settings: TrainParameters) -> str:
        """Of what a whole sensor is trained from: the windows, the way of fitting, and the library.

        Days that lie in the range as a whole have the digest of their rows in the footer; of the
        others, the rows are read for it.
        """
        from importlib.metadata import version

        made_of = {
            "windows": [digest for day in self.days if (digest := self._digest(day))],
            "features": list(self.features),
            "fit": asdict(settings.fit),
            "scikit-learn": version("scikit-learn"),
        }
        return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()

    def _is_inside(self, span: _Span) -> bool:
        return self.first <= span.first_start and span.last_start < self.last and span.last_end <= self.now

    def _digest(self, day: _Day) -> str:
        """Of the rows inside the range; empty where there are none."""
        stored = footer_text(day.file, "digest")
        if stored and self._is_inside(day.span):
            return stored
        digest, n_rows = TableDigest(), 0
        for part in self._read(day, day.file.schema_arrow.names, BATCH_ROWS):
            digest.update(part)
            n_rows += part.num_rows
        return digest.hexdigest() if n_rows else ""

    def _read(
        self, day: _Day, columns: Sequence[str], batch_rows: int, devices: frozenset[str] | None = None
    ) -> Iterator[pa.Table]:
        is_inside = self._is_inside(day.span)
        chosen = strings(sorted(devices)) if devices is not None else None
        for batch in _read_some(day.file, columns, batch_rows):
            rows = batch.replace_schema_metadata(None)
            if not is_inside:
                start, end = to_numpy(rows["window_start"]), to_numpy(rows["window_end"])
                keep = (start >= self.first) & (start < self.last) & (end <= self.now)
                rows = rows.filter(to_arrow(keep))
            if chosen is not None:
                rows = rows.filter(pc.is_in(rows["device"], value_set=chosen))
            if rows.num_rows:
                yield rows


def find_windows(
    sensor: str, days: Iterable[Callable[[], pq.ParquetFile]], settings: TrainParameters, now: datetime
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

    Raises
    ------
    InputError
        When the days hold different features.
    """
    now_us = _microseconds(now)
    found = [
        (_Day(file, span), ended)
        for load in days
        for file in [load()]
        for span in [_span(file)]
        if span
        for ended in [_ended_span(file, span, now_us)]
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
    features = settings.features or tuple(feature_columns(found[0][0].file.schema_arrow))
    return TrainingWindows(sensor, features, first, last, now_us, window_us, inside) if inside else None


def training_range(
    first_start: int, last_end: int, window_us: int, settings: TrainParameters
) -> tuple[int, int]:
    """The training range ``[from, to)`` of one sensor in µs since the epoch.

    Parameters
    ----------
    first_start, last_end : int
        When the sensor's first window starts and its last one ends, in µs since the epoch.
    window_us : int
        Length of a window.
    settings : TrainParameters
        Without ``to``, the range ends after ``share`` of the time from the first window to the
        last, on a window's edge.
    """
    first = first_start if settings.from_ is None else _microseconds(settings.from_)
    if settings.to is not None:
        return first, _microseconds(settings.to)
    n_windows = int((last_end - first) * settings.share / window_us)
    return first, first + max(n_windows, 1) * window_us


def _span(file: pq.ParquetFile) -> _Span | None:
    """What the footer tells of a file's times, or else its rows; None of a file without rows."""
    metadata = file.metadata
    if metadata.num_rows == 0:
        return None
    place = {metadata.schema.column(i).name: i for i in range(metadata.num_columns)}
    start, end = (
        [metadata.row_group(group).column(place[name]).statistics for group in range(metadata.num_row_groups)]
        for name in _TIMES
    )
    if not all(one is not None and one.has_min_max for one in (*start, *end)):
        return _read_span(file, np.iinfo(np.int64).max)
    return _Span(
        min(_microseconds(one.min) for one in start),
        max(_microseconds(one.max) for one in start),
        max(_microseconds(one.max) for one in end),
        metadata.num_rows,
    )


def _ended_span(file: pq.ParquetFile, span: _Span, now: int) -> _Span | None:
    """Of the windows that have ended; None where none has."""
    if span.last_end <= now:
        return span
    return _read_span(file, now) if span.first_start < now else None


def _read_some(file: pq.ParquetFile, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
    """About so many rows at a time; less than a row group where those of many days would be too much."""
    if rows >= BATCH_ROWS:
        yield from read_batches(file, columns, rows)
    else:
        # One row group at a time: with several, Arrow holds more than one.
        for group in range(file.num_row_groups):
            for batch in file.iter_batches(rows, row_groups=[group], columns=list(columns)):
                yield pa.Table.from_batches([batch])


def _read_span(file: pq.ParquetFile, now: int) -> _Span | None:
    spans = []
    for batch in read_batches(file, _TIMES):
        start, end = (to_numpy(batch[name]) for name in _TIMES)
        start, end = start[end <= now], end[end <= now]
        if start.size:
            spans.append((int(start.min()), int(start.max()), int(end.max()), start.size))
    if not spans:
        return None
    first, last, last_end, n = zip(*spans, strict=True)
    return _Span(min(first), max(last), max(last_end), sum(n))


def _window_us(file: pq.ParquetFile) -> int:
    first = next(file.iter_batches(1, columns=list(_TIMES)))
    start, end = (to_numpy(first.column(name)) for name in _TIMES)
    return int(end[0] - start[0])


def _require_same_columns(sensor: str, files: list[pq.ParquetFile]) -> None:
    names = [file.schema_arrow.names for file in files]
    for other in names:
        if other != names[0]:
            raise InputError(
                f"sensor {sensor!r}: its days were aggregated with different features "
                f"({names[0][5:]} and {other[5:]}); run `kedro run --pipelines=aggregate`"
            )


def _microseconds(moment: datetime) -> int:
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH) // timedelta(microseconds=1)
