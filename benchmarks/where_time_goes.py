"""Where the time of a scoring job goes, step by step, on one core.

    python benchmarks/where_time_goes.py [--models 100000] [--keep FOLDER] [--json]

The project's own functions, one after the other, without the overlap of reading, scoring and writing that
a run has. A step's time is without that of the steps inside it. Start-up is a run with nothing to score.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from fleets import make_fleet
from workspace import SENSOR, WINDOWS, Fleet

from batch_scoring.datasets.parquet import ArrowParquetDataset
from batch_scoring.detection import model_file, score
from batch_scoring.detection.detectors import combined, one_class_svm
from batch_scoring.detection.kernel import score_rows
from batch_scoring.detection.model import FleetModel
from batch_scoring.registry.published import PublishedModel, load_published
from batch_scoring.tables.device_ranges import device_ranges, read_batches
from batch_scoring.tables.schemas import MODELS, PREDICTIONS
from batch_scoring.tables.streams import Stream

PROJECT = Path(__file__).parents[1]
ROUNDS = 5
STEPS = {
    "start": "start Python and Kedro, read the configuration",
    "models": "read the models and compare their checksums",
    "windows": "read the windows",
    "ranges": "cut both into ranges of devices",
    "fingerprints": "fingerprint of every window",
    "kernel": "the kernel: all the arithmetic of the scores",
    "table": "match devices, thresholds, severity: the table of predictions",
    "status": "the status of every device",
    "write": "write the predictions and sync them to disk",
}


class Stopwatch:
    """Seconds by step, each without the steps inside it."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._inside: list[float] = []

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        self._inside.append(0.0)
        yield
        taken = time.perf_counter() - began
        self.seconds[name] += taken - self._inside.pop()
        if self._inside:
            self._inside[-1] += taken

    def items(self, name: str, items: Iterator[Any]) -> Iterator[Any]:
        """The same items, the making of each a step."""
        while True:
            with self.step(name):
                item = next(items, None)
            if item is None:
                return
            yield item

    def calls(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, each call a step."""

        def timed(*arguments: Any) -> Any:
            with self.step(name):
                return function(*arguments)

        return timed


def score_fleet(fleet: Fleet) -> Counter[str]:
    """Score the fleet once from files to a file; seconds by step."""
    watch = Stopwatch()
    detectors, computed = (combined, one_class_svm), model_file.computed
    for detector in detectors:
        detector.score_rows = watch.calls("kernel", score_rows)
    model_file.computed = lambda function, items, workers: map(function, items)
    try:
        published = load_published(fleet.published, SENSOR)
        with tempfile.TemporaryDirectory(dir=fleet.folder) as scratch, watch.step("write"):
            stream = Stream(PREDICTIONS, predictions(fleet, published, watch))
            ArrowParquetDataset(f"{scratch}/predictions.parquet").save(stream)
    finally:
        model_file.computed = computed
        for detector in detectors:
            detector.score_rows = score_rows
    return watch.seconds


def predictions(fleet: Fleet, published: PublishedModel, watch: Stopwatch) -> Iterator[pa.Table]:
    """As the `score` pipeline makes them, in one thread."""
    windows = pq.ParquetFile(fleet.windows_file, pre_buffer=False)
    models = (part.table for part in published.models.parts())
    sources = [
        (windows.schema_arrow, watch.items("windows", read_batches(windows))),
        (MODELS, watch.items("models", models)),
    ]
    for rows, table in watch.items("ranges", device_ranges(sources, {1})):
        model = FleetModel(table, published.models.info)
        with watch.step("fingerprints"):
            fingerprints = score.window_fingerprints(rows)
        with watch.step("table"):
            predicted = score.predict(rows, model, "1", 1, fingerprints)
        with watch.step("status"):
            score.fleet_status(rows, predicted, model)
        yield predicted


def start() -> float:
    """Seconds of a `kedro run` that has nothing to score yet: its windows are not closed."""
    with tempfile.TemporaryDirectory() as folder:
        fleet = make_fleet(Path(folder) / "tiny", 1)
        params = f"data={fleet.folder},at=2026-01-01T00:00Z"
        command = [sys.executable, "-m", "kedro", "run", "--pipelines=score", "--params", params]
        times = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            subprocess.run(command, cwd=PROJECT, check=True, capture_output=True)
            times.append(time.perf_counter() - began)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=int, default=100_000)
    parser.add_argument("--keep", type=Path, help="a folder for the fleet, kept and used again")
    parser.add_argument("--json", action="store_true", help="print one object")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    pa.set_cpu_count(1)
    place = nullcontext(str(arguments.keep)) if arguments.keep else tempfile.TemporaryDirectory()
    with place as folder:
        fleet = make_fleet(Path(folder).resolve() / str(arguments.models), arguments.models)
        rounds = [score_fleet(fleet) for _ in range(ROUNDS)]
    seconds = {name: statistics.median(one[name] for one in rounds) for name in STEPS if name != "start"}
    seconds = {"start": start()} | seconds
    if arguments.json:
        print(json.dumps({"models": arguments.models, "windows": WINDOWS, "seconds": seconds}, indent=2))
        return
    total = sum(seconds.values())
    print(f"{arguments.models:,} models, {WINDOWS} windows each, one core, median of {ROUNDS} rounds\n")
    print("| step | seconds | share | µs a model |")
    print("|---|---:|---:|---:|")
    for name, words in STEPS.items():
        micro = "" if name == "start" else f"{seconds[name] / arguments.models * 1e6:.2f}"
        print(f"| {words} | {seconds[name]:.3f} | {seconds[name] / total:.0%} | {micro} |")
    print(f"| all | {total:.3f} | | {(total - seconds['start']) / arguments.models * 1e6:.2f} |")


if __name__ == "__main__":
    main()
