"""Whole runs of the real command on small fleets, each in a folder of its own."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scoring.storage import open_folder

PROJECT = Path(__file__).parents[2]

# Four devices, two days, every kind of trouble: a run takes seconds.
SMALL_FLEET = (
    "simulate.devices=4,simulate.days=2,simulate.sensors=[temperature,vibration],"
    "train.fit.max_train_windows=200,at=2026-02-01T00:00Z"
)


@dataclass(frozen=True)
class Workspace:
    """A data folder, and the commands that work on it.

    Attributes
    ----------
    folder : Path
        What ``--params data=`` names; of :class:`BlobWorkspace` a URL.
    params : str
        More of ``--params``, for every run.
    """

    folder: Path | str
    params: str = SMALL_FLEET

    def command(self, pipelines: str = "", params: str = "") -> list[str]:
        """The ``kedro run`` command line."""
        every = ",".join(part for part in (f"data={self.folder}", self.params, params) if part)
        return [
            *(sys.executable, "-m", "kedro", "run", "--params", every),
            *(["--pipelines", pipelines] if pipelines else []),
        ]

    def start(self, pipelines: str = "", params: str = "") -> subprocess.Popen[str]:
        """Start ``kedro run`` in a process group of its own."""
        return subprocess.Popen(
            self.command(pipelines, params),
            cwd=PROJECT,
            env=os.environ | {"DO_NOT_TRACK": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, pipelines: str = "", params: str = "", expect: int = 0) -> str:
        """Run ``kedro run`` to its end; what it printed."""
        process = self.start(pipelines, params)
        output, _ = process.communicate(timeout=300)
        assert process.returncode == expect, output
        return output

    def kedro(self, *arguments: str, expect: int = 0) -> str:
        """Run another kedro command; what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "kedro", *arguments],
            cwd=PROJECT,
            env=os.environ | {"DO_NOT_TRACK": "1"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout + done.stderr

    def table(self, name: str) -> pa.Table:
        """All rows of a table such as ``07_model_output/predictions``."""
        return pa.concat_tables(
            [pq.read_table(path) for path in sorted(Path(self.folder, name).rglob("*.parquet"))]
        )

    def files(self, *names: str) -> dict[str, str]:
        """The SHA-256 of every file below these folders, by relative path."""
        return {
            str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for name in names
            for path in sorted(Path(self.folder, name).rglob("*"))
            if path.is_file()
        }


class BlobWorkspace(Workspace):
    """A workspace in a container: ``folder`` is its URL as text, and all runs are of ``--env=azure``."""

    def command(self, pipelines: str = "", params: str = "") -> list[str]:
        """The ``kedro run`` command line."""
        return [*super().command(pipelines, params), "--env", "azure"]

    def table(self, name: str) -> pa.Table:
        """All rows of a table such as ``07_model_output/predictions``."""
        folder = open_folder(f"{self.folder}/{name}")
        return pa.concat_tables(
            [pq.read_table(folder.local_copy(entry.name)) for entry in folder.entries(".parquet")]
        )

    def files(self, *names: str) -> dict[str, str]:
        """The SHA-256 of every blob below these folders, by relative path."""
        folders = {name: open_folder(f"{self.folder}/{name}") for name in names}
        return {
            f"{name}/{entry.name}": hashlib.sha256(folder.read(entry.name)[0]).hexdigest()
            for name, folder in folders.items()
            for entry in folder.entries()
        }


# What must be the same bytes after any history. MLflow's own store and the manifest hold run ids
# and times, and the ledger of sources holds the files' times of change.
DATA = (
    "01_raw",
    "02_intermediate/readings",
    "02_intermediate/quarantine",
    "03_primary",
    "07_model_output",
)
