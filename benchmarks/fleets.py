"""A fleet to score, in a workspace like any other: models, windows, and the same models as pickles.

A few hundred real one-class SVMs are fitted. Every device has one of them in its own unit and at its
own level, with support vectors moved by a thousandth: no two models hold the same numbers, so nothing
compresses that would not in a real fleet. All is made in parts of a few thousand devices.
"""

from __future__ import annotations

import copy
import json
import pickle
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import joblib
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM
from workspace import SENSOR, WINDOWS, Fleet, open_fleet

from batch_scoring.detection import model_file
from batch_scoring.detection.model import FleetInfo, FleetModel
from batch_scoring.registry.published import publish
from batch_scoring.storage import open_folder
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.tables.schemas import MODELS, windows_schema

Float = NDArray[np.float64]
Int = NDArray[np.int64]

FIRST_WINDOW_US = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp()) * 1_000_000
WINDOW_US = 300_000_000
FEATURES = ("mean", "std", "min", "max", "change", "diff_mean")
READINGS_A_WINDOW = 60
NU, TRAIN, TEST = 0.1, 500, 60
BASES = 200
PART_DEVICES = 8_192
# Larger fleets have pickles of so many devices only, to compare scores with.
PICKLED, COMPARED = 10_000, 500
# Of the features, which move with the level: mean, min and max.
HAS_LEVEL = np.array([1.0, 0, 1, 1, 0, 0])
# To be raised when the same size is to be another fleet: kept folders are then made again.
RECIPE = 2


class Bases:
    """The fitted models that the devices' models are made from, and unseen windows of each."""

    def __init__(self) -> None:
        random = np.random.default_rng(RECIPE)
        features = [window_features(random) for _ in range(BASES)]
        self.pipelines: list[Pipeline] = [
            make_pipeline(StandardScaler(), OneClassSVM(nu=NU)).fit(X[:TRAIN]) for X in features
        ]
        self.train = [X[:TRAIN] for X in features]
        self.unseen = np.stack([X[TRAIN:] for X in features])
        scalers, svms = zip(*([step for _, step in one.steps] for one in self.pipelines), strict=True)
        self.mean = np.array([scaler.mean_ for scaler in scalers])
        self.scale = np.array([scaler.scale_ for scaler in scalers])
        self.gamma = np.array([svm._gamma for svm in svms])
        self.rho = np.array([-svm.intercept_[0] for svm in svms])
        self.n_sv = np.array([len(svm.support_) for svm in svms])
        self.support_vectors = np.concatenate([svm.support_vectors_ for svm in svms])
        self.dual_coef = np.concatenate([svm.dual_coef_[0] for svm in svms])
        self.sv_start = np.cumsum(self.n_sv) - self.n_sv


def window_features(random: np.random.Generator) -> Float:
    """The default features of windows of a machine whose level wanders a little from window to window."""
    n = TRAIN + TEST
    level = random.uniform(0, 0.15) * random.standard_normal((n, 1))
    values = level + random.standard_normal((n, READINGS_A_WINDOW))
    mean = values.mean(axis=1)
    change = values[:, -1] - values[:, 0]
    columns = [mean, values.std(axis=1), values.min(axis=1), values.max(axis=1), change]
    return np.column_stack([*columns, np.diff(mean, prepend=mean[0])])


@dataclass(frozen=True)
class Part:
    """Some neighbouring devices of a fleet: a base each, in a unit and at a level of their own."""

    bases: Bases
    first: int
    last: int

    @cached_property
    def number(self) -> Int:
        return np.arange(self.first, self.last)

    @cached_property
    def base(self) -> Int:
        return self.number % BASES

    @cached_property
    def unit_and_level(self) -> tuple[Float, Float]:
        random = np.random.default_rng([RECIPE, self.first, 0])
        unit = random.uniform(0.5, 2, (self.number.size, 1))
        return unit, random.uniform(-50, 50, (self.number.size, 1)) * HAS_LEVEL

    @property
    def devices(self) -> list[str]:
        return [f"pump-{i:07d}" for i in self.number.tolist()]

    def models(self) -> pa.Table:
        """The devices' models, schema MODELS."""
        n = self.number.size
        unit, level = self.unit_and_level
        n_sv = self.bases.n_sv[self.base]
        offsets = np.concatenate([[0], np.cumsum(n_sv)])
        place = np.arange(offsets[-1]) + np.repeat(self.bases.sv_start[self.base] - offsets[:-1], n_sv)
        vectors = self.bases.support_vectors[place]
        vectors += 1e-3 * np.random.default_rng([RECIPE, self.first, 1]).standard_normal(vectors.shape)
        d = vectors.shape[1]
        columns = {
            "device": pa.array(self.devices),
            "n_train": np.full(n, TRAIN),
            "trained_from": np.full(n, FIRST_WINDOW_US - TRAIN * WINDOW_US),
            "trained_to": np.full(n, FIRST_WINDOW_US),
            "nu": np.full(n, NU),
            "gamma": self.bases.gamma[self.base],
            "rho": self.bases.rho[self.base],
            "mean": lists(self.bases.mean[self.base] * unit + level, np.arange(n + 1) * d),
            "scale": lists(self.bases.scale[self.base] * unit, np.arange(n + 1) * d),
            "support_vectors": lists(vectors, offsets * d),
            "dual_coef": lists(self.bases.dual_coef[place], offsets),
            # The plain one-class SVM: an anomaly is what scikit-learn's decision_function puts below 0.
            "threshold": np.zeros(n),
            "train_flag_rate": np.full(n, NU),
        }
        return pa.table({name: pa.array(values) for name, values in columns.items()}).cast(MODELS)

    def windows(self) -> pa.Table:
        """Twelve windows of each device that its base has not seen, one in a hundred of them strange."""
        random = np.random.default_rng([RECIPE, self.first, 2])
        n = self.number.size
        unit, level = self.unit_and_level
        base = np.repeat(self.base, WINDOWS)
        window = np.tile(np.arange(WINDOWS), n)
        X = self.bases.unseen[base, np.repeat(random.integers(0, TEST - WINDOWS, n), WINDOWS) + window]
        X += self.bases.scale[base] * 0.02 * random.standard_normal(X.shape)
        X += self.bases.scale[base] * HAS_LEVEL * np.where(random.random((X.shape[0], 1)) < 0.01, 5, 0)
        X = X * np.repeat(unit, WINDOWS, axis=0) + np.repeat(level, WINDOWS, axis=0)
        start = FIRST_WINDOW_US + window * WINDOW_US
        columns = {
            "window_start": pa.array(start),
            "window_end": pa.array(start + WINDOW_US),
            "device": pa.array(self.devices).take(pa.array(np.repeat(np.arange(n), WINDOWS))),
            "sensor": pa.array([SENSOR]).take(pa.array(np.zeros(n * WINDOWS, np.int64))),
            "count": pa.array(np.full(n * WINDOWS, READINGS_A_WINDOW)),
        }
        columns |= {name: pa.array(X[:, i].copy()) for i, name in enumerate(FEATURES)}
        return pa.table(columns).cast(windows_schema(FEATURES))

    def pipeline(self, row: int, models: pa.Table) -> Pipeline:
        """One of the models as scikit-learn's own objects."""
        pipeline = copy.deepcopy(self.bases.pipelines[self.base[row]])
        (_, scaler), (_, svm) = pipeline.steps
        scaler.mean_ = np.array(models["mean"][row].as_py())
        scaler.scale_ = np.array(models["scale"][row].as_py())
        scaler.var_ = scaler.scale_**2
        svm.support_vectors_ = np.array(models["support_vectors"][row].as_py()).reshape(-1, scaler.mean_.size)
        return pipeline


def make_fleet(folder: Path, n_models: int) -> Fleet:
    """Make a fleet, unless the folder holds it already."""
    note = folder / "fleet.json"
    made = json.loads(note.read_text()) if note.is_file() else {}
    if (made.get("recipe"), made.get("n_models")) == (RECIPE, n_models):
        return open_fleet(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    bases = Bases()
    n_support_vectors = int(bases.n_sv[np.arange(n_models) % BASES].sum())
    fleet = Fleet(folder, n_models, n_support_vectors)
    write_models(fleet, bases)
    write_windows(fleet, bases)
    write_pickles(fleet, bases)
    made = {"recipe": RECIPE, "n_models": n_models, "n_support_vectors": n_support_vectors}
    note.write_text(json.dumps(made) + "\n")
    return fleet


def parts(bases: Bases, n_models: int) -> Iterator[Part]:
    """All devices, in their order."""
    for first in range(0, n_models, PART_DEVICES):
        yield Part(bases, first, min(first + PART_DEVICES, n_models))


def write_models(fleet: Fleet, bases: Bases) -> None:
    """Publish the models as a promotion does, written a part at a time."""
    info = FleetInfo(SENSOR, FEATURES, WINDOW_US / 1e6, {"scikit-learn": version("scikit-learn")})
    models = (FleetModel.build(part.models(), info) for part in parts(bases, fleet.n_models))
    written = fleet.folder / "models.arrow"
    model_file.write_models(written, info, models)
    publish(fleet.published, written, "1", "benchmark", f"benchmark-{RECIPE}")
    written.unlink(missing_ok=True)


def write_windows(fleet: Fleet, bases: Bases) -> None:
    """Write the windows as `aggregate` does."""
    rows = (part.windows() for part in parts(bases, fleet.n_models))
    table = RowTable(open_folder(str(fleet.windows)), "window_start")
    table.commit(Change(windows_schema(FEATURES), [rows]))


def write_pickles(fleet: Fleet, bases: Bases) -> None:
    """Write one pickle a model, and up to 10,000 models all of them as one bundle too."""
    fleet.pickles.mkdir()
    is_small = fleet.n_models <= PICKLED
    step = 1 if is_small else fleet.n_models // COMPARED
    bundle = {}
    for part in parts(bases, fleet.n_models):
        models = part.models().combine_chunks()
        for row in np.flatnonzero(part.number % step == 0).tolist():
            device, pipeline = models["device"][row].as_py(), part.pipeline(row, models)
            (fleet.pickles / f"{device}.pkl").write_bytes(pickle.dumps(pipeline))
            bundle[device] = pipeline
    if is_small:
        joblib.dump(bundle, fleet.bundle)


def lists(values: Float, offsets: Int) -> pa.ListArray:
    """A list column: row i is ``values.ravel()[offsets[i]:offsets[i + 1]]``."""
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(values.ravel()))
