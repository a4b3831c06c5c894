"""What a competitor hands back: the seconds it took, and its scores for the comparison."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from workspace import Fleet

    Scored = tuple[NDArray[np.float64], NDArray[np.bool_]]

T = TypeVar("T")

SECONDS = 2.0


def save_scores(out: Path, scores: NDArray[np.float64], is_anomaly: NDArray[np.bool_]) -> None:
    """Keep the scores and labels of windows, in the order of device and time."""
    import numpy as np

    np.savez(out, scores=scores, is_anomaly=is_anomaly)


def score_repeatedly(score: Callable[[Fleet], Scored], fleet_folder: str, out: str) -> None:
    """Be a competitor: score the fleet again and again, tell how long that took, and keep the scores."""
    from workspace import open_fleet

    fleet = open_fleet(Path(fleet_folder))
    save_scores(Path(out), *print_repeated_time(lambda: score(fleet)))


def print_repeated_time(work: Callable[[], T]) -> T:
    """Do the work once, then again for two seconds and at least once, and tell how long that took.

    The first time does not count: it imports modules, starts helping processes and fetches memory from
    the system, which takes as long as scoring a small fleet. Of the others, the median does: a virtual
    machine is now and then given its memory anew. Files are read every time.
    """
    result = work()
    times: list[float] = []
    of_processor: list[float] = []
    while not times or sum(times) < SECONDS:
        began, cpu_began = time.perf_counter(), time.process_time()
        result = work()
        times.append(time.perf_counter() - began)
        of_processor.append(time.process_time() - cpu_began)
    medians = {"seconds": statistics.median(times), "cpu_seconds": statistics.median(of_processor)}
    print(json.dumps(medians))
    return result
