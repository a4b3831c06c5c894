"""How long `kedro --help` and a scoring run take, as ratios over the imports they cannot do without."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from timed_process import user_environment

PROJECT = Path(__file__).parents[1]
BOUND = 2.5
KEDRO = [sys.executable, "-m", "kedro"]
FLOOR = "import kedro.framework.session, pyarrow.parquet, numpy"
START = "kedro run --pipelines=score, nothing to score"
FLEET = "simulate.devices=4,simulate.days=2,simulate.sensors=[temperature,vibration],at=2026-02-01T00:00Z"


@dataclass(frozen=True)
class Case:
    """A command that is timed, and what has to be done before each of its runs."""

    name: str
    command: list[str]
    prepare: Callable[[], None] = lambda: None


def run(command: list[str]) -> tuple[float, float]:
    """Seconds of wall clock and of processor that a command took; it must succeed."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=PROJECT, env=user_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    output = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{output}")
    return wall, usage.ru_utime + usage.ru_stime


def make_cases(folder: Path) -> list[Case]:
    """The floor first, then what is held against it."""

    def kedro_run(pipelines: str) -> list[str]:
        return [*KEDRO, "run", f"--pipelines={pipelines}", "--params", f"data={folder},{FLEET}"]

    def forget_scores() -> None:
        shutil.rmtree(folder / "07_model_output", ignore_errors=True)

    run(kedro_run("simulate,ingest,aggregate,train,score"))
    return [
        Case(f'python -c "{FLOOR}"', [sys.executable, "-c", FLOOR]),
        Case("kedro --help", [*KEDRO, "--help"]),
        Case(START, kedro_run("score")),
        Case("kedro run --pipelines=score, 4,608 windows", kedro_run("score"), forget_scores),
    ]


def measure(cases: list[Case], rounds: int) -> list[dict[str, object]]:
    """Run all cases in turn, ``rounds`` times, so that a busy moment of the machine hits all of them."""
    taken: list[list[tuple[float, float]]] = [[] for _ in cases]
    for number in range(rounds + 1):
        for case, times in zip(cases, taken, strict=True):
            case.prepare()
            seconds = run(case.command)
            if number > 0:  # the first round fills the caches of byte code and of the disk
                times.append(seconds)
    rows = []
    for case, times in zip(cases, taken, strict=True):
        # The ratio of each round, so that floor and case met the same machine.
        ratios = [wall / floor for (wall, _), (floor, _) in zip(times, taken[0], strict=True)]
        cpu_ratios = [cpu / floor for (_, cpu), (_, floor) in zip(times, taken[0], strict=True)]
        rows.append(
            {
                "case": case.name,
                "median_seconds": statistics.median(wall for wall, _ in times),
                "best_seconds": min(wall for wall, _ in times),
                "median_cpu_seconds": statistics.median(cpu for _, cpu in times),
                "median_ratio": statistics.median(ratios),
                "best_ratio": min(wall for wall, _ in times) / min(wall for wall, _ in taken[0]),
                "cpu_ratio": statistics.median(cpu_ratios),
            }
        )
    return rows


def to_markdown(rows: list[dict[str, object]], rounds: int) -> str:
    """The table a person reads."""
    lines = [
        f"Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"{rounds} rounds of all commands in turn. "
        f"The floor is the first row; the bound is {BOUND} times the floor.",
        "",
        "| command | median s | best s | processor s | × floor, median | best | processor |",
        "|---|---|---|---|---|---|---|",
    ]
    keys = ("median_seconds", "best_seconds", "median_cpu_seconds", "median_ratio", "best_ratio", "cpu_ratio")
    lines += [f"| `{row['case']}` | " + " | ".join(f"{row[key]:.2f}" for key in keys) + " |" for row in rows]
    return "\n".join(lines)


def to_json(rows: list[dict[str, object]]) -> str:
    """One object: the figure that the bound is about, then every row of the table."""
    start = next(row["median_ratio"] for row in rows if row["case"] == START)
    return json.dumps({"start_over_imports": start, "rows": rows}, indent=2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="how often each command is run (7)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(make_cases(Path(folder)), arguments.rounds)
    print(to_json(rows) if arguments.json else to_markdown(rows, arguments.rounds))


if __name__ == "__main__":
    main()
