"""Score the windows of one device range that lack a prediction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.detection.model import FleetModel
from batch_scoring.detection.score import fleet_status, predict, window_fingerprints
from batch_scoring.scoring.scope import Scope
from batch_scoring.tables.arrays import Bool, UInt
from batch_scoring.tables.arrow_arrays import to_arrow, to_numpy
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.schemas import PREDICTIONS, STATUS

KEY = ("device", "window_start", "window_end")


@dataclass(frozen=True)
class ScoredRange:
    """The result of scoring a range.

    Attributes
    ----------
    predictions : pyarrow.Table
        Schema PREDICTIONS, sorted by device and window_start: the new ones, and earlier ones
        that are still valid.
    status : pyarrow.Table
        Schema STATUS, of the range's closed windows and models.
    n_new, n_new_anomalies : int
        How many of the predictions are new.
    is_complete : bool
        Whether no later run with the same models has anything to score here: all windows are closed, and
        devices outside the selection keep their predictions.
    """

    predictions: pa.Table
    status: pa.Table
    n_new: int
    n_new_anomalies: int
    is_complete: bool


def score_range(
    windows: pa.Table, earlier: pa.Table, model: FleetModel | None, model_version: str, scope: Scope
) -> ScoredRange:
    """Score the windows of a range of devices that have no prediction, or one of another content.

    Parameters
    ----------
    windows : pyarrow.Table
        Schema ``windows_schema(features)``, sorted by device and window_start.
    earlier : pyarrow.Table
        Schema PREDICTIONS, of the same devices, sorted alike.
    model : FleetModel or None
        The models of the same devices.
    model_version : str
    scope : Scope
        The windows in the scope of the run.
    """
    closed, in_scope = scope.closed(windows), scope.mask(windows)
    contents = window_fingerprints(windows)
    is_scored = np.isin(contents, to_numpy(earlier["window_fingerprint"]))
    pending = in_scope if scope.rescore else in_scope & ~is_scored
    if model is None or not pending.any():
        new = PREDICTIONS.empty_table()
    elif pending.all():
        new = predict(windows, model, model_version, 1, contents)
    else:
        new = predict(windows.filter(to_arrow(pending)), model, model_version, 1, contents[pending])
    predictions = new
    if earlier.num_rows:
        # Outside the scope even an outdated prediction is kept: another run replaces it.
        standing = row_fingerprints(windows.filter(to_arrow(is_scored | ~in_scope)), KEY)
        predictions = _merge(earlier, new, standing)
    seen = windows if closed.all() else windows.filter(to_arrow(closed))
    has_status = model is not None or seen.num_rows > 0
    return ScoredRange(
        predictions,
        fleet_status(seen, predictions, model) if has_status else STATUS.empty_table(),
        new.num_rows,
        int(np.count_nonzero(to_numpy(new["is_anomaly"]))),
        bool(closed.all()) and not _wants_prediction(windows, ~in_scope & ~is_scored, model),
    )


def _wants_prediction(windows: pa.Table, rows: Bool, model: FleetModel | None) -> bool:
    """Whether one of these rows belongs to a device with a model."""
    if model is None or not rows.any():
        return False
    devices = windows["device"].filter(to_arrow(rows))
    return bool(pc.any(pc.is_in(devices, value_set=model.table["device"].combine_chunks())).as_py())


def _merge(earlier: pa.Table, new: pa.Table, standing: UInt) -> pa.Table:
    """Merge the new predictions with earlier ones of unchanged windows."""
    keys = row_fingerprints(earlier, KEY)
    keep = np.isin(keys, standing) & ~np.isin(keys, row_fingerprints(new, KEY))
    if keep.all() and new.num_rows == 0:
        return earlier
    merged = pa.concat_tables([earlier.filter(to_arrow(keep)), new])
    return merged.sort_by([("device", "ascending"), ("window_start", "ascending")]).combine_chunks()
