"""One pickle a model: a loop that unpickles each pipeline and scores its device's windows, on one core.

    python -m competitors.sklearn_pickles FLEET OUT.npz

The way that needs no framework and holds no frame: the windows are read once, as one matrix. Where
only some devices have a pickle, these are scored.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from workspace import WINDOWS, Fleet

from competitors.outcome import score_repeatedly


def read_features(windows_file: Path) -> NDArray[np.float64]:
    """The features of all windows, shape (n, d), and nothing else."""
    file = pq.ParquetFile(windows_file)
    features = file.schema_arrow.names[5:]
    table = file.read(features)
    return np.column_stack([table[name].to_numpy() for name in features])


def score(fleet: Fleet) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores and labels, in the order of the pickles' names."""
    X = read_features(fleet.windows_file)
    scores = []
    for path in sorted(fleet.pickles.iterdir()):
        pipeline = pickle.loads(path.read_bytes())
        first = int(path.stem.rpartition("-")[2]) * WINDOWS
        scores.append(pipeline.decision_function(X[first : first + WINDOWS]))
    scored = np.concatenate(scores)
    return scored, scored < 0


if __name__ == "__main__":
    score_repeatedly(score, *sys.argv[1:])
