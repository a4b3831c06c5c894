"""Whole runs of the real command on small fleets, each in a folder of its own."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from batch_scoring.storage import open_folder
from tests.end_to_end.warm_kedro import warm_kedro
from tests.made_once import made_once
from tests.mlflow_stores import copy_with_store, put_database

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
        What ``--params data=`` names; of :class:`RemoteWorkspace` a URL.
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
        return self._kedro(self.command(pipelines, params)[3:], expect)

    def kedro(self, *arguments: str, expect: int = 0) -> str:
        """Run another kedro command; what it printed."""
        return self._kedro(arguments, expect)

    @staticmethod
    def _kedro(arguments: Sequence[str], expect: int) -> str:
        code, output = warm_kedro().run(arguments)
        assert code == expect, output
        return output

    def table(self, name: str) -> pa.Table:
        """All rows of a table such as ``07_model_output/predictions``, as ``deltalake`` reads it."""
        address, options = open_folder(f"{self.folder}/{name}").delta_address()
        rows = DeltaTable(address, storage_options=options).to_pyarrow_table()
        rows = rows.drop_columns([one for one in rows.column_names if one == "date"])
        return rows.sort_by(
            [(one.name, "ascending") for one in rows.schema if not pa.types.is_nested(one.type)]
        )

    def rows(self, *names: str) -> dict[str, tuple[int, str]]:
        """The number of rows and a digest of all their columns of each of these tables there is."""
        tables = {name: self.table(name) for name in names if self.has(name)}
        return {name: (rows.num_rows, _digest(rows)) for name, rows in tables.items()}

    def has(self, name: str) -> bool:
        """Whether a table was written."""
        return open_folder(f"{self.folder}/{name}").entry("_delta_log/00000000000000000000.json") is not None

    def data(self) -> dict[str, Any]:
        """What must be the same after any history: the sources' bytes and the tables' rows."""
        return self.files("01_raw") | self.rows(*TABLES)

    def files(self, *names: str) -> dict[str, str]:
        """The SHA-256 of every file below these folders, by relative path."""
        return {
            str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for name in names
            for path in sorted(Path(self.folder, name).rglob("*"))
            if path.is_file()
        }

    def copy_to(self, folder: Path) -> Workspace:
        """Copy a workspace of local files, such that runs of the copy leave this one alone."""
        copy_with_store(Path(self.folder), folder, "06_models/mlflow/mlflow.db")
        return replace(self, folder=folder)


class Made(NamedTuple):
    """A finished workspace. Copy it to change it.

    Attributes
    ----------
    workspace : Workspace
    seconds : float
        Duration of the run that made it.
    output : str
        What that run printed.
    """

    workspace: Workspace
    seconds: float
    output: str


@pytest.fixture(scope="session")
def new_workspace(new_database: Path) -> Callable[..., Workspace]:
    """A function that makes a workspace in a folder, with an MLflow database: to make one takes seconds."""

    def make(folder: Path, params: str = SMALL_FLEET) -> Workspace:
        put_database(new_database, folder / "06_models")
        return Workspace(folder, params)

    return make


_PIPELINES = {"windows": "simulate,ingest,aggregate", "trained": "train", "scored": "score", "whole": ""}
_FROM = {"trained": "windows", "scored": "trained"}


@pytest.fixture(scope="session")
def small_fleet(
    tmp_path_factory: pytest.TempPathFactory, new_workspace: Callable[..., Workspace]
) -> Callable[[str], Made]:
    """Workspaces of the small fleet by how far they got: ``windows``, ``trained``, ``scored`` or ``whole``.

    All but the last have an MLflow database from the beginning; a whole run creates its own.
    """

    def make(folder: Path) -> None:
        stage, workspace = folder.name, Workspace(folder / "data")
        if stage == "windows":
            new_workspace(workspace.folder)
        if stage in _FROM:
            get(_FROM[stage]).workspace.copy_to(workspace.folder)
        began = time.monotonic()
        output = workspace.run(_PIPELINES[stage])
        log = {"seconds": time.monotonic() - began, "output": output}
        (folder / "log.json").write_text(json.dumps(log))

    def get(stage: str) -> Made:
        folder = made_once(tmp_path_factory, stage, make)
        return Made(Workspace(folder / "data"), **json.loads((folder / "log.json").read_text()))

    return get


@pytest.fixture(scope="session")
def trained(small_fleet: Callable[[str], Made]) -> Workspace:
    """The small fleet with models and nothing scored. Not to be changed."""
    return small_fleet("trained").workspace


@pytest.fixture(scope="session")
def scored(small_fleet: Callable[[str], Made]) -> Workspace:
    """The small fleet with what one run scores. Not to be changed."""
    return small_fleet("scored").workspace


@pytest.fixture(scope="session")
def whole(small_fleet: Callable[[str], Made]) -> Workspace:
    """The small fleet after one ``kedro run``. Not to be changed."""
    return small_fleet("whole").workspace


class RemoteWorkspace(Workspace):
    """A workspace in a container or bucket: ``folder`` is its URL as text."""

    def files(self, *names: str) -> dict[str, str]:
        """The SHA-256 of every file below these folders, by relative path."""
        folders = {name: open_folder(f"{self.folder}/{name}") for name in names}
        return {
            f"{name}/{entry.name}": hashlib.sha256(folder.read(entry.name)[0]).hexdigest()
            for name, folder in folders.items()
            for entry in folder.entries()
        }


class BlobWorkspace(RemoteWorkspace):
    """A workspace in a container; all its runs are of ``--env=azure``."""

    def command(self, pipelines: str = "", params: str = "") -> list[str]:
        """The ``kedro run`` command line."""
        return [*super().command(pipelines, params), "--env", "azure"]


# What must be the same rows after any history. MLflow's store and the manifest hold run ids and times,
# and the table of sources holds the files' times of change.
PREDICTIONS = "07_model_output/predictions"
TABLES = (
    "02_intermediate/readings",
    "02_intermediate/quarantine",
    "03_primary/windows",
    PREDICTIONS,
    "07_model_output/daily_totals",
    "07_model_output/incidents",
    "07_model_output/device_incidents",
    "07_model_output/drift",
    "07_model_output/status/train",
)


def _digest(rows: pa.Table) -> str:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows.combine_chunks())
    return hashlib.sha256(sink.getvalue()).hexdigest()


# What says when it was written, or when its source was copied.
RUN_TIMES = {"notifications": ("sent_at",), "sources": ("version",)}


def contents(data: Path) -> dict[str, list[str]]:
    """The rows of every table there is, and the events that were sent to ``alerts.jsonl``."""
    logs = sorted(data.rglob("_delta_log"))
    events = [json.loads(line)["event_id"] for line in (data / "alerts.jsonl").read_text().splitlines()]
    return {log.parent.name: _rows(log.parent) for log in logs} | {"alerts": sorted(events)}


def _rows(folder: Path) -> list[str]:
    table = DeltaTable(folder).to_pyarrow_table()
    kept = [column for column in table.column_names if column not in RUN_TIMES.get(folder.name, ())]
    return sorted(map(repr, table.select(kept).to_pylist()))
