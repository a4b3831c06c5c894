"""The same fleet with the combined detector, the default of `train`, around the same one-class SVMs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import pyarrow as pa
from fleets import FEATURES, FIRST_WINDOW_US, RECIPE, TRAIN, WINDOW_US, Bases, Part, lists, parts
from workspace import SENSOR, Fleet

from batch_scoring.detection import model_file
from batch_scoring.detection.detectors.base import FitParameters, Series
from batch_scoring.detection.detectors.combined_fit import CombinedColumns, fit_combined
from batch_scoring.detection.model import FleetInfo, FleetModel
from batch_scoring.registry.published import publish

PARAMETERS = FitParameters(detector="combined", false_alarm_rate=0.01)


def write_combined(fleet: Fleet, bases: Bases) -> None:
    """Publish the combined models beside the plain ones, for the same windows."""
    combined = fleet.combined
    shutil.copytree(fleet.windows, combined.windows, copy_function=os.link)
    (combined.folder / "fleet.json").hardlink_to(fleet.folder / "fleet.json")
    libraries = {"scikit-learn": version("scikit-learn")}
    info = FleetInfo(SENSOR, FEATURES, WINDOW_US / 1e6, libraries, detector="combined")
    written = combined.folder / "models.arrow"
    model_file.write_models(written, info, _models(bases, fleet.n_models, info))
    publish(combined.published, written, "1", "benchmark", f"benchmark-combined-{RECIPE}")
    written.unlink(missing_ok=True)


def _models(bases: Bases, n_models: int, info: FleetInfo) -> Iterator[FleetModel]:
    start_us = FIRST_WINDOW_US - np.arange(TRAIN, 0, -1) * WINDOW_US
    # Noise has no hours: what one base in many seems to have of them is left out. Nor has it levels.
    found = [
        fit_combined(Series(X, start_us, WINDOW_US, FEATURES), PARAMETERS)[1] for X in bases.train[:n_models]
    ]
    detectors = [replace(one, time_of_day=np.zeros(0)) for one in found]
    for part in parts(bases, n_models):
        yield FleetModel.build(_table(part, detectors), info)


def _table(part: Part, detectors: list[CombinedColumns]) -> pa.Table:
    table = part.models()
    unit, level = part.unit_and_level
    mine = [detectors[base] for base in part.base.tolist()]
    columns = {
        name: pa.array([getattr(one, name) for one in mine]) for name in ("kind", "time_zone", "fit_version")
    }
    lists_of_models = ("center", "spread", "time_of_day", "levels", "may_stay", "distance_curve", "svm_curve")
    for name in (*lists_of_models, "curve"):
        rows = np.array([getattr(one, name) for one in mine])
        if name == "center":
            rows = rows * unit + level
        if name == "spread":
            rows = rows * unit
        columns[name] = lists(rows, np.arange(len(mine) + 1) * rows.shape[1])
    threshold = pa.array(np.full(len(mine), np.log10(PARAMETERS.rate)))
    table = table.set_column(table.schema.get_field_index("threshold"), "threshold", threshold)
    for name, column in columns.items():
        table = table.append_column(name, column)
    return table
