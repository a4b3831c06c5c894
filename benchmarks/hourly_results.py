"""What the hourly runs took, the figures that are made of it, and how both are shown and written."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import timed_process
from figures import Figure, print_figures
from hourly_site import STEPS, Cycle

MILLION = 1_000_000

FIGURES = (
    Figure("hour_23_over_hour_1", "the 23rd hour of a day over its first", 1.2, False),
    Figure("hour_23_over_hour_1_50k", "the same with 50,000 series", 1.2, False),
    Figure("bytes_written_over_new", "bytes written in hour 23 over those of its source file", 6, False),
    Figure("polars_loop_over_cycle", "Polars and a scikit-learn loop over our hour 23", 3, True),
    Figure("robust_z_over_cycle", "Polars and a robust z-score over our hour 23", 0.3, True),
    Figure("history_90_days_over_0", "an hour with 90 days of history over one without", 1.3, False),
    Figure("known_files_over_one", "nothing new in many known files over one known file", 1.5, False),
    Figure("thousand_files_over_one", "`ingest` of 1,000 files over one file of the same rows", 3, False),
    Figure("hundred_sensors_over_one", "100 sensors over one with as many series", 1.5, False),
    Figure("million_over_50k", "hour 1 of 1,000,000 series over 50,000", 22, False),
    Figure("day_3_over_day_1", "hour 23 of the third day over that of the first", 1.3, False),
    Figure(
        "first_hour_over_hour_23", "the first hour of the third day over hour 23 of the first", 2.5, False
    ),
    Figure("million_peak_gib", "memory of all processes of that hour, GiB", 4, False),
)
# Which run over which, by case and name.
RATIOS = {
    "hour_23_over_hour_1": (("day", "hour 23"), ("day", "hour 1")),
    "hour_23_over_hour_1_50k": (("day of 50,000", "hour 23"), ("day of 50,000", "hour 1")),
    "polars_loop_over_cycle": (("day", "Polars + scikit-learn"), ("day", "hour 23")),
    "robust_z_over_cycle": (("day", "Polars + robust z"), ("day", "hour 23")),
    "history_90_days_over_0": (("history", "90 days"), ("history", "none")),
    "known_files_over_one": (("known files", "many"), ("known files", "one")),
    "thousand_files_over_one": (("small files", "1,000"), ("small files", "one")),
    "hundred_sensors_over_one": (("sensors", "100"), ("sensors", "one")),
    "million_over_50k": (("million", "1,000,000"), ("million", "50,000")),
    "day_3_over_day_1": (("days", "hour 71"), ("days", "hour 23")),
    "first_hour_over_hour_23": (("days", "hour 49"), ("days", "hour 23")),
}

Run = Cycle | timed_process.Finished


@dataclass
class Results:
    """What each run took, by case and name, round by round; and the hours of the days."""

    taken: dict[tuple[str, str], list[Run]] = field(default_factory=dict)
    sizes: dict[tuple[str, str], int] = field(default_factory=dict)
    hours: list[dict[str, Any]] = field(default_factory=list)
    new_bytes: int = 0

    def add(self, case: str, name: str, size: int, run: Run) -> None:
        """Note a run; ``size`` is its number of series, or of files where these are what differs."""
        self.taken.setdefault((case, name), []).append(run)
        self.sizes[case, name] = size

    def figures(
        self, clock: Callable[[Run], float] = lambda run: run.seconds
    ) -> tuple[dict[str, float | None], dict[str, int]]:
        """All figures, None where not measured, and the number of series or files of each.

        Ratios are of what ``clock`` says a run took.
        """
        values: dict[str, float | None] = {figure.key: None for figure in FIGURES}
        sizes = {}
        for key, (above, below) in RATIOS.items():
            if above in self.taken and below in self.taken:
                pairs = zip(self.taken[above], self.taken[below], strict=True)
                # Round by round: both met the same machine.
                values[key] = statistics.median(clock(a) / clock(b) for a, b in pairs)
                sizes[key] = self.sizes[above]
        if last := self.taken.get(("day", "hour 23")):
            values["bytes_written_over_new"] = (
                statistics.median(run.written_bytes for run in last) / self.new_bytes
            )
            sizes["bytes_written_over_new"] = self.sizes["day", "hour 23"]
        if million := self.taken.get(("million", "1,000,000")):
            values["million_peak_gib"] = max(run.peak_gib for run in million)
            sizes["million_peak_gib"] = MILLION
        return values, sizes

    def rows(self) -> list[dict[str, Any]]:
        """One row for each case and name."""
        return [
            {
                "case": case,
                "name": name,
                "size": self.sizes[case, name],
                "seconds": statistics.median(run.seconds for run in runs),
                "best_seconds": min(run.seconds for run in runs),
                "cpu_seconds": statistics.median(run.cpu_seconds for run in runs),
                "written_mb": statistics.median(run.written_bytes for run in runs) / 1e6,
                "peak_gib": max(run.peak_gib for run in runs),
                "rounds": len(runs),
            }
            for (case, name), runs in self.taken.items()
        ]


def hour_row(series: int, hour: int, cycles: Sequence[Cycle], file: Path) -> dict[str, Any]:
    """What an hour took; medians where it was run several times."""
    return {
        "series": series,
        "hour": hour,
        "seconds": statistics.median(cycle.seconds for cycle in cycles),
        "steps": {step: statistics.median(cycle.steps.get(step, 0.0) for cycle in cycles) for step in STEPS},
        "written_mb": statistics.median(cycle.written_bytes for cycle in cycles) / 1e6,
        "new_mb": file.stat().st_size / 1e6,
        "peak_gib": max(cycle.peak_gib for cycle in cycles),
    }


def print_tables(results: Results) -> None:
    """For people: the hours, the runs, then each figure beside its bound."""
    print(f"Python {platform.python_version()}, {len(os.sched_getaffinity(0))} cores, {versions()}\n")
    if results.hours:
        print(f"| series | hour | {' | '.join(STEPS)} | all, s | written MB | new MB | peak GiB |")
        print("|---:" * (len(STEPS) + 6) + "|")
    for row in results.hours:
        seconds = " | ".join(f"{row['steps'][step]:.2f}" for step in STEPS)
        sizes = f"{row['written_mb']:.0f} | {row['new_mb']:.1f} | {row['peak_gib']:.2f}"
        print(f"| {row['series']:,} | {row['hour']} | {seconds} | {row['seconds']:.2f} | {sizes} |")
    print("\n| case | | size | seconds | best | processor | written MB | peak GiB | rounds |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    for row in results.rows():
        times = f"{row['seconds']:.2f} | {row['best_seconds']:.2f} | {row['cpu_seconds']:.2f}"
        rest = f"{row['written_mb']:.0f} | {row['peak_gib']:.2f} | {row['rounds']}"
        print(f"| {row['case']} | {row['name']} | {row['size']:,} | {times} | {rest} |")
    values, sizes = results.figures()
    print_figures(FIGURES, values, sizes, "series or files")


def to_json(results: Results, left_out: Sequence[str]) -> str:
    """One object: the figures by key, and all there is behind them."""
    values, sizes = results.figures()
    of_processor, _ = results.figures(lambda run: run.cpu_seconds)
    more = {
        "measured_at": sizes,
        "ratios_of_processor_time": {key: of_processor[key] for key in RATIOS},
        "left_out": list(left_out),
        "cores": len(os.sched_getaffinity(0)),
        "versions": versions(),
        "rows": results.rows(),
        "hours": results.hours,
    }
    return json.dumps(values | more, indent=2)


def versions() -> str:
    names = ("kedro", "deltalake", "duckdb", "numpy", "pyarrow", "polars", "scikit-learn")
    there = [name for name in names if find_spec(name.replace("scikit-learn", "sklearn"))]
    return ", ".join(f"{name} {version(name)}" for name in there)
