"""Log one `train` as an MLflow run: parameters, table of devices; child runs of devices where wanted."""

from __future__ import annotations

import atexit
import json
import logging
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scoring.core import processes
from batch_scoring.registry.tracking.device_table import first_devices, to_split_json, write_device_table
from batch_scoring.registry.tracking.lineage import source_tags
from batch_scoring.registry.tracking.names import plain_file_name, plain_name
from batch_scoring.registry.tracking.store import Store, environment
from batch_scoring.training.result import Training

log = logging.getLogger(__name__)

# The name of a training's run.
TRAIN = "train"
HOST = "batch_scoring.host"
_PROCESS = "batch_scoring.process"
# MLflow's page shows the artifacts named in this tag as tables.
_TABLES = "mlflow.loggedArtifacts"
PARENT = "mlflow.parentRunId"
# MLflow's page shows the text of this tag as the description.
NOTE = "mlflow.note.content"
_NOTE = "One training: models of every sensor with new windows. Each sensor's devices are below `devices/`."
# Of a parameter, in MLflow's database.
MAX_TEXT = 6_000

# MLflow's page gets a table whole, and so does a browser.
_SHOWN_DEVICES = 10_000

_open_runs: list[TrainingRun] = []


class TrainingRun:
    """The run of one ``train``; it is open from here to :meth:`end`.

    Parameters
    ----------
    child_runs_up_to : int
        A sensor with at most this many trained devices gets a child run for each of them.
    """

    def __init__(self, store: Store, child_runs_up_to: int) -> None:
        self._store = store
        self._child_runs_up_to = child_runs_up_to
        self._parameters: dict[str, str] = {}
        self._tables: list[dict[str, str]] = []
        self.run_id: str = create_run(store, TRAIN, {**source_tags(), NOTE: _NOTE})
        _open_runs.append(self)

    def log(self, training: Training) -> None:
        """Log parameters and devices of a sensor's training; ``register`` logs the rest."""
        sensor = training.sensor
        status = training.status
        trained = status.filter(pc.equal(status["status"], "ok"))["device"].combine_chunks()
        self._log_parameters(sensor, training.parameters)
        with tempfile.TemporaryDirectory(prefix="batch_scoring_") as scratch:
            table = Path(scratch) / f"{plain_file_name(sensor)}.parquet"
            write_device_table(table, training.models, training.status)
            self._log_table(table)
            if len(trained) <= self._child_runs_up_to:
                rows = pq.ParquetFile(table).read()
                self._log_child_runs(sensor, rows.filter(pc.is_in(rows["device"], value_set=trained)))

    @property
    def is_open(self) -> bool:
        """Whether the run is still open; an error elsewhere may have ended it."""
        return self in _open_runs

    def end(self, status: str) -> None:
        """End the run as ``FINISHED`` or ``FAILED``; only the first call counts."""
        if self.is_open:
            _open_runs.remove(self)
            self._store.client.set_terminated(self.run_id, status)

    def _log_parameters(self, sensor: str, parameters: dict[str, Any]) -> None:
        # A run's parameter has one value; where sensors differ, the later one's bears its name.
        new = {}
        for key, value in flatten(parameters).items():
            if self._parameters.setdefault(key, value) != value:
                new[f"{key}/{plain_name(sensor)}"] = value
            else:
                new[key] = value
        log_batch(self._store, self.run_id, {}, new)

    def _log_table(self, table: Path) -> None:
        """All devices as Parquet; for MLflow's page the first ones as JSON, those without a model before."""
        shown = table.with_suffix(".json")
        shown.write_text(to_split_json(first_devices(table, _SHOWN_DEVICES)), encoding="utf-8")
        for path in (table, shown):
            self._store.client.log_artifact(self.run_id, str(path), "devices")
        self._tables.append({"path": f"devices/{shown.name}", "type": "table"})
        # A tag holds 8,000 characters; the tables beyond are there, but shown as plain JSON.
        text = json.dumps(self._tables)
        if len(text) <= 8_000:
            self._store.client.set_tag(self.run_id, _TABLES, text)

    def _log_child_runs(self, sensor: str, trained: pa.Table) -> None:
        for row in trained.to_pylist():
            tags = {PARENT: self.run_id, "sensor": sensor, "device": row["device"]}
            run_id = create_run(self._store, f"{sensor} / {row['device']}", tags)
            numbers = {key: float(value) for key, value in row.items() if isinstance(value, (int, float))}
            texts = {key: value for key, value in row.items() if isinstance(value, str)}
            log_batch(self._store, run_id, numbers, texts)
            self._store.client.set_terminated(run_id, "FINISHED")


def create_run(store: Store, name: str, tags: dict[str, str]) -> str:
    """Create a run that records the process it belongs to, and return its id."""
    own = {HOST: processes.host(), _PROCESS: processes.process()}
    run = store.client.create_run(store.experiment_id, run_name=name, tags=own | tags)
    return str(run.info.run_id)


def log_batch(
    store: Store, run_id: str, metrics: dict[str, float], parameters: dict[str, str], **of_metrics: str
) -> None:
    """Log finite metrics, and parameters cut to the length that MLflow accepts.

    ``of_metrics`` is what else ``mlflow.entities.Metric`` takes: the model and the data that they are of.
    """
    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    finite = {key: value for key, value in metrics.items() if math.isfinite(value)}
    store.client.log_batch(
        run_id,
        metrics=[Metric(key, value, now, 0, **of_metrics) for key, value in finite.items()],
        params=[Param(key, value[:MAX_TEXT]) for key, value in parameters.items()],
    )


def fail_open_runs() -> None:
    """End the runs of this process that are still open as ``FAILED``; for error hooks, and at exit."""
    if not _open_runs:
        return
    # The server may be down, and MLflow would retry for minutes. A later `train` marks the run.
    with environment("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0"):
        for run in _open_runs.copy():
            try:
                run.end("FAILED")
            except Exception as error:
                # Not raised: the user must see the error that failed the run.
                log.warning("MLflow run %s could not be marked as failed: %s", run.run_id, error)


atexit.register(fail_open_runs)


def close_orphaned_runs(store: Store) -> None:
    """Mark as ``KILLED`` the runs that a process of this host left running when it died."""
    condition = f"attributes.status = 'RUNNING' and tags.`{HOST}` = '{processes.host()}'"
    for run in store.client.search_runs([store.experiment_id], condition, max_results=1000):
        if not processes.is_alive(run.data.tags.get(_PROCESS, "")):
            store.client.set_terminated(run.info.run_id, "KILLED")
            if PARENT not in run.data.tags:
                log.info("MLflow run %s: its process is gone; marked as killed", run.info.run_id)


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Flatten nested parameters to one level of dotted names and texts.

    Examples
    --------
    >>> flatten({"nu": 0.1, "calibration": {"rate": 0.001, "blocks": None}})
    {'nu': '0.1', 'calibration.rate': '0.001', 'calibration.blocks': 'null'}
    """
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
            flat[f"{prefix}{key}"] = text
    return flat
