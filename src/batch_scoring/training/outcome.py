"""Summarise a training: the status of its devices, and metrics of the fleet."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.ids import Selection
from batch_scoring.detection.model_file import FleetFile
from batch_scoring.storage.row_table import Change, RowTable, Update
from batch_scoring.storage.upsert import Upsert
from batch_scoring.tables.arrow_arrays import strings, to_numpy
from batch_scoring.tables.schemas import STATUS
from batch_scoring.training.windows import TrainingWindows

KEY = ("sensor", "device")


def status_update(
    sensor: str, fitted: pa.Table, refused: pa.Table, selection: Selection, windows: TrainingWindows | None
) -> Update:
    """Return the update that stores the status of a sensor's devices after a training.

    Parameters
    ----------
    fitted : pyarrow.Table
        Schema STATUS, the devices fitted now; without rows where nothing was trained.
    refused : pyarrow.Table
        Schema REFUSED_DEVICES.
    selection : Selection
        Where it names no devices, a training was about all of them.
    """

    def update(table: RowTable) -> Change | None:
        known = table.read(sensors=[sensor]) if table.exists else STATUS.empty_table()
        status = _merged(known, fitted, selection)
        # A training's status lists all devices that have windows; without one, they are looked up.
        unread = None if fitted.num_rows else windows
        status = _with_silent_devices(status, sensor, refused, selection, known, unread)
        if status.equals(known.sort_by("device")):
            return None
        upsert = Upsert(
            table,
            table.files(sensors=[sensor]),
            KEY,
            among=lambda rows: to_numpy(pc.equal(rows["sensor"], sensor)),
        )
        changed = list(upsert.fresh([status]))
        upsert.remove_unseen()
        # Trainings of other sensors may commit at the same time, those of this one may not.
        return Change(STATUS, [changed], guard=f"train {sensor}", rewritten=upsert.rewritten)

    return update


def _merged(known: pa.Table, fitted: pa.Table, selection: Selection) -> pa.Table:
    """Merge the status of the devices fitted now with the stored status of the others."""
    if selection.devices is None and fitted.num_rows:
        return fitted
    # Devices without a valid reading are found again each time.
    is_kept = pc.not_equal(known["status"], "no_data")
    if selection.devices is not None:
        chosen = pc.is_in(known["device"], value_set=strings(sorted(selection.devices)))
        is_kept = pc.or_(is_kept, pc.invert(chosen))
    is_fitted = pc.is_in(known["device"], value_set=fitted["device"].combine_chunks())
    return pa.concat_tables([fitted, known.filter(pc.and_(is_kept, pc.invert(is_fitted)))])


def _with_silent_devices(
    status: pa.Table,
    sensor: str,
    refused: pa.Table,
    selection: Selection,
    known: pa.Table,
    windows: TrainingWindows | None,
) -> pa.Table:
    """Add the devices without a single window: all of their readings were refused."""
    named = set(status["device"].to_pylist())
    reasons: dict[str, list[tuple[int, str]]] = {}
    for row in refused.filter(pc.equal(refused["sensor"], sensor)).to_pylist():
        if row["device"] not in named and selection.has_device(row["device"]):
            reasons.setdefault(row["device"], []).append((row["count"], row["reason"]))
    strange = reasons.keys() - set(known["device"].to_pylist())
    have_windows = windows.devices_among(frozenset(strange)) if windows and strange else set()
    added = [
        {
            "device": device,
            "sensor": sensor,
            "stage": "train",
            "status": "no_data",
            "n_windows": 0,
            "n_anomalies": 0,
            "message": "no window to train on; readings refused: "
            + ", ".join(f"{count:,} {reason}" for count, reason in sorted(counts, reverse=True)),
        }
        for device, counts in reasons.items()
        if device not in have_windows
    ]
    return pa.concat_tables([status, pa.Table.from_pylist(added, schema=STATUS)]).sort_by("device")


def fleet_metrics(models: FleetFile, status: pa.Table) -> dict[str, float]:
    """Compute metrics of a fleet's models, at least one, and of the devices that were trained."""
    failed = pc.sum(pc.invert(pc.is_in(status["status"], value_set=strings(["ok", "constant"])))).as_py()
    n_windows = n_vectors = 0
    rate = 0.0
    has_vectors = "dual_coef" in models.info.schema.names
    for batch in models.batches(["n_train", "train_flag_rate", *(["dual_coef"] if has_vectors else [])]):
        n_windows += int(to_numpy(batch["n_train"]).sum())
        n_vectors += pc.sum(pc.list_value_length(batch["dual_coef"])).as_py() if has_vectors else 0
        rate += float(np.nansum(to_numpy(batch["train_flag_rate"], null=np.nan)))
    metrics = {
        "models": float(models.n_models),
        "devices_without_model": float(failed or 0),
        "train_flag_rate": rate / models.n_models,
        "training_windows": float(n_windows),
    }
    return metrics | ({"support_vectors_per_model": n_vectors / models.n_models} if has_vectors else {})
