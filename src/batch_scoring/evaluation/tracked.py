"""Prepare an evaluation for MLflow: flat metrics, parameters, files."""

from __future__ import annotations

import hashlib
import json

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scoring.evaluation.findings import MODELS, Evaluation
from batch_scoring.evaluation.metrics.figures import RATIOS
from batch_scoring.evaluation.summary import write_summary
from batch_scoring.evaluation.tables import DELAYS
from batch_scoring.registry.evaluation import TrackedEvaluation

_NUMBERS = (*RATIOS, *DELAYS)


def tracked_evaluation(evaluation: Evaluation, drawn: dict[str, bytes]) -> TrackedEvaluation:
    """Name the figures over the fleet ``<method>/<figure>``; gather all files, ``drawn`` as PNG by name."""
    tables = {
        "metrics.json": json.dumps(evaluation.metrics, indent=2, ensure_ascii=False).encode(),
        "figures.parquet": _as_parquet(evaluation.figures),
        "events.parquet": _as_parquet(evaluation.events),
    }
    digest = hashlib.sha256(b"".join(hashlib.sha256(data).digest() for data in tables.values())).hexdigest()
    files = tables | {"evaluation.md": write_summary(evaluation).encode()} | drawn
    parameters = {f"judged.{name}": str(value) for name, value in evaluation.metrics["judged"].items()}
    parameters |= {"false_alarm_rate": str(evaluation.metrics["budget"]["false_alarm_rate"])}
    return TrackedEvaluation(digest, _flat(evaluation), parameters, files, _of_versions(evaluation))


def _flat(evaluation: Evaluation) -> dict[str, float]:
    figures = evaluation.figures
    fleet = figures.filter(pc.equal(figures["level"], "fleet")).to_pylist()
    values = {f"{row['method']}/{name}": row[name] for row in fleet for name in _NUMBERS}
    for method, recall in evaluation.metrics["recall_at"].items():
        values |= {f"{method}/event_recall_at_{limit}": value for limit, value in recall.items()}
    return {name: value for name, value in values.items() if value is not None}


def _of_versions(evaluation: Evaluation) -> dict[tuple[str, str], dict[str, float]]:
    """Return the figures of each version that scored all evaluated windows of its sensor.

    Where several versions did, the figures are of no single one.
    """
    figures = evaluation.figures
    mine = pc.and_(pc.equal(figures["level"], "sensor"), pc.equal(figures["method"], MODELS))
    found = {}
    for row in figures.filter(mine).to_pylist():
        versions = evaluation.versions.get(row["sensor"], {})
        if len(versions) == 1:
            values = {name: row[name] for name in _NUMBERS if row[name] is not None}
            found[row["sensor"], *versions] = values
    return found


def _as_parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue().to_pybytes()
