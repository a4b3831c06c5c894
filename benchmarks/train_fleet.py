"""Training measured side by side: `kedro run --pipelines=train`, and scikit-learn's fits alone.

    python benchmarks/train_fleet.py                       # 1,000 devices of 500 windows and 6 features
    python benchmarks/train_fleet.py --devices 10000 --json

Ours is the whole cold command: start of Kedro, reading the windows, the fits and their calibration,
writing the models, a run and a version in a new MLflow store, publication. Bare are the same six fits
of StandardScaler and OneClassSVM a device, by a plain program that has the rows in memory, on the same
cores with one process each, timed without its imports and its reading. The models are compared with
scikit-learn's own before any figure is told.

`train_over_bare_fit`     time of ours over that of the bare fits
`train_over_bare_program` the same over the whole bare program, from its start to its end
`train_over_lean_fit`     the same over bare fits without scikit-learn's checks of its arguments
`parallel_speedup`        ours pinned to one core over ours on all
`mlflow_share`            share of ours that waits for MLflow, promotion and publication included; MLflow is
                          imported and its database made beside the fits, which is in the time of ours
`peak_gib`                memory of all processes of ours together
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import timed_process

PROJECT = Path(__file__).parents[1]
SENSOR = "vibration"
FEATURES = ("mean", "std", "min", "max", "change", "diff_mean")
N_WINDOWS = 500
WINDOW_US = 300_000_000
DAY_WINDOWS = 288
START_US = 1_767_571_200_000_000
PART_DEVICES = 500
NU = 0.1
BLOCKS = 5
COMPARED = 20


def make_part(first: int, after: int) -> np.ndarray:
    """Features of some devices' windows, shape (devices, windows, features): level, daily wave, noise."""
    parts = []
    for device in range(first, after):
        random = np.random.default_rng([7, device])
        wave = np.sin(np.arange(N_WINDOWS) * 2 * np.pi / DAY_WINDOWS + random.uniform(0, 6))
        mean = 20 + random.normal() + 2 * wave + random.normal(0, 0.3, N_WINDOWS)
        spread = 0.2 * (1 + random.gamma(2, 0.2, N_WINDOWS))
        low, high = mean - 2 * spread * random.random(N_WINDOWS), mean + 2 * spread * random.random(N_WINDOWS)
        change = random.normal(0, 0.2, N_WINDOWS)
        parts.append(np.stack([mean, spread, low, high, change, np.diff(mean, prepend=mean[0])], axis=1))
    return np.stack(parts)


def name_of(device: int) -> str:
    return f"pump-{device:07d}"


def write_windows(folder: Path, devices: int) -> None:
    """The windows as `aggregate` leaves them, a file a day."""
    from batch_scoring.storage import open_folder
    from batch_scoring.storage.row_table import Change, RowTable
    from batch_scoring.tables.schemas import windows_schema

    schema = windows_schema(FEATURES)

    def batches(day: int) -> Iterator[pa.Table]:
        window = np.arange(day * DAY_WINDOWS, min((day + 1) * DAY_WINDOWS, N_WINDOWS))
        for first in range(0, devices, PART_DEVICES):
            after = min(first + PART_DEVICES, devices)
            X = make_part(first, after)[:, window].reshape(-1, len(FEATURES))
            start = np.tile(START_US + window * WINDOW_US, after - first)
            names = pa.array([name_of(device) for device in range(first, after)])
            n = start.size
            columns = [
                pa.array(start),
                pa.array(start + WINDOW_US),
                names.take(pa.array(np.repeat(np.arange(after - first), window.size))),
                pa.array([SENSOR]).take(pa.array(np.zeros(n, np.int64))),
                pa.array(np.full(n, 5, np.int32)),
                *(pa.array(np.ascontiguousarray(column)) for column in X.T),
            ]
            cast = [column.cast(field.type) for column, field in zip(columns, schema, strict=True)]
            yield pa.Table.from_arrays(cast, schema=schema)

    table = RowTable(open_folder(str(folder / "03_primary/windows")), "window_start")
    table.commit(Change(schema, map(batches, range(-(-N_WINDOWS // DAY_WINDOWS)))))


def training_sets(X: np.ndarray) -> Iterator[np.ndarray]:
    """What is fitted of a device: all of its windows, and all but each fifth of the time."""
    yield X
    edges = np.linspace(0, len(X), BLOCKS + 1).astype(int)
    for start, end in pairwise(edges):
        yield np.concatenate([X[:start], X[end:]])


def fit_bare(arguments: tuple[int, int, bool]) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """The models of some devices; six fits each, of which the first is kept."""
    from sklearn import config_context
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import OneClassSVM

    first, after, is_lean = arguments
    models = []
    with config_context(assume_finite=is_lean, skip_parameter_validation=is_lean):
        for X in ROWS[first:after]:
            for place, T in enumerate(training_sets(X)):
                scaler = StandardScaler()
                svm = OneClassSVM(nu=NU).fit(scaler.fit_transform(T))
                if place == 0:
                    models.append((svm.support_vectors_, svm.dual_coef_[0], float(svm.intercept_[0])))
    return models


ROWS = np.zeros((0, N_WINDOWS, len(FEATURES)))


def run_bare(devices: int) -> None:
    """The plain program: read, import, fork a process a core, fit; twice, without and with the checks."""
    global ROWS  # noqa: PLW0603  # what forked processes share
    import sklearn.svm  # noqa: F401

    ROWS = np.concatenate(
        [make_part(first, min(first + PART_DEVICES, devices)) for first in range(0, devices, PART_DEVICES)]
    )
    n_cores = len(os.sched_getaffinity(0))
    seconds = {}
    for is_lean in (True, False):
        work = [(first, min(first + 25, devices), is_lean) for first in range(0, devices, 25)]
        began = time.perf_counter()
        with multiprocessing.get_context("fork").Pool(n_cores) as pool:
            n = sum(len(models) for models in pool.imap(fit_bare, work))
        seconds[is_lean] = time.perf_counter() - began
        assert n == devices
    print(json.dumps({"bare": seconds[False], "lean": seconds[True]}))


def run_ours(arguments: Sequence[str]) -> None:
    """`kedro run` with a clock on what goes to MLflow, which it prints at its end."""
    from kedro.framework.cli import main

    from batch_scoring.datasets.fleet_models import TrackedFleetModels
    from batch_scoring.registry import tracking

    spent = {"mlflow": 0.0}

    def clock(owner: Any, name: str) -> None:
        plain = getattr(owner, name)

        def clocked(*values: Any) -> Any:
            began = time.perf_counter()
            try:
                return plain(*values)
            finally:
                spent["mlflow"] += time.perf_counter() - began

        setattr(owner, name, clocked)

    clock(tracking, "prepare")
    for name in ("load", "_save_training", "confirm"):
        clock(TrackedFleetModels, name)
    sys.argv = ["kedro", *arguments]
    try:
        main()
    finally:
        print(json.dumps(spent))


def train(folder: Path, cores: Sequence[int] | None = None) -> tuple[timed_process.Finished, float]:
    """A cold training of a new workspace with these windows; and the seconds in MLflow."""
    for name in ("06_models", "07_model_output"):
        shutil.rmtree(folder / name, ignore_errors=True)
    parameters = f"data={folder},at=2026-02-01T00:00Z,train.share=1.0,train.fit.nu={NU}"
    # The plain one, so that scores can be compared with scikit-learn's.
    parameters += ",train.fit.detector=one_class_svm"
    command = [sys.executable, str(Path(__file__).absolute()), "--ours", "run", "--pipelines=train"]
    done = timed_process.run([*command, "--params", parameters], PROJECT, cores=cores, with_children=True)
    return done, json.loads(done.output.splitlines()[-1])["mlflow"]


def require_equal(folder: Path, devices: int) -> None:
    """Stop unless our models decide as scikit-learn's own, fitted here on the same windows."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import OneClassSVM

    from batch_scoring.detection.detectors.one_class_svm import rbf_models
    from batch_scoring.detection.kernel import decision_function
    from batch_scoring.registry.published import load_published

    model = load_published(folder / "06_models/published", SENSOR).verify().models.read()
    if model.devices.to_pylist() != [name_of(device) for device in range(devices)]:
        sys.exit("ours: not every device has a model")
    for device in np.linspace(0, devices - 1, COMPARED).astype(int).tolist():
        X = make_part(device, device + 1)[0]
        theirs = make_pipeline(StandardScaler(), OneClassSVM(nu=NU)).fit(X).decision_function(X)
        rows = model.select([name_of(device)]).rows
        ours = decision_function(rbf_models(rows), X, np.array([0, len(X)]))
        difference = np.abs(ours - theirs).max()
        if not difference <= 1e-9:
            sys.exit(f"ours: {name_of(device)} differs from scikit-learn by {difference:.1e}")


def measure(folder: Path, devices: int) -> dict[str, Any]:
    """All figures. The competitors take turns and the better of two runs counts: machines are noisy."""
    write_windows(folder, devices)
    cores = sorted(os.sched_getaffinity(0))
    bare_command = [sys.executable, str(Path(__file__).absolute()), "--bare", str(devices)]
    bare, ours = [], []
    for turn in range(2):
        ours.append(train(folder))
        if turn == 0:
            require_equal(folder, devices)
        bare.append(timed_process.run(bare_command, PROJECT, one_thread=True))
    alone, _ = train(folder, cores[:1])
    both = min(done.seconds for done, _ in ours)
    fits = [json.loads(done.output.splitlines()[-1]) for done in bare]
    plain, lean = (min(one[name] for one in fits) for name in ("bare", "lean"))
    program = min(done.seconds - one["lean"] for done, one in zip(bare, fits, strict=True))
    return {
        "devices": devices,
        "cores": len(cores),
        "ours_seconds": both,
        "ours_one_core_seconds": alone.seconds,
        "bare_fit_seconds": plain,
        "lean_fit_seconds": lean,
        "train_over_bare_fit": both / plain,
        "train_over_bare_program": both / program,
        "train_over_lean_fit": both / lean,
        "parallel_speedup": alone.seconds / both,
        "mlflow_seconds": min(seconds for _, seconds in ours),
        "mlflow_share": min(seconds / done.seconds for done, seconds in ours),
        "peak_gib": max(done.peak_gib for done, _ in ours),
    }


def main() -> None:
    if sys.argv[1:2] == ["--ours"]:
        return run_ours(sys.argv[2:])
    if sys.argv[1:2] == ["--bare"]:
        return run_bare(int(sys.argv[2]))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--devices", type=int, default=1_000)
    parser.add_argument("--folder", type=Path, help="default: a temporary one, deleted at the end")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    import tempfile

    with tempfile.TemporaryDirectory(prefix="batch_scoring_bench_", dir=arguments.folder) as folder:
        figures = measure(Path(folder), arguments.devices)
    if arguments.json:
        print(json.dumps(figures, indent=2))
    else:
        for name, value in figures.items():
            print(f"{name:26}{value:10.3f}" if isinstance(value, float) else f"{name:26}{value:10,}")
    return None


if __name__ == "__main__":
    main()
