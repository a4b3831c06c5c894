"""Scoring a fleet in every way there is, side by side, on the same models and windows.

    python benchmarks/score_fleet.py                 # 1,000, 10,000 and 100,000 models
    python benchmarks/score_fleet.py --short         # 1,000 and 10,000, a few minutes
    python benchmarks/score_fleet.py --full --json   # a million too: 9 GB of disk, half an hour

See benchmarks/README.md for what each row and figure means. The scores of all contenders are compared
with scikit-learn's before anything is printed; where they differ by more than 1e-9 the program stops.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from combined_fleet import write_combined
from contenders import IN_MEMORY, Arena, Taken, difference, why_no_spark
from figures import Figure, print_figures
from fleets import PICKLED, Bases, make_fleet

SHORT, DEFAULT, MILLION = (1_000, 10_000), (1_000, 10_000, 100_000), 1_000_000
# A job of a million models takes so long that fewer rounds tell enough.
ROUNDS_OF_A_MILLION = 3


FIGURES = (
    Figure("sklearn_loop_over_ours", "scikit-learn's loop over ours, in process, 1 core (a / e)", 60, True),
    Figure("sklearn_loop_over_combined", "the same with the combined detector", 60, True),
    Figure("spark_over_ours", "Spark's whole job over ours (c / f)", 10, True),
    Figure("cold_job_over_imports", "our whole job over its bare imports (f / floor)", 2.5, False),
    Figure("cold_job_combined_over_imports", "the same with the combined detector", 2.5, False),
    Figure("growth_10x", "a million models over a hundred thousand (f / f)", 11, False),
    Figure("peak_rss_gib", "memory of the job of a million models, GiB (f)", 2, False),
    Figure("parallel_speedup", "one core over all cores, disk to disk in process (e / e)", 1.8, True),
    Figure("parallel_speedup_cold_job", "the same, whole job with its imports (f / f)", 1.8, True),
)


# Ratios that processor time tells, too.
OF_PROCESSOR = (
    "sklearn_loop_over_ours",
    "sklearn_loop_over_combined",
    "cold_job_over_imports",
    "cold_job_combined_over_imports",
    "growth_10x",
)

Clock = Callable[[Taken], float]


def _seconds(taken: Taken) -> float:
    return taken.seconds


def _cpu_seconds(taken: Taken) -> float:
    return taken.cpu_seconds


def _median(taken: Sequence[Taken], clock: Clock) -> float:
    return statistics.median(map(clock, taken))


class Results:
    """What was taken, by size and contender; one process a model, on ``processes`` models."""

    def __init__(self, processes: int) -> None:
        self.processes = processes
        self.taken: dict[int, dict[str, list[Taken]]] = {}
        self.names: dict[str, str] = {}
        self.largest_difference = 0.0

    def ratio(self, size: int | None, above: str, below: str, clock: Clock) -> float | None:
        """The median over the rounds of one contender's time over another's; None where one is missing."""
        at = self.taken.get(size or 0, {})
        if above not in at or below not in at:
            return None
        # What ran once is held against the median of the other.
        if len(at[above]) != len(at[below]):
            return _median(at[above], clock) / _median(at[below], clock)
        return statistics.median(clock(a) / clock(b) for a, b in zip(at[above], at[below], strict=True))

    def figures(self, clock: Clock = _seconds) -> tuple[dict[str, float | None], dict[str, int]]:
        """All figures, and the number of models each was measured at; ratios are of what ``clock`` says."""

        def ratio(size: int | None, above: str, below: str) -> float | None:
            return self.ratio(size, above, below, clock)

        small = max((n for n in self.taken if n <= PICKLED), default=None)
        large = max((n for n, at in self.taken.items() if "ours_disk_one_core" in at), default=None)
        speedups = {
            "parallel_speedup": "ours_disk",
            "parallel_speedup_in_process": "ours_disk",
            "parallel_speedup_cold_job": "cold_job",
        }
        million = self.taken.get(MILLION, {}).get("cold_job")
        tenth = self.taken.get(MILLION // 10, {}).get("cold_job")
        found = {
            "sklearn_loop_over_ours": (ratio(small, "sklearn_pickles", "ours_one_core"), small),
            "sklearn_loop_over_combined": (
                ratio(small, "sklearn_pickles", "ours_combined_one_core"),
                small,
            ),
            "spark_over_ours": (ratio(small, "spark", "cold_job"), small),
            "cold_job_combined_over_imports": (ratio(small, "cold_job_combined", "imports"), small),
            "cold_job_over_imports": (ratio(small, "cold_job", "imports"), small),
            "growth_10x": (
                _median(million, clock) / _median(tenth, clock) if million and tenth else None,
                MILLION,
            ),
            "peak_rss_gib": (max(one.peak_gib for one in million) if million else None, MILLION),
        }
        found |= {key: (ratio(large, f"{one}_one_core", one), large) for key, one in speedups.items()}
        values = {key: value for key, (value, _) in found.items()}
        return values, {key: size for key, (value, size) in found.items() if value is not None and size}

    def rows(self) -> list[dict[str, object]]:
        """One row for each size and contender."""
        return [
            {
                "models": size,
                "contender": key,
                "name": self.names[key],
                "seconds": _median(taken, _seconds),
                "best_seconds": min(one.seconds for one in taken),
                "cpu_seconds": _median(taken, _cpu_seconds),
                "ms_per_model": _median(taken, _seconds) / size * 1e3,
                "peak_gib": max(one.peak_gib for one in taken),
                "rounds": len(taken),
                "measured_on": min(self.processes, size) if key == "process_per_model" else size,
            }
            for size, contenders in self.taken.items()
            for key, taken in contenders.items()
        ]


def measure(size: int, folder: Path, results: Results, rounds: int, without: Sequence[str]) -> None:
    """Run every contender once and compare their scores, then all of them in turn, round by round."""
    _say(f"{size:,} models: making them")
    fleet = make_fleet(folder / str(size), size)
    if size <= IN_MEMORY and not fleet.combined.folder.exists():
        write_combined(fleet, Bases())
    arena = Arena(fleet, _made(folder / f"out-{size}"), results.processes)
    contenders = arena.contenders(without)
    reference, others = contenders[0], contenders[1:]
    rows = arena.pickled_rows()
    taken = results.taken[size] = {}
    results.names |= {contender.key: contender.name for contender in contenders}
    first = {reference.key: reference.take()}
    assert reference.scores is not None
    expected = reference.scores()
    for contender in others:
        _say(f"{size:,} models: {contender.name}")
        first[contender.key] = contender.take()
        if contender.scores is not None:
            try:
                worst = difference(expected, contender.scores(), rows)
            except ValueError as error:
                sys.exit(f"{size:,} models, {contender.name}: {error}")
            results.largest_difference = max(results.largest_difference, worst)
    # A larger fleet has pickles of a few devices only, to compare with: no way to score all of it.
    timed = contenders if size <= PICKLED else others
    for contender in timed:
        taken[contender.key] = [first[contender.key]] if contender.is_slow or not rounds else []
    for number in range(rounds):
        _say(f"{size:,} models: round {number + 1} of {rounds}")
        for contender in timed:
            if not contender.is_slow:
                taken[contender.key].append(contender.take())


def print_tables(results: Results) -> None:
    """For people: the rows, then each figure beside its bound."""
    print(f"Python {platform.python_version()}, {len(os.sched_getaffinity(0))} cores, {_versions()}")
    print(f"largest difference of a score from scikit-learn's: {results.largest_difference:.1e}\n")
    print("| models | contender | seconds | ms a model | peak GiB | rounds |")
    print("|---:|---|---:|---:|---:|---:|")
    for row in results.rows():
        note = ""
        if row["measured_on"] != row["models"]:
            note = f", measured on {row['measured_on']} and extrapolated"
        numbers = (
            f"{row['seconds']:.3f} | {row['ms_per_model']:.4f} | {row['peak_gib']:.2f} | {row['rounds']}"
        )
        print(f"| {row['models']:,} | {row['name']}{note} | {numbers} |")
    values, sizes = results.figures()
    print_figures(FIGURES, values, sizes, "models")


def to_json(results: Results, left_out: Sequence[str]) -> str:
    """One object: the figures by key, and all there is behind them."""
    values, sizes = results.figures()
    of_processor, _ = results.figures(_cpu_seconds)
    more = {
        "measured_at": sizes,
        # A busy machine changes them less; of two cores they say nothing.
        "ratios_of_processor_time": {key: of_processor[key] for key in OF_PROCESSOR},
        "largest_difference": results.largest_difference,
        "left_out": list(left_out),
        "cores": len(os.sched_getaffinity(0)),
        "versions": _versions(),
        "rows": results.rows(),
    }
    return json.dumps(values | more, indent=2)


def _versions() -> str:
    names = ("scikit-learn", "numpy", "pyarrow", "joblib", "pyspark")
    there = [name for name in names if find_spec(name.replace("scikit-learn", "sklearn"))]
    return ", ".join(f"{name} {version(name)}" for name in there)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--short", action="store_true", help="1,000 and 10,000 models only")
    sizes.add_argument("--full", action="store_true", help="a million models too")
    sizes.add_argument("--sizes", help="these numbers of models, such as 500,5000")
    parser.add_argument(
        "--rounds", type=int, default=5, help="how often each is timed (5); 0: the first time counts"
    )
    parser.add_argument(
        "--processes", type=int, default=10, help="on how many models a process a model is measured (10)"
    )
    parser.add_argument("--without", default="", help="contenders to leave out, such as spark,joblib_bundle")
    parser.add_argument("--keep", type=Path, help="a folder for the fleets, kept and used again")
    parser.add_argument("--json", action="store_true", help="print one object instead of tables")
    return parser.parse_args()


def main() -> None:
    arguments = _read_arguments()
    sizes = SHORT if arguments.short else (*DEFAULT, MILLION) if arguments.full else DEFAULT
    if arguments.sizes:
        sizes = tuple(int(text) for text in arguments.sizes.split(","))
    without = [name for name in arguments.without.split(",") if name]
    if "spark" not in without and (reason := why_no_spark()) is not None:
        _say(f"Spark is left out: {reason}")
        without.append("spark")
    results = Results(arguments.processes)
    place: AbstractContextManager[str | Path] = (
        nullcontext(_made(arguments.keep)) if arguments.keep else tempfile.TemporaryDirectory()
    )
    with place as folder:
        for size in sizes:
            rounds = min(arguments.rounds, ROUNDS_OF_A_MILLION) if size >= MILLION else arguments.rounds
            measure(size, Path(folder).resolve(), results, rounds, without)
    if arguments.json:
        print(to_json(results, without))
    else:
        print_tables(results)


if __name__ == "__main__":
    main()
