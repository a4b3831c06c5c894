"""The shape of 2018: a process for one model, which reads its device's windows and writes its predictions.

    python -m competitors.process_per_model FLEET DEVICE OUT.parquet

Without the container that was around it.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from workspace import open_fleet


def main(fleet_folder: str, device: str, out: str) -> None:
    fleet = open_fleet(Path(fleet_folder))
    windows = pq.read_table(fleet.windows_file, filters=[("device", "=", device)])
    X = np.column_stack([windows[name].to_numpy() for name in windows.column_names[5:]])
    pipeline = pickle.loads((fleet.pickles / f"{device}.pkl").read_bytes())
    scores = pipeline.decision_function(X)
    predictions = windows.select(["window_start", "window_end", "device", "sensor", "mean"])
    predictions = predictions.append_column("score", pa.array(scores))
    pq.write_table(predictions.append_column("is_anomaly", pa.array(scores < 0)), out)


if __name__ == "__main__":
    main(*sys.argv[1:])
