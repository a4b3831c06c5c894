"""Log one `evaluate` as an MLflow run: figures as metrics, tables and drawings as artifacts."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from batch_scoring.registry.evaluation import TrackedEvaluation
from batch_scoring.registry.tracking.runs import create_run, log_batch
from batch_scoring.registry.tracking.store import Store

log = logging.getLogger(__name__)

_FINGERPRINT = "batch_scoring.evaluation"


def log_evaluation(store: Store, evaluation: TrackedEvaluation) -> str:
    """Log an evaluation as an MLflow run, unless it is logged already; return the run's id."""
    condition = f"tags.`{_FINGERPRINT}` = '{evaluation.fingerprint}' and attributes.status = 'FINISHED'"
    there = store.client.search_runs([store.experiment_id], condition, max_results=1)
    if there:
        log.info("evaluate: the same as MLflow run %s", there[0].info.run_id)
        return str(there[0].info.run_id)
    run_id = create_run(store, "evaluate", {_FINGERPRINT: evaluation.fingerprint})
    status = "FAILED"
    try:
        log_batch(store, run_id, evaluation.metrics, evaluation.parameters)
        with tempfile.TemporaryDirectory(prefix="batch_scoring_") as scratch:
            for name, data in evaluation.files.items():
                (Path(scratch) / name).write_bytes(data)
            store.client.log_artifacts(run_id, scratch, "evaluation")
        status = "FINISHED"
    finally:
        store.client.set_terminated(run_id, status)
    return run_id
