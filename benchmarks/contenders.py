"""The contenders of `score_fleet.py`: how each is started, and that all of them give the same scores."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from fleets import PICKLED
from numpy.typing import NDArray
from timed_process import Finished, run
from workspace import AT, WINDOWS, Fleet

HERE = Path(__file__).parent
PROJECT = HERE.parent
IMPORTS = "import kedro.framework.session, pyarrow.parquet, numpy"
TOLERANCE = 1e-9
# Above it only what is within ours is measured in memory.
IN_MEMORY = 100_000

Scores = tuple[NDArray[np.float64], NDArray[np.bool_]]


@dataclass(frozen=True)
class Taken:
    """What a contender took, once; of the processor without the processes that joblib or Spark keep."""

    seconds: float
    cpu_seconds: float
    peak_gib: float

    @classmethod
    def of(cls, finished: Finished) -> Taken:
        """A whole process."""
        return cls(finished.seconds, finished.cpu_seconds, finished.peak_gib)


@dataclass(frozen=True)
class Contender:
    """One way to score a fleet, or a floor under all of them.

    Attributes
    ----------
    key, name : str
        For programs and for people.
    take : callable
        Runs it once.
    scores : callable, optional
        The scores and labels of all windows, or of the windows with pickles, that it left behind.
    is_slow : bool
        Whether it is run once rather than in every round.
    """

    key: str
    name: str
    take: Callable[[], Taken]
    scores: Callable[[], Scores] | None = None
    is_slow: bool = False


class Arena:
    """A fleet, a folder for what contenders leave behind, and the ways to score the one into the other.

    One process a model is measured on ``processes`` models, and the rest of the fleet is multiplied.
    """

    def __init__(self, fleet: Fleet, out: Path, processes: int) -> None:
        self.fleet = fleet
        self.out = out
        self.processes = processes
        self.cores = sorted(os.sched_getaffinity(0))

    def contenders(self, without: Sequence[str] = ()) -> list[Contender]:
        """Who takes part at this size; scikit-learn's loop comes first, the others are compared with it."""
        arrays, predictions = self._saved_scores, self._predictions
        n = len(self.cores)
        one = self.cores[:1]
        pickles = self._program("sklearn_pickles", "a.npz", cores=one, one_thread=True)
        found = [
            Contender("sklearn_pickles", "(a) scikit-learn, one pickle a model, 1 core", pickles, arrays("a"))
        ]
        if self.fleet.n_models <= PICKLED:
            bundle = self._program("joblib_bundle", "b.npz", with_children=True)
            found += [
                Contender("joblib_bundle", f"(b) joblib, one bundle, {n} cores", bundle, arrays("b")),
                Contender(
                    "spark", "(c) PySpark applyInPandas, whole job", self._spark, self._spark_scores, True
                ),
                Contender(
                    "process_per_model", "(d) a process a model", self._processes, self._process_scores, True
                ),
            ]
        is_in_memory = self.fleet.n_models <= IN_MEMORY
        if is_in_memory:
            found += [
                Contender(
                    "ours_one_core", "(e) ours in process, 1 core", self._memory("e1", one), arrays("e1")
                ),
                Contender("ours", f"(e) ours in process, {n} cores", self._memory("e"), arrays("e")),
                # Its scores are another detector's: there is nobody to compare them with.
                Contender(
                    "ours_combined_one_core", "(e) the same, combined detector, 1 core", self._combined(one)
                ),
                Contender(
                    "cold_job_combined",
                    f"(f) `kedro run`, combined detector, {n} cores",
                    self._kedro(combined=True),
                ),
            ]
        # The scores of a million models are compared at smaller sizes; here they would not fit into memory.
        scores = predictions if is_in_memory else None
        found += [
            Contender("ours_disk_one_core", "(e) disk to disk, 1 core", self._disk(one), scores),
            Contender("ours_disk", f"(e) disk to disk, {n} cores", self._disk(), scores),
            Contender("cold_job_one_core", "(f) `kedro run`, 1 core", self._kedro(one), scores),
        ]
        return [
            contender
            for contender in [
                *found,
                Contender("cold_job", f"(f) `kedro run`, {n} cores", self._kedro(), predictions),
                Contender("imports", "floor: bare imports", self._imports),
                Contender("read_bytes", "floor: reading the bytes", self._floor("bytes")),
                Contender("exp", "floor: np.exp of all pairs, 1 core", self._floor("exp")),
            ]
            if contender.key not in without
        ]

    def pickled_rows(self) -> NDArray[np.int64]:
        """The rows of the windows whose devices have a pickle."""
        numbers = sorted(int(path.stem.rpartition("-")[2]) for path in self.fleet.pickles.iterdir())
        return (np.array(numbers)[:, None] * WINDOWS + np.arange(WINDOWS)).ravel()

    def _program(self, module: str, *arguments: str, **how: object) -> Callable[[], Taken]:
        """A program that tells how long its work took, without its imports."""
        paths = [str(self.out / name) for name in arguments]

        def take() -> Taken:
            command = [sys.executable, "-m", f"competitors.{module}", str(self.fleet.folder), *paths]
            return _inner_time(command, **how)

        return take

    def _memory(self, name: str, cores: Sequence[int] | None = None) -> Callable[[], Taken]:
        command = [*_OURS, "memory", str(self.fleet.folder), str(self.out / f"{name}.npz")]
        return lambda: _inner_time(command, cores=cores)

    def _combined(self, cores: Sequence[int]) -> Callable[[], Taken]:
        command = [*_OURS, "combined", str(self.fleet.combined.folder)]
        return lambda: _inner_time(command, cores=cores)

    def _disk(self, cores: Sequence[int] | None = None) -> Callable[[], Taken]:
        def take() -> Taken:
            self.fleet.forget_scores()
            return _inner_time([*_OURS, "disk", str(self.fleet.folder)], cores=cores)

        return take

    def _kedro(self, cores: Sequence[int] | None = None, combined: bool = False) -> Callable[[], Taken]:
        fleet = self.fleet.combined if combined else self.fleet
        parameters = f"data={fleet.folder},at={AT}"
        command = [sys.executable, "-m", "kedro", "run", "--pipelines=score", "--params", parameters]

        def take() -> Taken:
            fleet.forget_scores()
            finished = run(command, PROJECT, cores=cores)
            return Taken.of(finished)

        return take

    def _spark(self) -> Taken:
        command = [
            sys.executable,
            "-m",
            "competitors.spark_job",
            str(self.fleet.folder),
            str(self.out / "spark"),
        ]
        finished = run(command, HERE, with_children=True)
        return Taken.of(finished)

    def _processes(self) -> Taken:
        """So many processes one after the other, multiplied to the whole fleet."""
        taken = []
        for device in self._some_devices():
            out = self.out / f"{device}.parquet"
            command = [sys.executable, "-m", "competitors.process_per_model", str(self.fleet.folder), device]
            taken.append(run([*command, str(out)], HERE))
        times = self.fleet.n_models / len(taken)
        return Taken(
            times * sum(one.seconds for one in taken),
            times * sum(one.cpu_seconds for one in taken),
            max(one.peak_gib for one in taken),
        )

    def _imports(self) -> Taken:
        finished = run([sys.executable, "-c", IMPORTS], PROJECT)
        return Taken.of(finished)

    def _floor(self, what: str) -> Callable[[], Taken]:
        command = [sys.executable, "-m", "competitors.floors", what, str(self.fleet.folder)]
        return lambda: _inner_time(command, one_thread=True)

    def _some_devices(self) -> list[str]:
        return sorted(path.stem for path in self.fleet.pickles.iterdir())[: self.processes]

    def _saved_scores(self, name: str) -> Callable[[], Scores]:
        def read() -> Scores:
            saved = np.load(self.out / f"{name}.npz")
            return saved["scores"], saved["is_anomaly"]

        return read

    def _predictions(self) -> Scores:
        return _scores_of(self.fleet.predictions_file)

    def _spark_scores(self) -> Scores:
        return _scores_of(self.out / "spark")

    def _process_scores(self) -> Scores:
        both = [_scores_of(self.out / f"{device}.parquet") for device in self._some_devices()]
        return np.concatenate([scores for scores, _ in both]), np.concatenate([labels for _, labels in both])


_OURS = [sys.executable, "-m", "competitors.ours"]


def why_no_spark() -> str | None:
    """What is missing for PySpark, in words; None where nothing is."""
    if find_spec("pyspark") is None:
        return "PySpark is not installed (`pip install -e .[bench]`)"
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        return "there is no Java"
    return None


def difference(expected: Scores, found: Scores, rows: NDArray[np.int64]) -> float:
    """The largest difference of two contenders' scores; stop the program where they disagree.

    Parameters
    ----------
    expected : (scores, is_anomaly)
        Of the windows with pickles.
    found : (scores, is_anomaly)
        Of all windows, of those with pickles, or of the first of these.
    rows : array of int64
        Which of all windows those with pickles are.

    Raises
    ------
    ValueError
        When scores differ by more than 1e-9, or labels where the score is farther than that from 0.
    """
    scores, labels = found
    if scores.size > rows.size:
        scores, labels = scores[rows], labels[rows]
    wanted, wanted_labels = (one[: scores.size] for one in expected)
    worst = float(np.abs(scores - wanted).max())
    if not worst <= TOLERANCE:
        raise ValueError(f"its scores differ from scikit-learn's by up to {worst:.1e}")
    clear = np.abs(wanted) > TOLERANCE
    if not np.array_equal(labels[clear], wanted_labels[clear]):
        raise ValueError("its labels differ from scikit-learn's")
    return worst


def _inner_time(command: Sequence[str], **how: object) -> Taken:
    finished = run(command, HERE, **how)  # type: ignore[arg-type]
    took = json.loads(finished.output.splitlines()[-1])
    return Taken(took["seconds"], took["cpu_seconds"], finished.peak_gib)


def _scores_of(path: Path) -> Scores:
    """The scores and labels of predictions, sorted by device and time."""
    table = pq.read_table(path, columns=["device", "window_start", "score", "is_anomaly"])
    table = table.sort_by([("device", "ascending"), ("window_start", "ascending")])
    return table["score"].to_numpy(), table["is_anomaly"].to_numpy()
