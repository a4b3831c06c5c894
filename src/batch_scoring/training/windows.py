"""Find the training windows of one sensor in a table of windows, and read them by device range."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import cached_property
from itertools import product
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.digests import digest_of
from batch_scoring.core.moments import EPOCH, MICROSECOND, microseconds
from batch_scoring.core.parameters import read_parameters
from batch_scoring.core.stopwatch import stopwatch
from batch_scoring.detection.fit import FIT_VERSION
from batch_scoring.detection.warm_up import WEEK
from batch_scoring.incidents.calendar import Calendar
from batch_scoring.operations.annotations import Annotations
from batch_scoring.plant.devices import Devices
from batch_scoring.plant.off import take_off, with_off, without_steps
from batch_scoring.plant.rules import NO_RULES, Domain
from batch_scoring.plant.settings import DomainParameters
from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrow_arrays import strings, to_arrow, to_numpy
from batch_scoring.tables.device_ranges import BATCH_ROWS, device_ranges
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.schemas import FEEDBACK, WINDOW_KEYS, feature_columns
from batch_scoring.training.known_events import TIMES, Accepted, events_between, known_events, overlap
from batch_scoring.training.result import TrainingData
from batch_scoring.training.settings import TrainParameters
from batch_scoring.training.share import last_start_of_share

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Span:
    """The closed windows of a sensor in one file.

    Attributes
    ----------
    first_start, last_start : int
        When the first and the last of them start, µs since the epoch.
    """

    file: DataFile
    first_start: int
    last_start: int
    n_windows: int


@dataclass(frozen=True)
class Plant:
    """What people know of the devices."""

    devices: Devices = field(default_factory=Devices)
    calendar: Calendar = field(default_factory=Calendar)
    domain: Domain = NO_RULES

    @classmethod
    def of(cls, annotations: Annotations, domain: Mapping[str, Any] | None = None) -> Plant:
        """Read what people have written, and ``params:domain``."""
        rules = read_parameters(DomainParameters, domain, "domain").read_rules
        return cls(annotations.devices, annotations.calendar, Domain(rules, annotations.devices))


@dataclass(frozen=True)
class TrainingWindows:
    """The windows of one sensor that start in ``[first, last)`` and have ended; read on demand.

    Attributes
    ----------
    features : tuple of str
        To train on, in this order.
    first, last : int
        The training range, in µs since the epoch; not beyond ``ended``.
    ended : int
        When the last window that has ended ends; later ones are left out.
    window_us : int
        Their length.
    table : RowTable
        Schema ``windows_schema(features)``; each file is sorted by sensor, device and window_start.
    spans : tuple of Span
        The files that hold windows of the sensor, those outside the range too.
    known_events : pyarrow.Table
        The columns ``device``, ``start`` and ``end`` of confirmed events, sorted: windows that overlap
        one are left out of the training.
    plant : Plant
        What it leaves out is not trained on; former ids of a machine count for the one in use.
    accepted : Accepted
        Series with a range of their own.
    """

    sensor: str
    features: tuple[str, ...]
    first: int
    last: int
    ended: int
    window_us: int
    table: RowTable
    spans: tuple[Span, ...]
    known_events: pa.Table
    plant: Plant = field(default_factory=Plant)
    accepted: Accepted = field(default_factory=Accepted)

    @property
    def inside(self) -> list[Span]:
        """The files that hold windows of the range."""
        last = int(self.accepted.last.max(initial=self.last))
        return [one for one in self.spans if one.first_start < last and one.last_start >= self.first]

    @property
    def n_windows(self) -> int:
        """Estimate the number of windows: files that the range cuts count in full."""
        return sum(span.n_windows for span in self.inside)

    def ranges(
        self,
        devices: frozenset[str] | None = None,
        models: Sequence[tuple[pa.Schema, Iterable[pa.Table]]] = (),
    ) -> Iterator[list[pa.Table]]:
        """Read the windows by device range, one table per file; schema ``windows_schema(features)``.

        Parameters
        ----------
        devices : frozenset of str, optional
            Whose windows; default: all.
        models : sequence of (schema, tables)
            What to read side by side with them, one table each; each device once.
        """
        schema, wanted = self.table.schema, {*WINDOW_KEYS.names, *self.features}
        columns = pa.schema([field for field in schema if field.name in wanted])
        # All files together are as many rows as one would be alone.
        rows = max(BATCH_ROWS // len(self.inside), 1_024)
        read = [self._read, *([self._read_former] if self.plant.devices.former else [])]
        sources = [(columns, one(span, columns.names, rows, devices)) for one in read for span in self.inside]
        n = len(sources)
        return device_ranges([*sources, *models], range(n, n + len(models)))

    def held_out(self, since: int, features: Iterable[str]) -> TrainingWindows | None:
        """Select the windows that start at ``since`` or later, with these features; None without one."""
        rest = replace(
            self,
            first=since,
            last=self.ended,
            features=tuple(dict.fromkeys(features)),
            accepted=self.accepted.held_out(self.ended),
        )
        return rest if rest.inside else None

    def heard(self, since: int) -> TrainingWindows | None:
        """Like ``held_out``, without features; with what training leaves out: a faulty device is heard."""
        windows = self.held_out(since, ())
        return windows and replace(
            windows,
            known_events=self.known_events.slice(0, 0),
            plant=Plant(self.plant.devices),
            accepted=Accepted(),
        )

    def devices_among(self, devices: frozenset[str]) -> set[str]:
        """Return the devices among these that have a window here."""
        found: set[str] = set()
        for span in self.inside if devices else ():
            for part in self._read(span, ["device"], BATCH_ROWS, devices):
                found.update(part["device"].unique().to_pylist())
        return found

    def fingerprint(self, settings: TrainParameters) -> str:
        """Digest of the inputs of a sensor's training: windows, settings, fit version and library.

        However the windows are spread over files, such as after a compaction, it is the same.
        """
        from importlib.metadata import version

        made_of: dict[str, Any] = {
            "windows": list(self._contents),
            "features": list(self.features),
            "fit": asdict(settings.fit),
            "recipe": FIT_VERSION,
            "scikit-learn": version("scikit-learn"),
        }
        events = events_between(self.known_events, self.first, self.last)
        if events:
            made_of["known_events"] = events
        if settings.warm_up != WEEK:
            made_of["warm_up"] = settings.warm_up.total_seconds()
        return digest_of(made_of)

    @property
    def data(self) -> TrainingData:
        """Name the windows, so that they can be read again."""
        n, digest = self._contents
        first, last = (f"{EPOCH + at * MICROSECOND:%Y-%m-%dT%H:%M:%SZ}" for at in (self.first, self.last))
        place, _ = self.table.folder.delta_address()
        return TrainingData(place, self.table.version, f"{digest:016x}", n, self.features, first, last)

    @cached_property
    def _contents(self) -> tuple[int, int]:
        """Count the windows, and digest them; both take reading them all."""
        total = n = 0
        for span, read in product(self.inside, (self._read, self._read_former)):
            for part in read(span, self.table.schema.names, BATCH_ROWS):
                # A sum, for which the order of the rows does not matter.
                total += int(row_fingerprints(part, part.column_names).sum())
                n += part.num_rows
        return n, total % 2**64

    def _read(
        self, span: Span, columns: Sequence[str], rows: int, devices: frozenset[str] | None = None
    ) -> Iterator[pa.Table]:
        """Read the windows of ids in use."""
        former = self.plant.devices.former
        for batch in self._batches(span, columns, rows, devices):
            if former:
                is_former = pc.is_in(batch["device"], value_set=strings(sorted(former)))
                batch = batch.filter(pc.invert(is_former))  # noqa: PLW2901
            yield from self._kept(batch, columns)

    def _read_former(
        self, span: Span, columns: Sequence[str], rows: int, devices: frozenset[str] | None = None
    ) -> Iterator[pa.Table]:
        """Read the windows of former ids, under those in use: sorted anew, so all of a file at once."""
        known = self.plant.devices
        wanted = frozenset(one for one in known.former if devices is None or known.newest(one) in devices)
        if wanted:
            found = [
                part
                for one in self._batches(span, columns, rows, wanted)
                for part in self._kept(one, columns)
            ]
            if found:
                yield known.with_newest(pa.concat_tables(found)).sort_by("device")

    def _batches(
        self, span: Span, columns: Sequence[str], rows: int, devices: frozenset[str] | None
    ) -> Iterable[pa.Table]:
        # The events need device and times, the calendar the sensor, too.
        names = list(
            dict.fromkeys([*columns, "device", *(["sensor"] if self.plant.calendar.entries else []), *TIMES])
        )
        read = stopwatch.each("read", self.table.batches(span.file, names, [self.sensor], devices, rows))
        if not self.plant.domain.has_off:
            return read
        times = span.first_start, span.last_start + 1
        return with_off(read, self.sensor, self.table, self.plant.domain, times, devices, rows)

    def _kept(self, batch: pa.Table, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Leave out the windows that are not trained on."""
        start = to_numpy(batch["window_start"])
        first, last = self.accepted.ranges(batch["device"], self.first, self.last)
        keep = (start >= first) & (start < last)
        if self.known_events.num_rows:
            keep &= ~overlap(batch, self.known_events)
        batch, is_off, is_after = take_off(batch)
        if self.plant.calendar.entries:
            keep &= ~self.plant.calendar.mask(batch)
            is_after = is_after | self.plant.calendar.mask_before(batch)
        keep &= ~is_off
        if keep.any():
            batch = without_steps(batch, is_after)
            yield (batch if keep.all() else batch.filter(to_arrow(keep))).select(columns)


def find_windows(
    sensor: str,
    windows: RowTable,
    settings: TrainParameters,
    now: datetime,
    feedback: pa.Table | None = None,
    plant: Plant | None = None,
) -> TrainingWindows | None:
    """Find the windows that a sensor is trained on; None where not one has ended.

    Parameters
    ----------
    windows : RowTable
        Schema ``windows_schema(features)``; each file is sorted by sensor, device and window_start.
    now : datetime
        UTC; windows that end later are not trained on.
    feedback : pyarrow.Table, optional
        Schema FEEDBACK: windows that overlap a true event are not trained on.
    """
    plant = plant or Plant()
    files = windows.files(sensors=[sensor])
    if not files:
        return None
    window_us = _window_us(windows, files[0])
    # Windows that start then or later have not ended.
    until = microseconds(now) - window_us + 1
    spans = tuple(span for file in files if (span := _span(windows, file, sensor, until)))
    if not spans:
        return None
    ended = max(span.last_start for span in spans) + window_us

    def share_end(first: int) -> int:
        def read() -> Iterator[pa.Table]:
            for span in spans:
                for part in windows.batches(span.file, ["device", "window_start"], [sensor]):
                    ended = part.filter(pc.less(part["window_start"].cast(pa.int64()), until))
                    yield plant.devices.with_newest(ended)

        last_start = last_start_of_share(read, first, settings.share, settings.fit.min_windows)
        return first + window_us if last_start is None else last_start + window_us

    first, last = training_range(
        min(span.first_start for span in spans), ended, window_us, settings, share_end
    )
    feedback = feedback if feedback is not None else FEEDBACK.empty_table()
    week = settings.warm_up or WEEK
    found = TrainingWindows(
        sensor,
        settings.features or tuple(feature_columns(windows.schema)),
        first,
        min(last, ended),
        ended,
        window_us,
        windows,
        spans,
        known_events(feedback, sensor),
        plant,
        Accepted.of(feedback, sensor, plant.devices, min(last, ended), ended, week // MICROSECOND),
    )
    if not found.inside:
        return None
    logger.info(
        "train: sensor %r: windows from %s to %s UTC; the newest one ends at %s",
        *(sensor, *(f"{EPOCH + at * MICROSECOND:%Y-%m-%d %H:%M}" for at in (first, found.last, ended))),
    )
    return found


def training_range(
    first_start: int,
    last_end: int,
    window_us: int,
    settings: TrainParameters,
    share_end: Callable[[int], int],
) -> tuple[int, int]:
    """Compute the training range ``[from, to)`` of one sensor in µs since the epoch.

    Parameters
    ----------
    first_start, last_end : int
        When the sensor's first window starts and its last one ends, in µs since the epoch.
    window_us : int
        Length of a window.
    settings : TrainParameters
        Without ``to``, the range ends ``hold_out`` before the last window does, on a window's edge; without
        that after ``share`` of the windows. With ``range`` it starts that duration before its end, if that
        is later than ``from``.
    share_end : callable
        Returns when the share of the windows that start at a time or later has passed.
    """
    first = first_start if settings.from_ is None else microseconds(settings.from_)
    if settings.to is not None:
        last = microseconds(settings.to)
    elif settings.hold_out is not None:
        kept = last_end - first - settings.hold_out // MICROSECOND
        last = first + max(kept // window_us, 1) * window_us
    else:
        last = share_end(first)
    if settings.range is not None:
        first = max(first, last - settings.range // MICROSECOND)
    return first, last


def _window_us(table: RowTable, file: DataFile) -> int:
    """Return the length of the windows; all windows of a table are as long."""
    row = next(table.batches(file, TIMES, rows=1))
    start, end = (to_numpy(row[name]) for name in TIMES)
    return int(end[0] - start[0])


def _span(table: RowTable, file: DataFile, sensor: str, until: int) -> Span | None:
    """Find the windows of a sensor that start before ``until``; None where the file has none."""
    if file.bounds.get("sensor") == (sensor, sensor) and file.last < until:
        return Span(file, file.first, file.last, file.rows)
    starts = [to_numpy(batch["window_start"]) for batch in table.batches(file, ["window_start"], [sensor])]
    inside = [start[start < until] for start in starts]
    found = [start for start in inside if start.size]
    if not found:
        return None
    first, last = min(int(one.min()) for one in found), max(int(one.max()) for one in found)
    return Span(file, first, last, sum(one.size for one in found))
