"""A workspace that `kedro run` works in hour by hour, the readings it is given, and states to go back to."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile

import timed_process

PROJECT = Path(__file__).parents[1]
HOURLY = ("ingest", "aggregate", "score", "incidents", "monitor", "report")
STEPS = ("start", *HOURLY, "end")
# A reader may look twice at a file that changed within the tick of a clock; those of a fleet are older.
FILES_AGE = 3
KEDRO = [sys.executable, "-m", "kedro"]
# The nodes' beginnings and ends with their times, on standard output; with it the log of the product.
_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(created).3f %(message)s"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "plain", "stream": "ext://sys.stdout"}
    },
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {name: {"level": "INFO"} for name in ("batch_scoring", "kedro.pipeline.node", "kedro.runner")},
}


@dataclass(frozen=True)
class Cycle:
    """A run of some pipelines, as a process of its own.

    Attributes
    ----------
    seconds : float
        From the start of the process to its end.
    cpu_seconds : float
        Of the processor.
    steps : dict of str to float
        Seconds of each pipeline; ``start`` until the first node, ``end`` after the last.
    peak_gib : float
    written_bytes : int
        See :class:`timed_process.Finished`.
    windows : int
        Scored, by its own log.
    """

    seconds: float
    cpu_seconds: float
    steps: dict[str, float]
    peak_gib: float
    written_bytes: int
    windows: int


class Site:
    """A folder with a workspace, ``data``, and the readings it is given, ``readings``.

    All states of the workspace are measured in the same place, with the same paths.

    Parameters
    ----------
    folder : path
        Kept from run to run. What the product has made in it is thrown away when its code has changed;
        source files stay.
    code : str, optional
        Digest of the product's code; None takes what is there, whatever made it.
    """

    def __init__(self, folder: Path, code: str | None) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.readings = folder / "readings"
        self.sources = folder / "sources"
        self.sources.mkdir(parents=True, exist_ok=True)
        made_by = folder / "made_by"
        if code is not None and not (made_by.exists() and made_by.read_text() == code):
            for name in ("data", "states"):
                shutil.rmtree(folder / name, ignore_errors=True)
            made_by.write_text(code)

    def give(self, files: Iterable[Path]) -> None:
        """Make these files the readings. They are linked: that touches no file, as a move would."""
        shutil.rmtree(self.readings, ignore_errors=True)
        self.readings.mkdir()
        for file in files:
            (self.readings / file.name).symlink_to(file)

    def run(
        self,
        at: datetime,
        pipelines: Iterable[str] = HOURLY,
        readings: Path | None = None,
        with_children: bool = False,
        parameters: str = "",
    ) -> Cycle:
        """Run these pipelines in a fresh process, with ``at`` as the scheduled time."""
        chosen = f"data={self.data},readings={readings or self.readings},at={at:%Y-%m-%dT%H:%MZ}"
        chosen += ",aggregate.window=5m"  # also of fleets that send as rarely
        command = [*KEDRO, "run", f"--pipelines={','.join(pipelines)}", "--params", f"{chosen}{parameters}"]
        _wait_until_old(readings or self.readings)
        # What was written before is not to be waited for in the time of this run.
        os.sync()
        with NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(_LOGGING, file)
            file.flush()
            variables = {"KEDRO_LOGGING_CONFIG": file.name}
            done = timed_process.run(command, PROJECT, with_children=with_children, variables=variables)
        steps = steps_of(done.output, done.began, done.began + done.seconds, pipelines_of_nodes())
        windows = windows_scored(done.output)
        return Cycle(done.seconds, done.cpu_seconds, steps, done.peak_gib, done.written_bytes, windows)

    def save(self, state: str, notes: object = None) -> None:
        """Keep the workspace as it is under a name, with notes."""
        place = self.folder / "states" / state
        _copy(self.data, place / "data")
        (place / "notes.json").write_text(json.dumps(notes))

    def notes(self, state: str) -> object:
        """What was noted with a state; ValueError where there is no such state."""
        place = self.folder / "states" / state / "notes.json"
        if not place.exists():
            raise ValueError(f"state {state!r} is not there")
        return json.loads(place.read_text())

    def has(self, state: str) -> bool:
        """Whether a state was kept."""
        return (self.folder / "states" / state / "notes.json").exists()

    def restore(self, state: str) -> None:
        """Bring the workspace back to a state."""
        _copy(self.folder / "states" / state / "data", self.data)


def steps_of(log: str, began: float, ended: float, pipeline_of: Mapping[str, str]) -> dict[str, float]:
    """Split the time of a run among its pipelines.

    Parameters
    ----------
    log : str
        Kedro's lines "Running node: …" and "Completed node: …", each after its time in seconds since
        the epoch.
    began, ended : float
        Of the process, seconds since the epoch.
    pipeline_of : mapping of node to pipeline

    Returns
    -------
    dict of str to float
        Seconds; a node takes from the end of the one before to its own, with reading and writing.
    """
    lines = re.findall(r"^(\d+\.\d+) (Running|Completed) node: ([^\s:]+)", log, re.MULTILINE)
    last = began
    steps: dict[str, float] = {}
    for moment, event, node in lines:
        if event == "Running" and steps:
            continue
        name = "start" if event == "Running" else pipeline_of.get(node, node)
        steps[name] = steps.get(name, 0) + float(moment) - last
        last = float(moment)
    return steps | {"end": ended - last}


def windows_scored(log: str) -> int:
    """The number of windows that a run says it has scored."""
    return sum(int(number.replace(",", "")) for number in re.findall(r"\b([\d,]+) windows? scored\b", log))


@cache
def pipelines_of_nodes() -> dict[str, str]:
    """The pipeline of every node of the hourly pipelines, by `kedro registry describe`."""
    found = {}
    for pipeline in HOURLY:
        command = [*KEDRO, "registry", "describe", pipeline]
        environment = os.environ | {"DO_NOT_TRACK": "1"}
        output = subprocess.run(
            command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True
        ).stdout
        found |= dict.fromkeys(re.findall(r"^- (\S+)", output, re.MULTILINE), pipeline)
    return found


def code_digest(project: Path = PROJECT) -> str:
    """A digest of the code and settings that make what is in a workspace."""
    digest = hashlib.sha256()
    files = [*project.glob("src/**/*.py"), *project.glob("src/**/*.c"), *project.glob("conf/base/*.yml")]
    for file in sorted(files):
        digest.update(f"{file.relative_to(project)}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _wait_until_old(readings: Path) -> None:
    """Wait until no file of readings is younger than a few seconds."""
    newest = max((entry.stat().st_ctime for entry in os.scandir(readings)), default=0)
    time.sleep(max(0.0, newest + FILES_AGE - time.time()))


def _copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    # `cp` keeps times, shares blocks where the file system can, and is quick with many files.
    subprocess.run(["cp", "-a", "--reflink=auto", source, target], check=True)
