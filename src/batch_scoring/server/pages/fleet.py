"""The fleet: search, filters, and the heat map of a page of devices."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from batch_scoring.core.moments import DAY_US
from batch_scoring.incidents.evidence import LEVELS
from batch_scoring.server import request_values as asked
from batch_scoring.server.pages.rendering import as_time, render, site_of, url, with_query
from batch_scoring.server.pages.shared import groups_of, paged, show, states_of, totals_of
from batch_scoring.server.queries.device import DEFAULT_US
from batch_scoring.server.queries.device_states import STATES, DeviceStates
from batch_scoring.server.queries.fleet import (
    ROWS_A_PAGE,
    Filter,
    Heat,
    Ranked,
    count_heat,
    rank_devices,
)
from batch_scoring.server.queries.totals import FleetTotals
from batch_scoring.tables.arrow_arrays import strings

SHADES = (0.02, 0.05, 0.15, 0.4)
_RANGES = {"1d": 1, "3d": 3, "7d": 7, "14d": 14, "30d": 30}


def fleet(request: Request) -> Response:
    """Show a page of devices."""
    workspace = site_of(request).workspace
    values = request.query_params
    totals = totals_of(workspace)
    if not len(totals.devices):
        return render(request, "nothing.html", as_of=None)
    if set(values) == {"q"} and values["q"] in totals.names:  # what "Find a device" asks for
        return RedirectResponse(url("/device", id=values["q"]), 303)
    states = states_of(workspace)
    groups = groups_of(workspace)
    wanted, shown = _wanted(values, totals, states, groups)
    ranked = rank_devices(totals, wanted, states.priority)
    here, links = paged(request, ranked.device.size, ROWS_A_PAGE)
    heat = count_heat(
        totals, workspace.table("predictions"), ranked.device[here], wanted.sensor, ranked.start, ranked.end
    )
    return show(
        request,
        "fleet.html",
        rows=_rows(totals, states, ranked, here, heat, wanted.sensor),
        heads=_heads(heat),
        heat=heat,
        shown=shown,
        n=ranked.device.size,
        n_all=len(totals.devices),
        **links,
        zoomed_out=with_query(request, from_="", to="", page=""),
        sensors=totals.sensors.to_pylist(),
        groups=[*groups],
        levels=LEVELS,
        states=STATES,
        ranges=[(name, with_query(request, range=name, page="", from_="", to="")) for name in _RANGES],
        is_cut=totals.is_cut,
        start=ranked.start,
        end=ranked.end,
        shades=SHADES,
        data={"cell": heat.cell / 1e6, "first": heat.first / 1e6, "sensor": wanted.sensor},
    )


def _wanted(
    values: Any, totals: FleetTotals, states: DeviceStates, groups: dict[str, list[str]]
) -> tuple[Filter, dict[str, Any]]:
    """Read the filter of a URL, and the values to show in its fields."""
    sensors = totals.sensors.to_pylist()
    shown: dict[str, Any] = {
        "q": asked.text(values, "q"),
        "group": asked.choice(values, "group", groups),
        "state": asked.choice(values, "state", STATES),
        "level": asked.choice(values, "level", LEVELS),
        "sensor": asked.choice(values, "sensor", sensors),
        "order": asked.choice(values, "order", ("worst", "name"), "worst"),
        "range": asked.choice(values, "range", tuple(_RANGES), "14d"),
        "from": asked.moment(values, "from"),
        "to": asked.moment(values, "to"),
    }
    start = shown["from"]
    if start is None:
        start = (totals.end - 1) // DAY_US * DAY_US - (_RANGES[shown["range"]] - 1) * DAY_US
    ids = None
    if shown["group"]:
        ids = strings(groups[shown["group"]])
    if shown["state"] or shown["level"]:
        names = states.named(totals, shown["state"], shown["level"])
        ids = names if ids is None else _both(ids, names)
    return Filter(shown["q"], ids, shown["sensor"], start, shown["to"], shown["order"]), shown


def _both(a: pa.Array, b: pa.Array) -> pa.Array:
    return a.filter(pc.is_in(a, value_set=b)) if len(a) else a


def _rows(
    totals: FleetTotals, states: DeviceStates, ranked: Ranked, here: slice, heat: Heat, sensor: str
) -> list[dict[str, Any]]:
    columns = (ranked.device, ranked.windows, ranked.anomalies, ranked.severity, ranked.last_day)
    part = [one[here].tolist() for one in columns]
    found = []
    for i, (device, windows, anomalies, severity, last_day) in enumerate(zip(*part, strict=True)):
        name = totals.names[device]
        counts = heat.windows[i], heat.anomalies[i]
        cells = zip(shade(*counts), *(one.tolist() for one in counts), strict=True)
        found.append(
            {
                "id": name,
                "link": url("/device", id=name, sensor=sensor, **_days_to_open(last_day, totals.end)),
                "state": states.words(device),
                "windows": windows,
                "anomalies": anomalies,
                "severity": severity,
                "cells": list(cells),
            }
        )
    return found


def _days_to_open(last_day: int, newest: int) -> dict[str, str]:
    """Choose the newest anomalous day, unless the page of a device opens at it by itself."""
    start = last_day * DAY_US
    if last_day < 0 or start >= newest - DEFAULT_US:
        return {}
    return {"from_": as_time(start), "to": as_time(start + DAY_US)}


def shade(windows: Any, anomalies: Any) -> list[str]:
    """Name the shade of each cell by its share of anomalous windows.

    Examples
    --------
    >>> shade(np.array([0, 10, 100, 10]), np.array([0, 0, 3, 9]))
    ['none', 'h0', 'h2', 'h5']
    """
    share = np.divide(anomalies, windows, out=np.zeros(len(windows)), where=windows > 0)
    level = np.where(anomalies > 0, 1 + np.searchsorted(SHADES, share, "left"), 0)
    return ["none" if not n else f"h{x}" for n, x in zip(windows.tolist(), level.tolist(), strict=True)]


def _heads(heat: Heat) -> list[tuple[str, int]]:
    """Return the labels above the cells, and how many cells each is above: days, or months."""
    n = heat.windows.shape[1]
    times = [datetime.fromtimestamp((heat.first + j * heat.cell) / 1e6, UTC) for j in range(n)]
    labels = [f"{t.day} {t:%b}" if heat.cell <= DAY_US else f"{t:%b %Y}" for t in times]
    found: list[list[Any]] = []
    for label in labels:
        if found and found[-1][0] == label:
            found[-1][1] += 1
        else:
            found.append([label, 1])
    every = -(-len(found) // 16)
    parts = [found[i : i + every] for i in range(0, len(found), every)]
    return [(part[0][0], sum(one[1] for one in part)) for part in parts]
