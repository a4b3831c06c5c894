"""Write an evaluation as a page of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow.compute as pc

from batch_scoring.core.text import printable
from batch_scoring.evaluation.findings import MODELS, Evaluation

MAX_SENSORS = 60

FLEET = {
    "roc_auc": "ROC AUC, mean of series",
    "pr_auc": "PR AUC, mean of series",
    "best_f1": "best F1, mean of series",
    "pooled_roc_auc": "ROC AUC, a sensor's devices pooled",
    "pooled_pr_auc": "PR AUC, a sensor's devices pooled",
    "device_roc_auc": "ROC AUC, devices",
    "device_pr_auc": "PR AUC, devices",
    "event_recall": "events found",
    "device_event_recall": "device events found, any sensor",
    "range_recall": "share of an event flagged, mean",
    "range_precision": "share of an alert labelled, mean",
    "alerts_per_event_found": "alerts per event found",
    "alert_precision": "alerts that are right",
    "alert_precision_any_sensor": "alerts that are right, any sensor",
    "window_recall": "labelled windows flagged",
    "window_precision": "flagged windows labelled",
    "window_precision_any_sensor": "flagged windows labelled, any sensor",
    "false_alarm_rate": "normal windows flagged",
    "realised_over_target": "… over the target",
    "false_windows_per_sensor_week": "false windows per sensor-week",
    "false_alerts_per_sensor_week": "false alerts per sensor-week",
    "delay_median_seconds": "delay of the events found, median",
    "delay_p90_seconds": "… 90th percentile",
}
LEADS = (
    "roc_auc",
    "pr_auc",
    "device_roc_auc",
    "event_recall",
    "alert_precision",
    "false_alerts_per_sensor_week",
)
_LENGTHS = {"delay_median_seconds", "delay_p90_seconds"}


def write_summary(evaluation: Evaluation) -> str:
    """Write the page."""
    parts = [
        _basis(evaluation.metrics),
        _fleet(evaluation.metrics),
        _leads(evaluation.metrics),
        _kinds(evaluation.metrics),
        _sensors(evaluation),
    ]
    return "\n".join(line for part in parts if part for line in [*part, ""]).rstrip() + "\n"


def write_headline(evaluation: Evaluation, folder: str) -> str:
    """Write what is printed at the end of a run; ``folder`` is that of the workspace."""
    metrics = evaluation.metrics
    ours, judged = metrics["methods"][MODELS], metrics["judged"]
    events = f"{ours['events_found']:,} of {ours['events']:,} events found"
    right = f"{ours['right_alerts']:,} of {ours['alerts']:,} alerts right"
    false = _value("false_alerts_per_sensor_week", ours["false_alerts_per_sensor_week"]["value"])
    over = _value("realised_over_target", ours["realised_over_target"]["value"])
    ranked = [
        f"{_words(name)} {_value('pr_auc', of['pr_auc']['value'])}" for name, of in metrics["methods"].items()
    ]
    return (
        f"Evaluation of {judged['windows']:,} windows that are new to the models: {events}, {right}\n"
        f"  false alarms   {false} alerts per sensor-week; {over} times the budget in windows\n"
        f"  PR AUC         {', '.join(ranked)}\n\n"
        f"  {folder.rstrip('/')}/08_reporting/evaluation/evaluation.md   all figures; drawings beside it\n"
    )


def _basis(metrics: dict[str, Any]) -> list[str]:
    judged, budget = metrics["judged"], metrics["budget"]
    models = metrics["methods"][MODELS]
    labelled = models["labelled_windows"] / judged["windows"] if judged["windows"] else 0.0
    return [
        "# Evaluation",
        "",
        f"Windows of {_length(judged['window_seconds'])} from {judged['from']} to {judged['to']}: "
        f"{judged['windows']:,} of {judged['devices']:,} devices and {judged['sensors']:,} sensors, "
        f"{labelled:.1%} of them labelled, {judged['windows_without_prediction']:,} without a prediction.",
        f"Left out: {judged['windows_seen_in_training']:,} windows whose model was trained on them, "
        f"{judged['anomalies_seen_in_training']:,} of them flagged.",
        f"{judged['events']:,} events, {models['events_without_windows']:,} of them without a window in "
        f"them; {models['device_events']:,} events of devices. Left out: "
        f"{judged['events_outside_range']:,} events outside the range, "
        f"{judged['events_of_unknown_series']:,} of devices and sensors without windows.",
        f"The AUCs are means of {models['ranked_series']:,} series (a device and sensor) and "
        f"{models['ranked_devices']:,} devices; those whose windows are all labelled, or none, have none.",
        f"Budget of false alarms: {budget['false_alarm_rate']:.3g} of the normal windows, "
        f"{budget['false_windows_per_sensor_week']:.3g} per sensor-week.",
    ]


def _fleet(metrics: dict[str, Any]) -> list[str]:
    methods = metrics["methods"]
    rows = [
        [text, *(_cell(name, methods[method][name]) for method in methods)] for name, text in FLEET.items()
    ]
    rows += [
        [
            f"events found at {limit} false alerts per sensor-week",
            *(_value("event_recall", metrics["recall_at"][method][limit]) for method in methods),
        ]
        for limit in metrics["recall_at"][MODELS]
    ]
    notes = "In brackets: 95 % of fleets drawn from these devices, with replacement, lie between."
    return ["## Over the fleet", "", *_table(["", *map(_words, methods)], rows), "", notes]


def _leads(metrics: dict[str, Any]) -> list[str]:
    leads = metrics["leads"]
    if not leads:
        return []
    rows = [
        [FLEET[name], *(_cell(name, leads[method][name], signed=True) for method in leads)] for name in LEADS
    ]
    return ["## Fleet models less the others", "", *_table(["", *map(_words, leads)], rows)]


def _kinds(metrics: dict[str, Any]) -> list[str]:
    kinds = metrics["kinds"]
    if not kinds:
        return []
    methods = list(metrics["methods"])
    by_kind: dict[str, dict[str, dict[str, Any]]] = {}
    for row in kinds:
        by_kind.setdefault(row["kind"], {})[row["method"]] = row
    rows = []
    for kind, of in by_kind.items():
        ours = of[MODELS]
        found = [f"{of[method]['events_found']} ({of[method]['event_recall']:.0%})" for method in methods]
        rows.append(
            [
                *(_words(kind), str(ours["events"]), f"{ours['windows']:,}", f"{ours['windows_missing']:,}"),
                *(*found, _value("delay_median_seconds", ours["delay_median_seconds"])),
            ]
        )
    header = ["kind", "events", "windows in them", "missing windows", *map(_words, methods), "median delay"]
    note = "An event whose windows are all missing (silence) cannot be found, and counts as missed."
    return ["## Events found, by kind", "", *_table(header, rows), "", note]


def _sensors(evaluation: Evaluation) -> list[str]:
    table = evaluation.figures
    rows = table.filter(pc.equal(table["level"], "sensor")).to_pylist()
    methods = [m for m in evaluation.metrics["methods"] if m in (MODELS, "robust_z")]
    by_sensor: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        by_sensor.setdefault(row["sensor"], {})[row["method"]] = row
    shown = list(by_sensor.items())[:MAX_SENSORS]
    names = ("roc_auc", "pr_auc", "event_recall", "alert_precision", "false_alerts_per_sensor_week")
    header = ["sensor", "events", *(f"{FLEET[n].split(',')[0]}: {_words(m)}" for n in names for m in methods)]
    cells = [
        [_escaped(sensor), str(of[MODELS]["events"]), *(_value(n, of[m][n]) for n in names for m in methods)]
        for sensor, of in shown
    ]
    more = [f"… and {len(by_sensor) - len(shown):,} more sensors."] if len(by_sensor) > len(shown) else []
    return ["## By sensor", "", *_table(header, cells), *more]


def _cell(name: str, figure: dict[str, float | None], signed: bool = False) -> str:
    text = _value(name, figure["value"], signed)
    if figure.get("low") is None or figure["value"] is None:
        return text
    return f"{text} [{_value(name, figure['low'], signed)}, {_value(name, figure['high'], signed)}]"


def _value(name: str, value: float | None, signed: bool = False) -> str:
    if value is None:
        return "–"
    if name in _LENGTHS:
        return _length(value)
    digits = 4 if name == "false_alarm_rate" else 2 if "_per_" in name or "_over_" in name else 3
    return f"{value:{'+' if signed else ''}.{digits}f}"


def _length(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size or seconds == size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(row)} |" for row in [header, *rows]]
    return [lines[0], f"|{'---|' * len(header)}", *lines[1:]]


def _words(name: str) -> str:
    return _escaped(name.replace("_", " "))


def _escaped(text: str) -> str:
    return printable(text).replace("|", "\\|")
