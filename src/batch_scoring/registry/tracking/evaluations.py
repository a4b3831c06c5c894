"""Log one `evaluate` as an MLflow run: figures as metrics, tables and drawings as artifacts."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from batch_scoring.registry.evaluation import TrackedEvaluation
from batch_scoring.registry.tracking.lineage import source_tags
from batch_scoring.registry.tracking.names import plain_name, registered_name
from batch_scoring.registry.tracking.runs import create_run, log_batch
from batch_scoring.registry.tracking.store import Store
from batch_scoring.registry.tracking.versions import EVALUATED, find_entry, logged_model_id

log = logging.getLogger(__name__)

_FINGERPRINT = "batch_scoring.evaluation"


def log_evaluation(store: Store, evaluation: TrackedEvaluation) -> str:
    """Log an evaluation as an MLflow run, unless it is logged already; return the run's id."""
    condition = f"tags.`{_FINGERPRINT}` = '{evaluation.fingerprint}' and attributes.status = 'FINISHED'"
    there = store.client.search_runs([store.experiment_id], condition, max_results=1)
    if there:
        log.info("evaluate: the same as MLflow run %s", there[0].info.run_id)
        return str(there[0].info.run_id)
    run_id = create_run(store, "evaluate", {**source_tags(), _FINGERPRINT: evaluation.fingerprint})
    status = "FAILED"
    try:
        log_batch(store, run_id, evaluation.metrics, evaluation.parameters)
        with tempfile.TemporaryDirectory(prefix="batch_scoring_") as scratch:
            for name, data in evaluation.files.items():
                (Path(scratch) / name).write_bytes(data)
            store.client.log_artifacts(run_id, scratch, "evaluation")
        for (sensor, version), metrics in evaluation.versions.items():
            _attach(store, run_id, sensor, version, metrics)
        status = "FINISHED"
    finally:
        store.client.set_terminated(run_id, status)
    return run_id


def _attach(store: Store, run_id: str, sensor: str, version: str, metrics: dict[str, float]) -> None:
    """Log figures of a version to its model, and tag the version with the run; nothing where it is gone."""
    from mlflow.entities import LoggedModelInput

    entry = find_entry(store, sensor, version)
    if entry is None:
        return
    named = {f"{plain_name(sensor)}/{key}": value for key, value in metrics.items()}
    model_id = logged_model_id(entry.source)
    if model_id is not None:
        store.client.log_inputs(run_id, models=[LoggedModelInput(model_id)])
    log_batch(store, run_id, named, {}, **({"model_id": model_id} if model_id else {}))
    store.client.set_model_version_tag(registered_name(sensor), version, EVALUATED, run_id)
