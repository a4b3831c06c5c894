"""The seconds of each hour of a day, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hourly_site import STEPS


def draw(hours: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the steps of every hour on top of each other, one diagram a size of fleet.

    Parameters
    ----------
    hours : sequence of dict
        ``series``, ``hour``, and ``steps`` with the seconds of each.
    path : path
        PNG file to write.
    """
    from matplotlib.figure import Figure

    fleets = sorted({row["series"] for row in hours})
    figure = Figure(figsize=(5.5 * len(fleets), 3.5), layout="constrained")
    for axes, series in zip(figure.subplots(1, len(fleets), squeeze=False)[0], fleets, strict=True):
        rows = sorted((row for row in hours if row["series"] == series), key=lambda row: row["hour"])
        below = np.zeros(len(rows))
        for step in STEPS:
            seconds = np.array([row["steps"][step] for row in rows])
            axes.bar([row["hour"] for row in rows], seconds, bottom=below, label=step)
            below += seconds
        axes.set(title=f"{series:,} series", xlabel="hour of the day", xticks=[1, 6, 12, 18, 23])
        axes.margins(x=0.01)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("seconds of the hourly run")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right center", reverse=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
