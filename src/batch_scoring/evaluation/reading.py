"""Read one sensor's windows and predictions, split into training and evaluated windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Selection
from batch_scoring.core.moments import microseconds
from batch_scoring.evaluation.metrics.sensor_windows import SensorWindows
from batch_scoring.evaluation.settings import EvaluateParameters
from batch_scoring.registry.published import PublishedModel
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrays import Int
from batch_scoring.tables.arrow_arrays import positions, to_numpy
from batch_scoring.tables.intervals import Timeline
from batch_scoring.tables.schemas import feature_columns
from batch_scoring.windows.features import feature_matrix

_PREDICTED = ["window_start", "device", "score", "threshold", "is_anomaly"]
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
    settings: EvaluateParameters,
    selection: Selection,
) -> tuple[SensorWindows, EvaluatedRange] | None:
    """Read the windows of a sensor; None where there are none of the devices asked for.

    Parameters
    ----------
    sensor : str
    windows, predictions : RowTable
        Schemas ``windows_schema(features)`` and PREDICTIONS.
    published : PublishedModel or None
        Training windows of the devices' models are not evaluated, unless ``evaluate.from`` says so.
    fallback : callable
        Returns from when on windows of devices without a model are evaluated, µs since the epoch, where
        no device of the sensor has one; None: unknown.
    settings : EvaluateParameters
    selection : Selection

    Raises
    ------
    InputError
        When no model records its training range.
    """
    table = windows.read(sensors=[sensor], devices=selection.devices).combine_chunks()
    if table.num_rows == 0:
        return None
    names = table["device"].unique()
    names = names.take(pc.array_sort_indices(names))
    device, start, end = (
        positions(table["device"], names),
        *(to_numpy(table[n]) for n in ("window_start", "window_end")),
    )
    order = np.lexsort((start, device))
    device, start, end = device[order], start[order], end[order]
    features = published.manifest.features if published else tuple(feature_columns(table))
    score, threshold, is_anomaly = _match(predictions, sensor, names, device, start)
    trained_from, trained_to = _training(published, names)
    evaluated = _evaluated_range(sensor, trained_to, fallback, settings, int(end.max()))
    is_known = trained_to != _NEVER
    learned_until = np.where(is_known, trained_to, evaluated.since if settings.from_ is not None else _NEVER)
    has_model = trained_from != np.iinfo(np.int64).max
    is_train = has_model[device] & (start >= trained_from[device]) & (end <= learned_until[device])
    is_test = (start >= evaluated.since[device]) & (start < evaluated.until)
    X = feature_matrix(table, features)[order]
    timeline = Timeline(device, start, end)
    return (
        SensorWindows(
            sensor, names.to_pylist(), features, timeline, X, is_train, is_test, score, threshold, is_anomaly
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


def _match(
    predictions: RowTable, sensor: str, names: pa.Array, device: Int, start: Int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Look up score, threshold and verdict of each window; NaN, NaN and false without a prediction."""
    score, threshold = np.full((2, start.size), np.nan)
    is_anomaly = np.zeros(start.size, bool)
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
    return score, threshold, is_anomaly


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
