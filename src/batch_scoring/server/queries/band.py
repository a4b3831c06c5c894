"""The range in which a feature of a device is expected, by the champion and the calibration of each day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.core.moments import DAY_US
from batch_scoring.detection.detectors import DETECTORS, StatesRange
from batch_scoring.detection.detectors.base import ExpectedRange, ModelRows
from batch_scoring.registry.published import Manifest, load_published
from batch_scoring.storage import Folder
from batch_scoring.tables.arrays import Float, Int
from batch_scoring.tables.arrow_arrays import are, as_lists, as_matrix, to_arrow, to_numpy

# Large, and no range needs them.
_LEFT_OUT = ("support_vectors", "dual_coef")


@dataclass(frozen=True)
class DeviceModel:
    """The champion's model of one device and sensor.

    Attributes
    ----------
    manifest : Manifest
    row : pyarrow.Table
        The detector's schema without support vectors; one row, or none where the device has no model.
    detector : str
    """

    manifest: Manifest
    row: pa.Table
    detector: str


def read_model(published: Folder, sensor: str, device: str) -> DeviceModel | None:
    """Read the champion's model of a device; None where the sensor has no champion that can be read."""
    try:
        found = load_published(published, sensor)
        columns = [name for name in found.models.info.schema.names if name not in _LEFT_OUT]
        row = pa.schema([found.models.info.schema.field(name) for name in columns]).empty_table()
        for rows in found.models.batches(columns):
            mine = rows.filter(to_arrow(are(rows["device"], device)))
            if mine.num_rows:
                row = mine.combine_chunks()
                break
    except InputError:
        return None
    return DeviceModel(found.manifest, row, found.models.info.detector)


def expected_range(
    model: DeviceModel | None, calibrations: pa.Table, X: Float, start_us: Int, feature: str
) -> ExpectedRange | None:
    """Compute the expected range of a feature at n windows of the device; None where none is known.

    Parameters
    ----------
    model : DeviceModel or None
    calibrations : pyarrow.Table
        Schema CALIBRATIONS, of this device and sensor.
    X : array of shape (n, d), float64
        The features of the manifest, in its order.
    start_us : array of shape (n,), int64
        When the windows start, microseconds since the epoch.
    feature : str
    """
    if model is None or not model.row.num_rows or feature not in model.manifest.features or not len(X):
        return None
    detector = DETECTORS[model.detector]
    if not isinstance(detector, StatesRange):
        return None
    known, rows = _rows_by_day(model, calibrations, start_us // DAY_US)
    models = ModelRows(rows, model.manifest.features, round(model.manifest.window_seconds * 1e6))
    return detector.expected_range(X, start_us, known, models, feature)


def _rows_by_day(model: DeviceModel, calibrations: pa.Table, day: Int) -> tuple[Int, pa.Table]:
    """Return the model once a day, each with the curve of that day, and the row of each window."""
    days, known = np.unique(day, return_inverse=True)
    rows = model.row.take(to_arrow(np.zeros(days.size, np.int64))).combine_chunks()
    learned = to_numpy(calibrations["n_windows"]) > 0
    own = calibrations.filter(to_arrow(learned & are(calibrations["model_version"], model.manifest.version)))
    if not own.num_rows or "curve" not in rows.column_names:
        return known, rows
    curves, stored = as_matrix(rows["curve"]).copy(), to_numpy(own["day"]) // DAY_US
    place = np.searchsorted(days, stored).clip(0, days.size - 1)
    has = days[place] == stored
    curves[place[has]] = as_matrix(own["curve"])[has]
    field = rows.schema.field("curve")
    return known, rows.set_column(rows.schema.get_field_index("curve"), field, as_lists(curves, field.type))
