"""Draw the figures of an evaluation as PNG; the same evaluation gives the same bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from batch_scoring.evaluation.findings import MODELS, Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    MODELS: "#1f5f99",
    "robust_z": "#d9541e",
    "isolation_forest": "#4f8f4a",
    "rolling_z": "#8c6bb1",
    "random": "#9aa3ad",
}
HOUR = 3600.0
_ABOVE: dict[str, Any] = {"xytext": (0, 5), "textcoords": "offset points", "ha": "center", "fontsize": 8}
PANELS = {
    "roc_auc": "ROC AUC, mean of series",
    "pr_auc": "PR AUC, mean of series",
    "device_roc_auc": "ROC AUC, devices",
    "event_recall": "events found",
    "alert_precision": "alerts that are right",
    "false_alerts_per_sensor_week": "false alerts per sensor-week",
}


def draw_figures(evaluation: Evaluation) -> dict[str, bytes]:
    """Draw all figures that have data, by the names of their files."""
    drawings: dict[str, Callable[[Evaluation], Figure | None]] = {
        "methods.png": _draw_methods,
        "trade_off.png": _draw_trade_off,
        "delay.png": _draw_delay,
        "false_alarms.png": _draw_false_alarms,
        "series.png": _draw_series,
        "kinds.png": _draw_kinds,
    }
    figures = {name: draw(evaluation) for name, draw in drawings.items()}
    return {name: _as_png(figure) for name, figure in figures.items() if figure is not None}


def _draw_methods(evaluation: Evaluation) -> Figure:
    """Draw every method's figures over the fleet, with their intervals."""
    methods = list(evaluation.metrics["methods"])
    figure, panels = _figure(2, 3, (10.5, 1.6 + 0.62 * len(methods)))
    for axes, (name, title) in zip(panels, PANELS.items(), strict=True):
        for place, method in enumerate(methods):
            ratio = evaluation.metrics["methods"][method][name]
            if ratio["value"] is None:
                continue
            if ratio.get("low") is not None:
                axes.plot(
                    [ratio["low"], ratio["high"]], [place, place], color=_colour(method), lw=2, alpha=0.5
                )
            axes.plot(ratio["value"], place, "o", color=_colour(method), ms=6)
            axes.annotate(f"{ratio['value']:.3g}", (ratio["value"], place), **_ABOVE)
        axes.set_title(title, fontsize=10, loc="left")
        axes.set_yticks(range(len(methods)), [_words(m) for m in methods])
        axes.set_ylim(len(methods) - 0.5, -0.7)
        axes.margins(x=0.12)
        axes.grid(axis="x", alpha=0.3)
    return figure


def _draw_trade_off(evaluation: Evaluation) -> Figure:
    """Draw events found against false alerts as thresholds vary; a dot at the configured ones."""
    figure, (axes,) = _figure(1, 1, (7.5, 4.8))
    for method, (false, found) in evaluation.sweep.items():
        shown = (false > 0) & np.isfinite(found)
        axes.plot(false[shown], found[shown], color=_colour(method), lw=2 if method == MODELS else 1.3)
        ratio = evaluation.metrics["methods"][method]
        point = ratio["false_alerts_per_sensor_week"]["value"], ratio["event_recall"]["value"]
        if all(point):
            axes.plot(*point, "o", color=_colour(method), ms=7, label=_words(method))
    budget = evaluation.metrics["budget"]["false_windows_per_sensor_week"]
    axes.axvline(budget, color="#555", ls=":", lw=1.2)
    axes.annotate(
        "budget, in windows", (budget, 0.98), rotation=90, fontsize=8, ha="right", va="top", color="#555"
    )
    axes.set(xscale="log", ylim=(0, 1), xlabel="false alerts per sensor-week", ylabel="share of events found")
    axes.set_title("Were all thresholds higher or lower; dots: as they are", fontsize=10, loc="left")
    _finish(axes)
    return figure


def _draw_delay(evaluation: Evaluation) -> Figure | None:
    """Draw the share of all events found within some time from their start."""
    n_events = evaluation.metrics["judged"]["events"]
    if not n_events:
        return None
    figure, (axes,) = _figure(1, 1, (7.5, 4.4))
    for method in evaluation.metrics["methods"]:
        rows = evaluation.events.filter(pc.equal(evaluation.events["method"], method))
        delays = np.array(rows["delay_seconds"].drop_null().to_pylist(), float) / HOUR
        _cumulate(axes, method, delays, n_events)
    axes.set(xscale="log", ylim=(0, 1), ylabel="share of all events found by then")
    axes.set_xlabel("hours from the start of an event to the end of its first anomalous window")
    _finish(axes)
    return figure


def _draw_false_alarms(evaluation: Evaluation) -> Figure:
    """Draw the distribution of false windows over the series, and the budget of each."""
    figure, (axes,) = _figure(1, 1, (7.5, 4.4))
    budget = evaluation.metrics["budget"]["false_windows_per_sensor_week"]
    for method in evaluation.metrics["methods"]:
        rates = _of_series(evaluation, method, "false_windows_per_sensor_week")
        rates = rates[np.isfinite(rates)]
        _cumulate(axes, method, rates, rates.size)
    axes.axvline(budget, color="#555", ls=":", lw=1.2)
    axes.annotate("budget", (budget, 0.02), rotation=90, fontsize=8, ha="right", color="#555")
    axes.set_xscale("symlog", linthresh=max(budget, 1e-9))
    axes.set_xlim(left=0)
    axes.set(ylim=(0, 1.01), ylabel="cumulative share of series")
    axes.set_xlabel("false windows per week of a series (a device and sensor)")
    _finish(axes)
    return figure


def _draw_series(evaluation: Evaluation) -> Figure | None:
    """Draw the models against the robust z-score, series by series."""
    if "robust_z" not in evaluation.metrics["methods"]:
        return None
    figure, panels = _figure(1, 2, (9.5, 4.8))
    for axes, (name, title) in zip(panels, [("roc_auc", "ROC AUC"), ("pr_auc", "PR AUC")], strict=True):
        ours, theirs = (_of_series(evaluation, method, name) for method in (MODELS, "robust_z"))
        known = np.isfinite(ours) & np.isfinite(theirs)
        ours, theirs = ours[known], theirs[known]
        axes.plot([0, 1], [0, 1], color="#999", lw=1)
        axes.plot(theirs, ours, "o", ms=4, alpha=0.5, color=_colour(MODELS))
        better, worse = int((ours > theirs).sum()), int((ours < theirs).sum())
        axes.set_title(f"{title}: better on {better}, worse on {worse} of {ours.size} series", fontsize=10)
        axes.set(xlabel="robust z", ylabel="fleet models", aspect="equal")
        axes.grid(alpha=0.3)
    return figure


def _draw_kinds(evaluation: Evaluation) -> Figure | None:
    """Draw the share of events found, by kind."""
    rows = evaluation.metrics["kinds"]
    if not rows:
        return None
    methods = [m for m in evaluation.metrics["methods"] if m != "random"]
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    found = {(row["kind"], row["method"]): row for row in rows}
    figure, (axes,) = _figure(1, 1, (2.5 + 1.25 * len(kinds), 4.2))
    width = 0.8 / len(methods)
    for place, method in enumerate(methods):
        x = np.arange(len(kinds)) - 0.4 + width * (place + 0.5)
        heights = [found[kind, method]["event_recall"] for kind in kinds]
        axes.bar(x, heights, width * 0.92, color=_colour(method), label=_words(method))
    counts = [found[kind, MODELS]["events"] for kind in kinds]
    names = [f"{_words(kind)}\n{n} events" for kind, n in zip(kinds, counts, strict=True)]
    axes.set_xticks(range(len(kinds)), names)
    axes.set(ylim=(0, 1.03), ylabel="share of events found")
    _finish(axes)
    return figure


def _cumulate(axes: Axes, method: str, values: np.ndarray, total: int) -> None:
    """Draw the share of a total whose value is no larger."""
    if values.size:
        shares = np.arange(1, values.size + 1) / total
        axes.step(np.sort(values), shares, where="post", color=_colour(method), label=_words(method))


def _of_series(evaluation: Evaluation, method: str, name: str) -> np.ndarray:
    """Return a figure of every series; NaN where it is undefined."""
    table = evaluation.figures
    rows = table.filter(pc.and_(pc.equal(table["level"], "series"), pc.equal(table["method"], method)))
    return np.array([np.nan if value is None else value for value in rows[name].to_pylist()], float)


def _figure(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, Sequence[Axes]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    panels: Any = figure.subplots(rows, columns, squeeze=False)
    return figure, list(panels.ravel())


def _finish(axes: Axes) -> None:
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, frameon=False)


def _colour(method: str) -> str:
    return COLOURS.get(method, "#333")


def _words(name: str) -> str:
    # A dollar would begin a formula.
    return name.replace("_", " ").replace("$", "\\$")


def _as_png(figure: Figure) -> bytes:
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110, metadata={"Software": None})
    return data.getvalue()
