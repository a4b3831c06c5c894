"""A workspace for the time of a call, in which the pipelines' own nodes run on a table in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
from kedro.io import AbstractDataset, DatasetError, MemoryDataset
from kedro.pipeline import Pipeline

from batch_scoring.core.errors import InputError
from batch_scoring.core.system_errors import causes
from batch_scoring.datasets.entries import Entries
from batch_scoring.datasets.raw_readings import RawReadings
from batch_scoring.datasets.row_tables import RowTableDataset
from batch_scoring.ingestion.inspection.advice import in_python
from batch_scoring.ingestion.source_files import list_source_files
from batch_scoring.operations.annotations import Annotations
from batch_scoring.registry.published import InService, list_published, load_published, publish
from batch_scoring.storage import open_folder
from batch_scoring.storage.row_table import Look, RowTable
from batch_scoring.tables.arrow_arrays import are, to_arrow
from batch_scoring.tables.groups import Groups
from batch_scoring.training.result import Training

# The readings of a call are complete: every window of theirs is closed, and none is in the future.
_AT = "2199-12-31T00:00Z"
# Tables with times, and the column that partitions them.
_TIMES = {
    "readings": "timestamp",
    "windows": "window_start",
    "calibrations": "day",
    "predictions": "window_start",
    "daily_totals": "day",
    "incidents": "start",
    "gaps": "start",
    "stays": "start",
}
_TABLES = ("sources", "quarantine", "train_status", "device_incidents", *_TIMES)


class _Models(AbstractDataset[dict[str, Training] | Look[dict[str, Any]], InService]):
    """Models published in a folder, without a registry; a version each."""

    def __init__(self, folder: Path, calibrations: RowTableDataset) -> None:
        self._folder = open_folder(str(folder))
        self._calibrations = calibrations

    def load(self) -> InService:
        sensors = list_published(self._folder)
        champions = {name: partial(load_published, self._folder, name, "") for name in sensors}
        return InService(champions, self._calibrations.load())

    def save(self, data: dict[str, Training] | Look[dict[str, Any]]) -> None:
        if isinstance(data, Look):
            data({})
            return
        for training in data.values():
            publish(self._folder, training.models, "1", "", training.fingerprint)

    def _describe(self) -> dict[str, Any]:
        return {"folder": self._folder.path()}


def verify_models(folder: Path) -> None:
    """Read all models in a folder.

    Raises
    ------
    InputError
        When there are none, or they are damaged.
    """
    sensors = list_published(open_folder(str(folder)))
    if not sensors:
        raise InputError(f"{folder}: there are no models")
    for sensor in sensors:
        load_published(folder, sensor).verify()


class Site:
    """A workspace; its folder is there until it is closed.

    Parameters
    ----------
    readings : pyarrow.Table
        As a source file holds them.
    settings : mapping of str to mapping
        Parameters of the pipelines by step.
    models : Path
        Where models are published, and found.
    """

    def __init__(self, readings: pa.Table, settings: Mapping[str, Any], models: Path) -> None:
        self._folder = TemporaryDirectory(prefix="batch_scoring_")
        source = Path(self._folder.name, "readings.parquet")
        tables = {name: self._table(name) for name in _TABLES}
        self._datasets: dict[str, AbstractDataset[Any, Any]] = {
            **tables,
            "score_counts": MemoryDataset(),
            "stretches": Entries({name: self._entry(name) for name in ("gaps", "stays")}),
            "raw_readings": RawReadings(str(source)),
            "fleet_models": _Models(models, tables["calibrations"]),
            "annotations": MemoryDataset(Annotations(), copy_mode="assign"),
        }
        self._settings = settings
        try:
            pq.write_table(readings, source)
            self._run("ingest", "aggregate")
        except InputError as error:
            text = in_python(str(error), list_source_files(str(source)), settings.get("ingest"))
            self._folder.cleanup()
            raise InputError(text.replace(str(source), "readings")) from None
        except BaseException:
            self._folder.cleanup()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()

    def train(self) -> pa.Table:
        """Fit and publish the models; returns the status of each series, schema STATUS."""
        self._run("train")
        return self._load("train_status").read()

    def score(self) -> pa.Table:
        """Score all windows; returns the predictions, schema PREDICTIONS.

        Raises
        ------
        InputError
            When a sensor could not be scored: its models are of other windows, or damaged.
        """
        self._run("score")
        shortfalls = self._datasets["score_counts"].load()["shortfalls"]
        if shortfalls:
            raise InputError("; ".join(shortfalls))
        order = [(name, "ascending") for name in ("sensor", "device", "window_start")]
        return self._load("predictions").read().sort_by(order)

    def find_incidents(self) -> pa.Table:
        """Join predictions to incidents; returns those of devices, schema DEVICE_INCIDENTS."""
        self._run("incidents", without="notify")
        return self._load("device_incidents").read()

    def refused(self) -> pa.Table:
        """Return the refused readings, schema QUARANTINE without ``source``."""
        table = self._load("quarantine")
        return (
            table.read().drop_columns(["source"])
            if table.exists
            else pa.table({"reason": pa.nulls(0, pa.string())})
        )

    def unscored(self) -> pa.Table:
        """Return device and sensor of the series that have windows, but no model."""
        totals = self._load("daily_totals").read(["device", "sensor", "status"])
        without = totals.filter(to_arrow(are(totals["status"], "no_model")))
        return Groups(without, ["sensor", "device"]).firsts(["device", "sensor"])

    def _table(self, name: str) -> RowTableDataset:
        return RowTableDataset(f"{self._folder.name}/{name}", _TIMES.get(name))

    def _entry(self, name: str) -> dict[str, Any]:
        return {"type": RowTableDataset, "path": f"{self._folder.name}/{name}", "time": _TIMES[name]}

    def _load(self, name: str) -> RowTable:
        table: RowTable = self._datasets[name].load()
        return table

    def _run(self, *steps: str, without: str = "") -> None:
        """Run the nodes of some pipelines: Kedro's runner would log each of them, and set logging up."""
        for step in steps:
            pipeline: Pipeline = import_module(f"batch_scoring.pipelines.{step}.pipeline").create_pipeline()
            for node in pipeline.nodes:
                if node.name == without:
                    continue
                outputs = node.func(*map(self._input, node.inputs))
                for chunk in outputs if isinstance(outputs, Iterator) else [outputs]:
                    self._save(node.outputs, chunk if len(node.outputs) > 1 else [chunk])

    def _save(self, names: Sequence[str], chunk: Sequence[Any]) -> None:
        for name, data in zip(names, chunk, strict=True):
            if name in self._datasets:
                try:
                    self._datasets[name].save(data)
                except DatasetError as error:
                    raise next((one for one in causes(error) if isinstance(one, InputError)), error) from None

    def _input(self, name: str) -> Any:
        kind, _, path = name.partition(":")
        return self._parameter(path) if kind == "params" else self._datasets[name].load()

    def _parameter(self, path: str) -> Any:
        if path == "at":
            return _AT
        found: Any = self._settings
        for name in path.split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
        return found if found is not None or path in ("device", "sensor", "shard") else {}
