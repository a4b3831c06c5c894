"""How long a container takes from its start to its first prediction, beside bare imports in its image."""

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
from pathlib import Path

PROJECT = Path(__file__).parents[1]
sys.path[:0] = [str(PROJECT), str(PROJECT / "src")]

from tests.emulators import containers  # noqa: E402
from tests.emulators.containers import HARDENED, HOME, Podman, build_options  # noqa: E402

BOUND = 2.5
IMAGE = "localhost/batch-scoring:bench"
FLOOR = "import kedro.framework.session, pyarrow.parquet, numpy"
FLEET = "simulate.devices=4,simulate.days=2,simulate.sensors=[temperature,vibration],at=2026-02-01T00:00Z"
EMPTY, IMPORTS, SCORE = (
    "container that does nothing",
    f'python -c "{FLOOR}"',
    "score, to the first prediction",
)
WHOLE = "score, to the end of its container, 4,608 windows"


def kedro(*arguments: str, podman: Podman | None = None) -> None:
    environment = os.environ | {"DO_NOT_TRACK": "1"} | (podman.environment if podman else {})
    done = subprocess.run(
        [sys.executable, "-m", "kedro", *arguments],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)


def start(podman: Podman, data: Path, *command: str) -> subprocess.Popen:
    """A container as a node of a cluster runs it."""
    options = [*HARDENED, "--rm", "--network=none", f"--volume={data}:/data"]
    return podman.start("run", *options, IMAGE, *command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def seconds_until(process: subprocess.Popen, began: float, has_happened: Callable[[], bool]) -> float:
    while not has_happened():
        if process.poll() is not None:
            sys.exit(f"the container ended too early:\n{process.stdout.read().decode()}")
        time.sleep(0.002)
    return time.perf_counter() - began


def ended(process: subprocess.Popen) -> None:
    output = process.communicate()[0].decode()
    if process.returncode != 0:
        sys.exit(output)


def says(podman: Podman, data: Path, *command: str) -> float:
    """Seconds until a container has said its first word."""
    began = time.perf_counter()
    process = start(podman, data, *command)
    process.stdout.read(1)
    seconds = time.perf_counter() - began
    ended(process)
    return seconds


def scores(podman: Podman, data: Path) -> tuple[float, float]:
    """Seconds until the first prediction is in the workspace, and until the container has ended."""
    predictions = data / "07_model_output/predictions"
    shutil.rmtree(data / "07_model_output", ignore_errors=True)
    shutil.rmtree(data / "09_jobs", ignore_errors=True)
    job = ["--data=/data", "--run=r", "--job=j", "--", "--pipelines=score", f"--params=data=/data,{FLEET}"]
    began = time.perf_counter()
    process = start(podman, data, "score", *job)
    first = seconds_until(process, began, lambda: any(predictions.glob("*/*.parquet")))
    ended(process)
    return first, time.perf_counter() - began


def measure(podman: Podman, data: Path, rounds: int) -> dict[str, list[float]]:
    """All cases in turn, so that a busy moment of the machine hits all of them."""
    taken: dict[str, list[float]] = {EMPTY: [], IMPORTS: [], SCORE: [], WHOLE: []}
    for number in range(rounds + 1):
        empty = says(podman, data, "sh", "-c", "echo 1")
        imports = says(podman, data, "python", "-c", f"{FLOOR}; print(1, flush=True)")
        first, whole = scores(podman, data)
        if number > 0:  # the first round fills the caches of the disk
            for case, seconds in zip(taken, (empty, imports, first, whole), strict=True):
                taken[case].append(seconds)
    return taken


def rows(taken: dict[str, list[float]]) -> list[dict[str, object]]:
    """Medians, and the ratios of each round to its imports: with the container's own start, and without."""
    made = []
    for case, times in taken.items():
        together = list(zip(times, taken[IMPORTS], taken[EMPTY], strict=True))
        made.append(
            {
                "case": case,
                "median_seconds": statistics.median(times),
                "best_seconds": min(times),
                "ratio": statistics.median(one / floor for one, floor, _ in together),
                "ratio_without_container": statistics.median(
                    (one - empty) / (floor - empty) for one, floor, empty in together
                ),
            }
        )
    return made


def to_markdown(table: list[dict[str, object]], rounds: int) -> str:
    """The table a person reads."""
    keys = ("median_seconds", "best_seconds", "ratio", "ratio_without_container")
    return "\n".join(
        [
            f"{os.cpu_count()} cores, Linux {platform.release()}, {rounds} rounds of all cases in turn. "
            f"The bound is {BOUND} times the imports.",
            "",
            "| from the start of its container | median s | best s | × imports | × without the container |",
            "|---|---|---|---|---|",
            *(
                f"| {row['case']} | " + " | ".join(f"{max(0.0, row[key]):.2f}" for key in keys) + " |"
                for row in table
            ),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="how often each case is run (9)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    arguments = parser.parse_args()
    if reason := containers.why_not_there():
        sys.exit(reason)
    podman = Podman(HOME / "builder")
    podman.import_base()
    kedro("deploy", "image", "build", "--tag=bench", "--", *build_options(), podman=podman)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        data.chmod(0o755)
        kedro("run", "--pipelines=simulate,ingest,aggregate,train", "--params", f"data={data},{FLEET}")
        subprocess.run(["chown", "-R", "10001:10001", str(data)], check=True)
        table = rows(measure(podman, data, arguments.rounds))
    ratio = next(row["ratio"] for row in table if row["case"] == SCORE)
    print(
        json.dumps({"first_prediction_over_imports": ratio, "rows": table}, indent=2)
        if arguments.json
        else to_markdown(table, arguments.rounds)
    )


if __name__ == "__main__":
    main()
