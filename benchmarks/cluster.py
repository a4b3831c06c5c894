"""What a job costs beside scoring in process: by the engines `local` and `dask`, on this machine.

    python benchmarks/cluster.py           # a table
    python benchmarks/cluster.py --json    # one JSON object

One fleet, one scheduled time, one job per sensor. In process, the pipeline `score` is called sensor by
sensor in one Python that has imported all. By an engine, the same sensors are a run of jobs, one at a time
(one process, one worker of one thread), timed from the submission to the end of the last job.

`local_overhead_seconds_per_job`, `dask_overhead_seconds_per_job`: what a job takes more, median of rounds
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

PROJECT = Path(__file__).parents[1]
SENSORS = ["temperature", "vibration", "pressure", "power", "vibration_gear"]
AT = datetime(2026, 2, 1, tzinfo=UTC)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sensors", type=int, default=5, choices=range(1, len(SENSORS) + 1))
    parser.add_argument("--devices", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    os.environ["DO_NOT_TRACK"] = "1"
    with tempfile.TemporaryDirectory(prefix="batch_scoring_bench_") as folder:
        figures = measure(Path(folder), arguments.sensors, arguments.devices, arguments.rounds)
    if arguments.json:
        print(json.dumps(figures, indent=2))
        return
    for name, value in figures.items():
        print(f"{name:32} {value:10.3f}" if isinstance(value, float) else f"{name:32} {value:>10}")


def measure(folder: Path, sensors: int, devices: int, rounds: int) -> dict[str, float | int]:
    """All figures; every way of scoring in every round, and the predictions of all compared."""
    data = folder / "data"
    names = SENSORS[:sensors]
    make_fleet(data, names, devices)
    ways: dict[str, Callable[[Path], float]] = {"in_process": InProcess(names), "local": on("local")}
    with DaskWorker(folder) as address:
        ways["dask"] = on("dask", address)
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(rounds + 1):
            found = {}
            for name, score in ways.items():
                place = folder / "scored"
                shutil.copytree(data, place)
                took = score(place)
                found[name] = predictions(place)
                shutil.rmtree(place)
                if turn:  # the first round fetches files and memory
                    seconds[name].append(took)
            if any(files != found["in_process"] for files in found.values()):
                sys.exit("the predictions differ, so no figures are printed")
    overheads = {
        f"{name}_overhead_seconds_per_job": median(
            (mine - theirs) / sensors
            for mine, theirs in zip(seconds[name], seconds["in_process"], strict=True)
        )
        for name in ("local", "dask")
    }
    medians = {f"{name}_seconds_per_job": median(took) / sensors for name, took in seconds.items()}
    return overheads | medians | {"jobs": sensors, "devices": devices, "rounds": rounds}


def make_fleet(data: Path, sensors: list[str], devices: int) -> None:
    """A trained fleet whose windows are not scored yet."""
    params = f"data={data},simulate.devices={devices},simulate.days=2,simulate.sensors=[{','.join(sensors)}]"
    params += f",train.fit.max_train_windows=200,at={AT:%Y-%m-%dT%H:%MZ}"
    command = [sys.executable, "-m", "kedro", "run", "--pipelines=simulate,ingest,aggregate,train"]
    subprocess.run([*command, "--params", params], cwd=PROJECT, check=True, capture_output=True)


class InProcess:
    """Calls `kedro run --pipelines=score` sensor by sensor, in this process."""

    def __init__(self, sensors: list[str]) -> None:
        self.sensors = sensors

    def __call__(self, data: Path) -> float:
        import logging

        from kedro.framework.session import KedroSession
        from kedro.framework.startup import bootstrap_project

        bootstrap_project(PROJECT)
        logging.disable(logging.INFO)
        began = time.perf_counter()
        for sensor in self.sensors:
            params = {"data": str(data), "at": f"{AT:%Y-%m-%dT%H:%MZ}", "sensor": [sensor]}
            with KedroSession.create(project_path=PROJECT, runtime_params=params) as session:
                session.run(pipeline_names=["score"])
        return time.perf_counter() - began


def on(engine: str, address: str | None = None) -> Callable[[Path], float]:
    """A function that scores a workspace by an engine, one job at a time, and tells the seconds."""

    def score(data: Path) -> float:
        from batch_scoring.jobs import scheduler
        from batch_scoring.jobs.backends import open_backend
        from batch_scoring.jobs.backends.dask.settings import DaskSettings
        from batch_scoring.jobs.records import Records
        from batch_scoring.jobs.settings import JobsParameters, LocalSettings
        from batch_scoring.jobs.specs import State
        from batch_scoring.jobs.workspace import Workspace

        settings = JobsParameters(
            backend=engine, local=LocalSettings(processes=1), dask=DaskSettings(scheduler=address)
        )
        backend = open_backend(str(data), None, settings, PROJECT)
        backend.ensure()
        began = time.perf_counter()
        (done,) = scheduler.submit(backend, Workspace(str(data)), Records(str(data)), "score", AT, settings)
        ended = scheduler.wait(backend, done.run, pause=0.02)
        took = time.perf_counter() - began
        if bad := [one for one in ended if one.state is not State.SUCCEEDED]:
            sys.exit(f"{engine}: {bad[0].name}: {bad[0].reason}")
        if address is not None:
            backend.delete(done.run)
            backend.close()  # type: ignore[attr-defined]
        return took

    return score


class DaskWorker:
    """A Dask scheduler and a worker of one thread, each a process of this machine."""

    def __init__(self, folder: Path) -> None:
        self.file, self.folder = folder / "scheduler.json", folder
        self.processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> str:
        here = ("--host", "127.0.0.1", "--no-dashboard")
        self._start("dask_scheduler", *here, "--port", "0", "--no-show", "--scheduler-file", str(self.file))
        while not (self.file.is_file() and self.file.read_text().endswith("}")):
            time.sleep(0.05)
        address = str(json.loads(self.file.read_text())["address"])
        one = ("--no-nanny", "--nthreads", "1", "--local-directory", str(self.folder))
        self._start("dask_worker", address, *here, *one)
        return address

    def __exit__(self, *_: object) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()

    def _start(self, module: str, *arguments: str) -> None:
        command = [sys.executable, "-m", f"distributed.cli.{module}", *arguments]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.processes.append(subprocess.Popen(command, cwd=PROJECT, **quiet))  # type: ignore[call-overload]


def predictions(data: Path) -> dict[str, bytes]:
    """The files of predictions, by name."""
    folder = data / "07_model_output/predictions"
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*.parquet"))}


if __name__ == "__main__":
    main()
