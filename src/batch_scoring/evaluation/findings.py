"""Results of an evaluation, computed once for tables, summary and figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.evaluation.basis import Basis
from batch_scoring.evaluation.metrics.figures import RATIOS, intervals
from batch_scoring.evaluation.metrics.matching import WEEK_US
from batch_scoring.evaluation.metrics.tally import Tally
from batch_scoring.evaluation.settings import EvaluateParameters
from batch_scoring.evaluation.tables import DELAYS, POOLED, event_table, figure_table
from batch_scoring.tables.arrays import Float

MODELS = "fleet_models"
# False alerts a sensor-week at which methods are compared.
ALERT_LIMITS = (0.25, 1.0)
# The figures of the fleet that have no interval.
_MORE = (*POOLED, *DELAYS)


@dataclass(frozen=True)
class Evaluation:
    """An evaluation.

    Attributes
    ----------
    figures : pyarrow.Table
        Schema ``FIGURES``.
    events : pyarrow.Table
        Schema ``EVALUATED_EVENTS``.
    metrics : dict
        The figures over the fleet and their basis; ready for JSON.
    sweep : dict of str to array of shape (2, len(SWEEP))
        By method: false alerts per sensor-week and share of events found, at each threshold of ``SWEEP``.
    versions : dict of str to dict of str to int
        By sensor, the evaluated windows with a prediction by version.
    """

    figures: pa.Table
    events: pa.Table
    metrics: dict[str, Any]
    sweep: dict[str, Float]
    versions: dict[str, dict[str, int]] = field(default_factory=dict)


def build_evaluation(tally: Tally, basis: Basis, settings: EvaluateParameters) -> Evaluation:
    """Build the evaluation from the outcomes of all sensors."""
    events = event_table(tally, basis.events, basis.event_windows, basis.event_missing)
    of_devices = {method: tally.of_devices(method) for method in tally.methods}
    figures = figure_table(tally, of_devices, events)
    curves = sweeps(tally)
    metrics = {
        "judged": basis.to_json(len(tally.devices)),
        "budget": budget(of_devices[MODELS], basis.window_us),
        **fleet_metrics(of_devices, figures, settings),
        "recall_at": {method: recall_at(curve) for method, curve in curves.items()},
        "kinds": kind_metrics(events),
    }
    return Evaluation(figures, events, metrics, curves, basis.versions)


def budget(sums: Mapping[str, Float], window_us: int) -> dict[str, float]:
    """Compute what the models may flag: the mean of their own budgets over the normal windows."""
    rate = float(sums["budgeted_windows"].sum()) / max(float(sums["normal_windows"].sum()), 1.0)
    return {"false_alarm_rate": rate, "false_windows_per_sensor_week": rate * WEEK_US / window_us}


def recall_at(curve: Float) -> dict[str, float | None]:
    """Return the largest share of events found at no more than a number of false alerts a sensor-week.

    Parameters
    ----------
    curve : array of shape (2, k), float64
        See ``Evaluation.sweep``.
    """
    alerts, recall = curve
    known = np.isfinite(alerts) & np.isfinite(recall)
    at = {f"{limit:g}": recall[known & (alerts <= limit)] for limit in ALERT_LIMITS}
    return {limit: float(found.max()) if found.size else None for limit, found in at.items()}


def fleet_metrics(
    of_devices: dict[str, dict[str, Float]], figures: pa.Table, settings: EvaluateParameters
) -> dict[str, Any]:
    """Compute the figures over the fleet by method, each with its interval, and the lead of the models."""
    draws = settings.bootstrap
    of_methods, of_leads = intervals(of_devices, draws, settings.seed, MODELS)
    rows = {row["method"]: row for row in figures.filter(pc.equal(figures["level"], "fleet")).to_pylist()}
    methods = {}
    for method, row in rows.items():
        counts = {name: value for name, value in row.items() if isinstance(value, int)}
        of_method = {name: {"value": row[name], **_ends(of_methods[method][name], draws)} for name in RATIOS}
        methods[method] = {**counts, **of_method, **{name: {"value": row[name]} for name in _MORE}}
    leads = {
        method: {
            name: {"value": None if None in pair else pair[0] - pair[1], **_ends(ends, draws)}
            for name, ends in own.items()
            for pair in [(rows[MODELS][name], rows[method][name])]
        }
        for method, own in of_leads.items()
    }
    return {"methods": methods, "leads": leads}


def kind_metrics(events: pa.Table) -> list[dict[str, Any]]:
    """Count the events of each kind that every method found; empty where no label names a kind."""
    known = events.filter(pc.is_valid(events["kind"]))
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in known.to_pylist():
        found.setdefault((row["kind"], row["method"]), []).append(row)
    return [
        {
            "kind": kind,
            "method": method,
            "events": len(rows),
            "events_found": sum(row["is_found"] for row in rows),
            "event_recall": sum(row["is_found"] for row in rows) / len(rows),
            "windows": sum(row["n_windows"] for row in rows),
            "windows_missing": sum(row["n_missing"] for row in rows),
            "delay_median_seconds": _median([row["delay_seconds"] for row in rows if row["is_found"]]),
        }
        for (kind, method), rows in sorted(found.items(), key=lambda item: item[0][0])
    ]


def sweeps(tally: Tally) -> dict[str, Float]:
    """Compute false alerts per sensor-week and share of events found at each threshold of ``SWEEP``."""
    curves = {}
    for method, one in tally.methods.items():
        sums = tally.of_series(method)
        false, found = (
            np.sum([getattr(outcome, name) for outcome in one.outcomes], axis=0)
            for name in ("sweep_false_alerts", "sweep_found")
        )
        whole = np.array([[sums["sensor_weeks"].sum()], [sums["events"].sum()]])
        curves[method] = np.stack([false, found]) / np.where(whole > 0, whole, np.nan)
    return curves


def _ends(ends: Float, draws: int) -> dict[str, float | None]:
    if not draws:
        return {}
    low, high = (float(end) if np.isfinite(end) else None for end in ends)
    return {"low": low, "high": high}


def _median(values: list[float]) -> float | None:
    return float(np.median(values)) if values else None
