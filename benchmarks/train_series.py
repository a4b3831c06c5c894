"""What it costs to train one series with the default detector: 28 days of 5-minute windows, on one core.

    python benchmarks/train_series.py --series 12 --json

`core_ms_a_series`   median of the processor's time for fit and calibration, milliseconds

Windows have a level, a daily wave, noise and spreads of their own, as in `train_fleet.py`. Reading, MLflow
and the start of Python are left out: of 28 days of many series they are a small part.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batch_scoring.detection.detectors.base import Series

FEATURES = ("mean", "std", "min", "max", "change", "diff_mean", "equal_run")
DAYS, DAY_WINDOWS = 28, 288
WINDOW_US = 300_000_000
START_US = 1_767_571_200_000_000


def make_series(n: int) -> Iterator[Series]:
    """Make the training windows of some series."""
    import numpy as np

    from batch_scoring.detection.detectors.base import Series

    window = np.arange(DAYS * DAY_WINDOWS)
    for number in range(n):
        random = np.random.default_rng([7, number])
        wave = np.sin(window * 2 * np.pi / DAY_WINDOWS + random.uniform(0, 6))
        mean = 20 + random.normal() + 2 * wave + random.normal(0, 0.3, window.size)
        spread = 0.2 * (1 + random.gamma(2, 0.2, window.size))
        columns = [
            mean,
            spread,
            mean - 2 * spread * random.random(window.size),
            mean + 2 * spread * random.random(window.size),
            random.normal(0, 0.2, window.size),
            np.diff(mean, prepend=mean[0]),
            np.ones(window.size),
        ]
        yield Series(np.stack(columns, axis=1), START_US + window * WINDOW_US, WINDOW_US, FEATURES)


def measure(n: int) -> float:
    """Return the milliseconds of a core that a series takes."""
    from sklearn import config_context

    from batch_scoring.detection.detectors import DETECTORS
    from batch_scoring.detection.detectors.base import FitParameters

    parameters = FitParameters()
    fit = DETECTORS[parameters.detector].fit
    taken = []
    with config_context(assume_finite=True, skip_parameter_validation=True):
        for series in make_series(n + 1):
            began = time.process_time()
            fit(series, parameters)
            taken.append(time.process_time() - began)
    return statistics.median(taken[1:]) * 1e3  # the first one imports


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--series", type=int, default=12)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    found = measure(arguments.series)
    if arguments.json:
        print(json.dumps({"core_ms_a_series": found, "series": arguments.series}))
    else:
        print(f"{found:.1f} ms of a core a series")


if __name__ == "__main__":
    main()
