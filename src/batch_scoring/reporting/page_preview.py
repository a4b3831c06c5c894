"""The heat map of a report page as a figure of Plotly's JSON form: what Kedro-Viz shows of the page."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from typing import Any

import numpy as np

_DATA = re.compile(r'<script type="application/json" id="report-data">(.*?)</script>', re.DOTALL)


def heat_figure(page: str) -> dict[str, Any]:
    """Draw the share of anomalous windows by device and time, as the page does.

    Parameters
    ----------
    page : str
        The page's HTML, as :func:`~batch_scoring.reporting.page.render_page` returns it.

    Returns
    -------
    dict
        ``data`` and ``layout``. Devices are those of the page, the worst at the top; times are UTC. Without
        windows, or in a text of another form, the map is empty.
    """
    found = _DATA.search(page)
    data = json.loads(found[1]) if found else {}
    names = [device[0] for device in data.get("devices", ())]
    heat = data.get("heat") or {"n": 0}
    cells: dict[str, Any] = {"x": [], "y": [], "z": []}
    if heat["n"]:
        of_series = {name: _unpack(heat, name) for name in ("windows", "anomalies")}
        device = np.array([series[0] for series in data["series"]])
        counts = {
            name: np.array([of_series[name][device == place].sum(axis=0) for place in range(len(names))])
            for name in of_series
        }
        with np.errstate(invalid="ignore"):
            share = counts["anomalies"] / counts["windows"]
        times = [(heat["first"] + i) * data["cell"] for i in range(heat["n"])]
        cells = {
            "x": [datetime.fromtimestamp(time, UTC).isoformat() for time in times],
            "y": names,
            "z": [[None if np.isnan(value) else round(value, 4) for value in row] for row in share.tolist()],
        }
    return {
        "data": [
            {"type": "heatmap", "zmin": 0, "zmax": 1, "colorscale": "YlOrRd", "reversescale": True, **cells}
        ],
        "layout": {
            "title": {"text": "Share of anomalous windows, by device and time"},
            "xaxis": {"title": {"text": "UTC"}},
            # An id of digits is a name, too; the first device is drawn at the top.
            "yaxis": {"type": "category", "autorange": "reversed", "automargin": True},
        },
    }


def _unpack(heat: dict[str, Any], name: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(heat[name]), f"<{heat['kind']}").reshape(-1, heat["n"]).astype(int)
