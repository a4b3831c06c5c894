"""Fit the curve of each series anew at its first window of a UTC day; the models stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.errors import InputError
from batch_scoring.core.moments import DAY_US
from batch_scoring.detection.detectors import DETECTORS, RECALIBRATED, Detector, Recalibrates
from batch_scoring.detection.detectors.base import ModelRows
from batch_scoring.detection.model import FleetModel
from batch_scoring.registry.published import PublishedModel
from batch_scoring.scoring.champions import Champions
from batch_scoring.scoring.lessons import KEY, LESSONS, NUMBERED, SERIES, Excluded, Learners, lessons
from batch_scoring.scoring.marks import FOREVER
from batch_scoring.scoring.scope import Scope
from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.row_files import has_sparse_days
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.tables.arrow_arrays import (
    are,
    as_lists,
    as_matrix,
    constant,
    empty_table,
    positions,
    span_between,
    strings,
    to_arrow,
    to_numpy,
)
from batch_scoring.tables.device_ranges import BATCH_ROWS, device_ranges, rows_of_each
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.pieces import joined_by_month
from batch_scoring.tables.schemas import CALIBRATIONS, TIMESTAMP

# What a run may change is named below it.
CURVES = "calibrations"
_MODELS = ("sensor", "model_version")
# The device whose model a device has: itself, or that of which it goes on.
MODEL_OF = "model_of"
_OF_MODEL = ("sensor", MODEL_OF)
_ORDER = [(name, "ascending") for name in KEY]
# Of more devices, a file is read whole.
_FEW_DEVICES = 1_000


@dataclass(frozen=True)
class DayCurves:
    """The curves of the windows of a day.

    Attributes
    ----------
    rows : pyarrow.Table
        Schema CALIBRATIONS, of one day, sorted by sensor, device and version.
    """

    rows: pa.Table

    @cached_property
    def _spans(self) -> dict[str, slice]:
        runs = pc.run_end_encode(self.rows["sensor"].combine_chunks()) if self.rows.num_rows else None
        if runs is None:
            return {}
        ends = runs.run_ends.to_pylist()
        return {
            name: slice(start, end)
            for name, start, end in zip(runs.values.to_pylist(), [0, *ends], ends, strict=False)
        }

    def of(self, sensor: str, version: str, model: FleetModel) -> FleetModel:
        """Return the models of some devices with the curves of the day, where they have learned anything."""
        span = self._spans.get(sensor)
        if span is None or not isinstance(model.detector, Recalibrates) or not len(model.devices):
            return model
        # The models of a range of devices: of a million, only their own curves are looked at.
        rows = _of_devices(self.rows.slice(span.start, span.stop - span.start), "device", model.devices)
        is_own = (positions(rows["model_version"], strings([version])) == 0) & (
            to_numpy(rows["n_windows"]) > 0
        )
        rows = rows.filter(to_arrow(is_own)).combine_chunks()
        place = positions(model.devices, rows["device"].combine_chunks()) if rows.num_rows else None
        if place is None or (place < 0).all():
            return model
        found, has = as_matrix(model.table["curve"]).copy(), place >= 0
        found[has] = as_matrix(rows["curve"])[place[has]]
        day = to_arrow(to_numpy(rows["day"])[place])
        days = pc.if_else(to_arrow(has), day, pa.nulls(has.size, pa.int64()))
        return model.with_curves(found, days.cast(TIMESTAMP))


class Recalibration:
    """The calibrations of a run, stored ones and new ones.

    Parameters
    ----------
    stored : RowTable
        Schema CALIBRATIONS.
    champions : Champions
    scope : Scope
    excluded : Excluded
    """

    def __init__(self, stored: RowTable, champions: Champions, scope: Scope, excluded: Excluded) -> None:
        self._stored, self._champions, self._scope, self._excluded = stored, champions, scope, excluded

    def begin(self, predictions: RowTable) -> None:
        """Begin, or begin again, with these predictions and the newest calibrations."""
        self._stored, self._predictions = self._stored.latest(), predictions
        self._new: list[tuple[int, pa.Table]] = []
        # Each with when its last window starts.
        self._scored: list[tuple[int, pa.Table]] = []
        self._standing_in: dict[str, dict[str, str]] = {}

    def note(self, predictions: pa.Table) -> None:
        """Note predictions of the run, from which its later days learn: they are not stored yet."""
        rows = predictions.select(LESSONS.names)
        for name in KEY:
            place = rows.schema.get_field_index(name)
            rows = rows.set_column(place, name, rows[name].combine_chunks().dictionary_encode())
        self._scored.append((int(to_numpy(rows["window_start"]).max()), rows))

    def first_day(self, sensors: Sequence[str]) -> int | None:
        """Return midnight of the first day that some of these sensors' models have not seen the whole of."""
        ends = [
            int(to_numpy(rows["trained_to"]).min())
            for sensor in sensors
            for published in [self._open(sensor)]
            if published is not None
            for rows in published.models.batches(["trained_to"])
            if rows.num_rows
        ]
        return min(ends) // DAY_US * DAY_US if ends else None

    def curves(self, day: int, sensors: Iterable[str], find_series: Callable[[], pa.Table]) -> DayCurves:
        """Return the curves of a day, fitting what is not stored yet.

        Parameters
        ----------
        day : int
            Midnight, microseconds since the epoch.
        sensors : iterable of str
            Those of the run.
        find_series : callable
            Returns sensor and device of the series with due windows on that day. Called only where a model
            has no curve of that day yet.
        """
        files = self._stored.files(day, day + 1)
        # A file may hold a month.
        known = self._stored.read(start=day, end=day + 1) if files else empty_table(CALIBRATIONS)
        new: list[pa.Table] = []
        if not self._has_all(known, sensors):
            lacking = self._lacking(day, find_series(), known)
            new = [self._fitted(day, detector, models) for detector, models in lacking]
            self._new += [(day, one) for one in new]
        # The rows of a file are in order.
        if len(files) + len(new) > 1:
            known = pa.concat_tables([known, *new]).sort_by(_ORDER)
        return DayCurves((known if files or not new else new[0]).combine_chunks())

    def commit(self) -> None:
        """Store the new calibrations: before the predictions that are scored with them.

        So a prediction never names a calibration that is not stored, and a run that was killed in between is
        repeated with the same ones.

        Raises
        ------
        ConflictError
            When another run has stored calibrations of the same series meanwhile; those count.
        """
        if not self._new:
            return
        is_sparse = has_sparse_days(
            len({day for day, _ in self._new}), sum(one.num_rows for _, one in self._new)
        )
        new = [(day, [one]) for day, one in self._new]
        self._stored.commit(
            Change(
                CALIBRATIONS,
                joined_by_month(new, (*SERIES, "day", "model_version"))
                if is_sparse
                else (tables for _, tables in new),
                guard=self._scope.claims(CURVES),
                by_month=is_sparse,
            )
        )

    def _open(self, sensor: str) -> PublishedModel | None:
        """Return a sensor's champion if it can be recalibrated; scoring reports one that cannot be read."""
        try:
            found = self._champions.open(sensor)
        except InputError:
            return None
        return found if found is not None and isinstance(_detector(found), Recalibrates) else None

    def _stand_ins(self, sensor: str) -> dict[str, str]:
        """Return by the ids without a model the device whose model they have."""
        if sensor not in self._standing_in:
            self._standing_in[sensor] = self._champions.stand_ins(sensor)
        return self._standing_in[sensor]

    def _has_all(self, known: pa.Table, sensors: Iterable[str]) -> bool:
        """Whether each model of these sensors has a curve."""
        opened = {sensor: self._open(sensor) for sensor in sensors}
        champions = {sensor: one.manifest for sensor, one in opened.items() if one is not None}
        versions = [one.version for one in champions.values()]
        wanted = pa.table([strings(list(champions)), strings(versions)], list(_MODELS))
        keys, counts = np.unique(row_fingerprints(known, _MODELS), return_counts=True)
        found = np.isin(row_fingerprints(wanted, _MODELS), keys)
        place = np.searchsorted(keys, row_fingerprints(wanted, _MODELS)[found])
        n_models = np.array(
            [one.n_models + len(self._stand_ins(sensor)) for sensor, one in champions.items()], np.int64
        )
        return bool(found.all() and (counts[place] >= n_models[found]).all())

    def _lacking(
        self, day: int, series: pa.Table, known: pa.Table
    ) -> Iterator[tuple[Recalibrates, pa.Table]]:
        """Yield the models of the series that have no calibration of the day, by detector."""
        sensors = pc.unique(series["sensor"])
        opened = {sensor: self._open(sensor) for sensor in sensors.to_pylist()}
        versions = strings([one.manifest.version if one else "" for one in opened.values()])
        own = versions.take(to_arrow(positions(series["sensor"], sensors)))
        keys = row_fingerprints(series.append_column("model_version", own), KEY)
        missing = series.filter(to_arrow(~np.isin(keys, row_fingerprints(known, KEY))))
        found: dict[str, list[pa.Table]] = {}
        for sensor in pc.unique(missing["sensor"]).to_pylist():
            published = opened[sensor]
            if published is None:
                continue
            own = missing["device"].filter(to_arrow(are(missing["sensor"], sensor))).combine_chunks()
            donors = self._stand_ins(sensor)
            donor = strings([donors.get(name, name) for name in own.to_pylist()]) if donors else own
            # Not `pa.table` of a dictionary: it imports pandas.
            wanted = pa.Table.from_arrays([own, donor], ["own", MODEL_OF]).sort_by(MODEL_OF).combine_chunks()
            for rows in published.models.batches(RECALIBRATED):
                # Windows that the model was trained on have its own curve.
                over = rows.filter(to_arrow(to_numpy(rows["trained_to"], null=FOREVER) <= day))
                if not over.num_rows:
                    continue
                devices = over["device"].combine_chunks()
                some = _of_devices(wanted, MODEL_OF, devices)
                place = positions(some[MODEL_OF], devices)
                some = some.filter(to_arrow(place >= 0))
                mine = over.take(to_arrow(place[place >= 0])).rename_columns(
                    [MODEL_OF if name == "device" else name for name in over.column_names]
                )
                mine = mine.append_column("device", some["own"])
                mine = mine.append_column("sensor", constant(sensor, mine.num_rows))
                mine = mine.append_column(
                    "model_version", constant(published.manifest.version, mine.num_rows)
                )
                found.setdefault(published.models.info.detector, []).append(mine)
        for name, tables in found.items():
            models, detector = pa.concat_tables(tables), DETECTORS[name]
            if models.num_rows and isinstance(detector, Recalibrates):
                yield detector, models

    def _fitted(self, day: int, detector: Recalibrates, models: pa.Table) -> pa.Table:
        """Fit the curves of some models; returns them, schema CALIBRATIONS."""
        every, keys = models, row_fingerprints(models, _OF_MODEL)
        # Ids of one model learn together.
        _, rows_of, place = np.unique(keys, return_index=True, return_inverse=True)
        models = every.take(to_arrow(rows_of))
        order = pc.sort_indices(models, [(name, "ascending") for name in _OF_MODEL])
        models, place = models.take(order).combine_chunks(), np.argsort(to_numpy(order))[place]
        n, end = to_numpy(models["n_train"]), to_numpy(models["trained_to"])
        # Windows that the model has not seen, of as long a time as its training.
        first = np.maximum(end, day - (end - to_numpy(models["trained_from"])))
        n_incident = np.maximum(np.ceil(10.0 ** to_numpy(models["threshold"]) * n), 1).astype(np.int64)
        names = models.select([*_OF_MODEL, "model_version"]).rename_columns(list(KEY))
        learners = Learners(names, first, n, n_incident)
        learned, curves = np.zeros(n.size, np.int64), as_matrix(models["curve"]).copy()
        for rows in self._history(day, learners):
            row, series = lessons(rows, learners, self._excluded)
            begins = np.flatnonzero(np.diff(series, prepend=-1))
            some, counts = series[begins], np.diff(begins, append=series.size)
            if some.size:
                its_models = ModelRows(models.take(to_arrow(some)), (), 0)
                evidence = to_numpy(rows["evidence"])[row]
                curves[some], learned[some] = detector.recalibrate(its_models, evidence, counts), counts
        columns = [
            to_arrow(np.full(place.size, day)).cast(TIMESTAMP),
            *(every[name] for name in ("device", "sensor", "model_version")),
            to_arrow(learned[place]),
            as_lists(curves[place], CALIBRATIONS.field("curve").type),
        ]
        return pa.Table.from_arrays(columns, schema=CALIBRATIONS).sort_by(_ORDER)

    def _history(self, day: int, learners: Learners) -> Iterator[pa.Table]:
        """Read the windows that count of the learners before a day, some series at a time; schema NUMBERED.

        Those of the run come last.
        """
        stored, names = self._predictions, learners.series
        sensors = pc.unique(names["sensor"]).to_pylist()
        first = int(learners.first.min())
        files = stored.files(first, day, sensors)
        scored = [rows for last, rows in self._scored if last >= first]
        if not files and not scored:
            return
        few = pc.unique(names["device"]).to_pylist() if names.num_rows <= _FEW_DEVICES else None
        n_rows = rows_of_each(len(files) + 1)

        def read(file: DataFile, devices: Sequence[str] | None, rows: int = BATCH_ROWS) -> Iterator[pa.Table]:
            return stored.batches(file, LESSONS.names, sensors, devices, rows, encoded=KEY)

        sources = [*(read(file, few, n_rows) for file in files), *([one] for one in scored)]
        donors = {sensor: found for sensor in sensors if (found := self._stand_ins(sensor))}
        standing_in = sorted({name for found in donors.values() for name in found})
        if standing_in:
            others = [*scored, *(one for file in files for one in read(file, standing_in))]
            tables = [empty_table(LESSONS), *(one.cast(LESSONS) for one in others)]
            sources.append([_of_models(pa.concat_tables(tables), donors)])
        numbered = [(NUMBERED, (learners.numbered(rows, day) for rows in one)) for one in sources]
        for parts in device_ranges(numbered, key=("series",)):
            yield pa.concat_tables(parts).combine_chunks()


def _of_devices(rows: pa.Table, name: str, devices: pa.Array) -> pa.Table:
    """Cut rows that are sorted by a column to those from the first to the last of some sorted devices."""
    span = span_between(rows[name], devices[0].as_py(), devices[-1].as_py())
    return rows.slice(span.start, span.stop - span.start)


def _of_models(rows: pa.Table, donors: Mapping[str, Mapping[str, str]]) -> pa.Table:
    """Keep the rows of ids without a model, sorted under the device whose model each has."""
    found = [empty_table(LESSONS)]
    for sensor, ids in donors.items():
        for name, donor in ids.items():
            mine = rows.filter(to_arrow(are(rows["sensor"], sensor) & are(rows["device"], name)))
            place = mine.schema.get_field_index("device")
            found.append(mine.set_column(place, LESSONS.field("device"), constant(donor, mine.num_rows)))
    return pa.concat_tables(found).sort_by([(name, "ascending") for name in (*SERIES, "window_start")])


def _detector(published: PublishedModel) -> Detector:
    return DETECTORS[published.models.info.detector]
