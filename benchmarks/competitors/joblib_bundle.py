"""All pipelines in one joblib file, loaded once and scored on all cores by joblib's processes.

    python -m competitors.joblib_bundle FLEET OUT.npz

Each core has one task, its share of the models: faster than many tasks, or one task a model.
"""

from __future__ import annotations

import os
import sys

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from workspace import WINDOWS, Fleet

from competitors.outcome import score_repeatedly
from competitors.sklearn_pickles import read_features


def score_models(pipelines: list[Pipeline], X: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    parts = np.split(X, len(pipelines))
    return [pipeline.decision_function(x) for pipeline, x in zip(pipelines, parts, strict=True)]


def score(fleet: Fleet) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores and labels of all windows."""
    X = read_features(fleet.windows_file)
    pipelines = list(joblib.load(fleet.bundle).values())
    n_cores = len(os.sched_getaffinity(0))
    share = -(-len(pipelines) // n_cores)
    scores = joblib.Parallel(n_jobs=n_cores)(
        joblib.delayed(score_models)(
            pipelines[first : first + share], X[first * WINDOWS : (first + share) * WINDOWS]
        )
        for first in range(0, len(pipelines), share)
    )
    scored = np.concatenate([one for part in scores for one in part])
    return scored, scored < 0


if __name__ == "__main__":
    score_repeatedly(score, *sys.argv[1:])
