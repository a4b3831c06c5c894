"""The report's Plotly figures, which Kedro-Viz previews; the page draws its own charts instead."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.reporting.contents import Contents
from batch_scoring.reporting.fleet_view import FleetView

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SHOWN_DEVICES = 30
SHOWN_BARS = 15
INK, ALARM, MUTED = "#2f6f9f", "#c8452b", "#8a94a0"
# From "scored, nothing found" to "nearly all of it anomalous"; few anomalies must show already.
SCALE = [[0.0, "#eef1f4"], [0.02, "#fbd9b0"], [0.1, "#f5a25d"], [0.4, "#d9541e"], [1.0, "#7d1414"]]


def draw_heat_map(view: FleetView) -> Figure:
    """Share of anomalous windows, worst devices by time."""
    from plotly.graph_objects import Heatmap

    devices = view.devices["device"].slice(0, SHOWN_DEVICES).combine_chunks()
    cells = view.cells.filter(pc.is_in(view.cells["device"], devices))
    if not cells.num_rows:
        return _empty("Nothing has been scored yet")
    row = pc.index_in(cells["device"], devices).to_numpy()
    column = cells["cell"].to_numpy()
    first, n_cells = column.min(), int(column.max() - column.min() + 1)
    place, size = row * n_cells + column - first, len(devices) * n_cells
    windows = np.bincount(place, cells["n_windows"].to_numpy(), size)
    anomalies = np.bincount(place, cells["n_anomalies"].to_numpy(), size)
    share = np.divide(anomalies, windows, out=np.full(size, np.nan), where=windows > 0).reshape(
        len(devices), -1
    )
    step = np.timedelta64(round(view.cell.total_seconds()), "s")
    times = np.datetime64(0, "s") + (first + np.arange(n_cells)) * step
    heat = Heatmap(
        x=[str(time) for time in times],
        y=_labels(devices),
        z=_rounded(share),
        zmin=0,
        zmax=1,
        colorscale=SCALE,
        colorbar={"title": "share", "tickformat": ".0%"},
        hovertemplate="%{y}, %{x}: %{z:.1%}<extra></extra>",
    )
    figure = _figure([heat], "Share of anomalous windows, worst devices first", x="time (UTC)")
    figure.update_yaxes(autorange="reversed", type="category")
    return figure


def draw_worst_devices(view: FleetView) -> Figure:
    """Anomalous windows of the worst devices, by sensor."""
    from plotly.graph_objects import Bar

    worst = (
        view.devices.filter(pc.greater(view.devices["n_anomalies"], 0))["device"]
        .slice(0, SHOWN_BARS)
        .combine_chunks()
    )
    series = view.series.filter(pc.is_in(view.series["device"], worst))
    if not series.num_rows:
        return _empty("No anomalies")
    bars = []
    for sensor in sorted(pc.unique(series["sensor"]).to_pylist()):
        rows = series.filter(pc.equal(series["sensor"], sensor))
        bars.append(
            Bar(
                x=rows["n_anomalies"].to_pylist(),
                y=_labels(rows["device"]),
                name=escape(sensor),
                orientation="h",
            )
        )
    figure = _figure(bars, "Anomalous windows of the worst devices", x="windows")
    figure.update_layout(barmode="stack", showlegend=True)
    figure.update_yaxes(
        categoryorder="array", categoryarray=_labels(worst), autorange="reversed", type="category"
    )
    return figure


def draw_worst_series(contents: Contents) -> Figure:
    """Value and score of the worst series, with its threshold and anomalies."""
    from plotly.graph_objects import Scatter

    if not contents.charts:
        return _empty("Nothing has been scored yet")
    block = contents.charts[0]
    device, sensor = block.series[0]
    start = np.datetime64(block.start.replace(tzinfo=None), "s")
    times = [
        str(t)
        for t in start
        + np.arange(block.value.shape[1]) * np.timedelta64(int(block.step.total_seconds()), "s")
    ]
    flags = np.flatnonzero(block.is_anomaly[0])
    value, score, threshold = (_rounded(a[0]) for a in (block.value, block.score, block.threshold))
    lines = [
        Scatter(x=times, y=value, name="value", line={"color": INK, "width": 1}),
        Scatter(
            x=[times[i] for i in flags],
            y=[value[i] for i in flags],
            name="anomaly",
            mode="markers",
            marker={"color": ALARM, "size": 6},
        ),
        Scatter(x=times, y=score, name="score", yaxis="y2", line={"color": MUTED, "width": 1}),
        Scatter(
            x=times,
            y=threshold,
            name="threshold",
            yaxis="y2",
            line={"color": ALARM, "width": 1, "dash": "dash"},
        ),
    ]
    figure = _figure(lines, f"{escape(device)}, {escape(sensor)}: value and score", x="time (UTC)")
    figure.update_layout(
        showlegend=True,
        yaxis={"domain": [0.42, 1], "title": "value"},
        yaxis2={"domain": [0, 0.34], "title": "score"},
        xaxis={"anchor": "y2"},
    )
    return figure


def draw_status_counts(statuses: pa.Table) -> Figure:
    """How many series ended in which status, by stage."""
    from plotly.graph_objects import Bar

    if not statuses.num_rows:
        return _empty("No status yet")
    counts = statuses.group_by(["stage", "status"], use_threads=False).aggregate([([], "count_all")])
    bars: list[Any] = []
    for stage in sorted(pc.unique(counts["stage"]).to_pylist(), reverse=True):
        rows = counts.filter(pc.equal(counts["stage"], stage)).sort_by("status").to_pydict()
        bars.append(Bar(x=rows["status"], y=rows["count_all"], name=stage, text=rows["count_all"]))
    figure = _figure(bars, "Series by status", y="series (a device and sensor)")
    figure.update_layout(showlegend=True)
    return figure


def _labels(names: pa.Array | pa.ChunkedArray) -> list[str]:
    """Ids as Plotly shows them unchanged: it would read ``<b>`` as bold."""
    return [escape(name) for name in names.to_pylist()]


def _rounded(values: np.ndarray) -> Any:
    """Lists for JSON, six significant digits, None for what is not finite."""
    rounded = np.vectorize(lambda x: float(f"{x:.6g}") if np.isfinite(x) else None, otypes=[object])
    return rounded(values).tolist()


def _figure(data: list[Any], title: str, x: str = "", y: str = "") -> Figure:
    from plotly.graph_objects import Figure, Layout

    layout = Layout(
        title=title,
        xaxis={"title": x, "automargin": True},
        yaxis={"title": y, "automargin": True},
        template="none",
        margin={"l": 60, "r": 20, "t": 60, "b": 50},
    )
    return Figure(data=data, layout=layout)


def _empty(text: str) -> Figure:
    figure = _figure([], text)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure
