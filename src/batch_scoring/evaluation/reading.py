"""Read one sensor's windows and predictions, split into training and evaluated windows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Selection
from batch_scoring.core.moments import microseconds
from batch_scoring.detection.detectors import DETECTORS
from batch_scoring.evaluation.metrics.sensor_windows import SensorWindows
from batch_scoring.evaluation.settings import EvaluateParameters
from batch_scoring.registry.published import PublishedModel
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrays import Bool, Float, Int
from batch_scoring.tables.arrow_arrays import distinct, positions, to_numpy
from batch_scoring.tables.intervals import Timeline
from batch_scoring.tables.schemas import feature_columns
from batch_scoring.windows.features import feature_matrix

logger = logging.getLogger(__name__)

_PREDICTED = ["window_start", "device", "score", "threshold", "is_anomaly", "model_version"]
_NEVER = np.iinfo(np.int64).min


@dataclass(frozen=True)
class EvaluatedRange:
    """Which windows of a sensor are evaluated.

    Attributes
    ----------
    since : array of shape (n_devices,), int64
        Windows of the device that start then or later, µs since the epoch.
    until : int
        Windows that start before.
    """

    since: Int
    until: int


def read_sensor(
    sensor: str,
    windows: RowTable,
    predictions: RowTable,
    published: PublishedModel | None,
    fallback: Callable[[], int | None],
    rate: Callable[[int], float],
    settings: EvaluateParameters,
    selection: Selection,
) -> tuple[SensorWindows, EvaluatedRange] | None:
    """Read the windows of a sensor; None where there are none of the devices asked for.

    Parameters
    ----------
    windows, predictions : RowTable
        Schemas ``windows_schema(features)`` and PREDICTIONS.
    published : PublishedModel or None
        The champion; with the versions before it, which scored some of the windows. Windows that a version
        was trained on are not evaluated where it scored them.
    fallback : callable
        Returns from when on windows of devices without a model are evaluated, µs since the epoch, where
        no device of the sensor has one; None: unknown.
    rate : callable
        Returns the budget of models that do not state their own, from the length of a window in µs.

    Raises
    ------
    InputError
        When no model records its training range.
    """
    table = windows.read(sensors=[sensor], devices=selection.devices).combine_chunks()
    if table.num_rows == 0:
        return None
    names = distinct(table["device"])
    device, start = positions(table["device"], names), to_numpy(table["window_start"])
    order = np.lexsort((start, device))
    device, start, end = device[order], start[order], to_numpy(table["window_end"])[order]
    features = published.manifest.features if published else tuple(feature_columns(table))
    found = _match(predictions, sensor, names, device, start)
    versions = _versions(sensor, published, found.versions)
    ranges = [_training(one, names) for one in versions]
    trained_from, trained_to = (np.stack(ends) for ends in zip(*ranges, strict=True))
    version = np.array([_place(name, versions) for name in ("", *found.versions)])[found.version + 1]
    # When the training of the first version that scored each device ends.
    first_end = np.full(len(names), np.iinfo(np.int64).max)
    np.minimum.at(first_end, device, trained_to[version, device])
    evaluated = _evaluated_range(sensor, first_end, fallback, settings, int(end.max()))
    if settings.from_ is not None:
        # Models that do not say until when they were trained saw nothing of the range that is named.
        trained_to = np.where(trained_to == _NEVER, evaluated.since, trained_to)
    states = [one and DETECTORS[one.models.info.detector].states_tail_probability for one in versions]
    stated = (
        np.array(states, bool)[version] & np.isfinite(found.threshold) & (settings.false_alarm_rate is None)
    )
    return (
        SensorWindows(
            sensor=sensor,
            devices=names.to_pylist(),
            features=features,
            timeline=Timeline(device, start, end),
            X=feature_matrix(table, features)[order],
            is_in_range=(start >= evaluated.since[device]) & (start < evaluated.until),
            version=version,
            trained_from=trained_from,
            trained_to=trained_to,
            budget=np.where(stated, 10.0**found.threshold, rate(int(end[0] - start[0]))),
            score=found.score,
            threshold=found.threshold,
            is_anomaly=found.is_anomaly,
            versions=tuple(one.manifest.version if one else "" for one in versions),
        ),
        evaluated,
    )


def latest_training(fleet_models: Mapping[str, Callable[[], PublishedModel]]) -> int | None:
    """Return when the last training range of any model ends, µs since the epoch; None if none is recorded."""
    ends = [
        pc.max(part["trained_to"]).cast(pa.int64()).as_py()
        for load in fleet_models.values()
        for part in load().models.batches(["trained_to"])
    ]
    return max((end for end in ends if end is not None), default=None)


@dataclass(frozen=True)
class _Predicted:
    """The predictions of n windows; NaN, NaN, false and -1 without one."""

    score: Float
    threshold: Float
    is_anomaly: Bool
    version: Int
    versions: list[str]


def _match(predictions: RowTable, sensor: str, names: pa.Array, device: Int, start: Int) -> _Predicted:
    """Look up the prediction of each window."""
    score, threshold = np.full((2, start.size), np.nan)
    is_anomaly, version = np.zeros(start.size, bool), np.full(start.size, -1)
    number: dict[str, int] = {}
    starts = np.unique(start)
    keys = device * starts.size + np.searchsorted(starts, start)
    files = predictions.files(sensors=[sensor])
    for rows in (part for file in files for part in predictions.batches(file, _PREDICTED, [sensor])):
        its_device, its_start = positions(rows["device"], names), to_numpy(rows["window_start"])
        place = np.minimum(np.searchsorted(starts, its_start), starts.size - 1)
        row = np.minimum(np.searchsorted(keys, its_device * starts.size + place), keys.size - 1)
        is_there = (its_device >= 0) & (device[row] == its_device) & (start[row] == its_start)
        row = row[is_there]
        score[row], threshold[row] = (
            to_numpy(rows[n], null=np.nan)[is_there] for n in ("score", "threshold")
        )
        is_anomaly[row] = to_numpy(rows["is_anomaly"])[is_there]
        known = pc.unique(rows["model_version"])
        numbers = np.array([number.setdefault(name, len(number)) for name in known.to_pylist()])
        version[row] = numbers[positions(rows["model_version"], known)[is_there]]
    return _Predicted(score, threshold, is_anomaly, version, list(number))


def _versions(
    sensor: str, published: PublishedModel | None, used: Sequence[str]
) -> list[PublishedModel | None]:
    """Return the champion, or None without one, and the other versions that were used."""
    if published is None:
        return [None]
    others = set(used) - {published.manifest.version}
    before = published.versions() if others else {}
    if gone := sorted(others - before.keys()):
        logger.warning(
            "evaluate: sensor %r: version %r is not published any more; what it was trained on is unknown, "
            "and the champion's training range is taken for its own",
            *(sensor, gone[0]),
        )
    return [published, *(before[name] for name in sorted(others & before.keys()))]


def _place(version: str, among: Sequence[PublishedModel | None]) -> int:
    """Return the number of a version; 0, the champion, where it is not known."""
    return next((i for i, one in enumerate(among) if one and one.manifest.version == version), 0)


def _training(published: PublishedModel | None, names: pa.Array) -> tuple[Int, Int]:
    """Return when the training range of each device's model begins and ends.

    Without a model it begins after all time; an end that is not known lies before all time.
    """
    begins, ends = np.full(len(names), np.iinfo(np.int64).max), np.full(len(names), _NEVER)
    for part in published.models.batches(["device", "trained_from", "trained_to"]) if published else ():
        device = positions(part["device"], names)
        known = device >= 0
        begins[device[known]] = to_numpy(part["trained_from"], null=_NEVER)[known]
        ends[device[known]] = to_numpy(part["trained_to"], null=_NEVER)[known]
    return begins, ends


def _evaluated_range(
    sensor: str,
    trained_to: Int,
    fallback: Callable[[], int | None],
    settings: EvaluateParameters,
    last_end: int,
) -> EvaluatedRange:
    until = last_end if settings.to is None else microseconds(settings.to)
    if settings.from_ is not None:
        return EvaluatedRange(np.full(trained_to.size, microseconds(settings.from_)), until)
    latest = int(trained_to.max(initial=_NEVER))
    if latest == _NEVER:
        known = fallback()
        if known is None:
            raise InputError(
                f"sensor {sensor!r}: no model records its training range; name the range to evaluate with "
                "evaluate.from, or run `kedro run --pipelines=train,score` first"
            )
        latest = known
    return EvaluatedRange(np.where(trained_to == _NEVER, latest, trained_to), until)
