"""Prepare the Polars programs: a pickle a device, and medians with their deviations; not timed.

python -m competitors.polars_train READINGS.parquet DEVICES FOLDER

Device i gets what was trained on device i % n of the n in the readings, as it does in ours.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import numpy as np
import polars as pl
from hourly_data import device_names
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from competitors.polars_robust_z import robust_z
from competitors.polars_windows import FEATURES, windows_of

NU = 0.1
# One false alarm a sensor and week.
RATE = 5 / (7 * 24 * 60)


def main() -> None:
    readings, devices, folder = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    windows = windows_of(pl.read_parquet(readings))
    pickles = []
    for _, rows in windows.group_by("device", maintain_order=True):
        X = rows.select(FEATURES).to_numpy()
        model = make_pipeline(StandardScaler(), OneClassSVM(nu=NU)).fit(X)
        threshold = float(np.quantile(model.decision_function(X), RATE))
        pickles.append(pickle.dumps((model, threshold)))
    names = device_names(0, devices)
    (folder / "models").mkdir(parents=True)
    for number, name in enumerate(names):
        (folder / "models" / f"{name}.pkl").write_bytes(pickles[number % len(pickles)])
    bases = medians(windows).sort("device")
    copies = bases[np.arange(devices) % bases.height].with_columns(device=pl.Series(names))
    copies.write_parquet(folder / "robust.parquet")


def medians(windows: pl.DataFrame) -> pl.DataFrame:
    """Median and median absolute deviation of each feature of each device, and a threshold of the z-score."""
    found = windows.group_by("device").agg(
        *(pl.col(name).median().alias(f"median_{name}") for name in FEATURES),
        *((pl.col(name) - pl.col(name).median()).abs().median().alias(f"mad_{name}") for name in FEATURES),
    )
    scores = windows.join(found, on="device").with_columns(score=robust_z())
    return found.join(
        scores.group_by("device").agg(threshold=pl.col("score").quantile(1 - RATE)), on="device"
    )


if __name__ == "__main__":
    main()
