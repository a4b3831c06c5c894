"""Summarise a finished run: its counts as data, and as aligned plain text."""

from __future__ import annotations

import functools
import textwrap
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.text import number, printable, read_length
from batch_scoring.reporting.contents import Contents
from batch_scoring.reporting.fleet_view import FleetView
from batch_scoring.reporting.incident_list import IncidentList
from batch_scoring.reporting.incident_words import brief
from batch_scoring.reporting.known_faults import FoundFaults
from batch_scoring.storage import is_remote
from batch_scoring.tables.arrow_arrays import are, as_rows, to_arrow, to_numpy
from batch_scoring.tables.schemas import OF_PEAK
from batch_scoring.training.history import KINDS

SHOWN = 5
SHOWN_SERIES = 3
SHOWN_INCIDENTS = 3
LINE = 110
PAGE = "08_reporting/report.html"
_WEEK = timedelta(weeks=1)
_INDENT = " " * 28
_TIMES = ("start", "end", "last_start")
_OF_INCIDENT = [
    *(*_TIMES, "kind", "device", "state", "level", "priority", "n_devices", "n_sensors", "sensors"),
    *("n_windows", "peak_severity", "warming_up", "advice", "peak_sensor", "top_feature", *OF_PEAK),
]


def summarise(contents: Contents, data: str) -> dict[str, Any]:
    """Collect the counts of a report as plain data.

    Parameters
    ----------
    contents : Contents
    data : str
        The folder of the workspace.

    Returns
    -------
    dict
        Ready for JSON; times are ISO 8601, UTC.
    """
    view = contents.view
    n_scored = pc.sum(view.devices["n_windows"]).as_py() or 0
    n_anomalies = pc.sum(view.devices["n_anomalies"]).as_py() or 0
    anomalous = view.devices.filter(to_arrow(to_numpy(view.devices["n_anomalies"]) > 0))
    quarantine = dict(zip(*(contents.quarantine[n].to_pylist() for n in ("reason", "count")), strict=True))
    return {
        "start": _iso(view.start),
        "end": _iso(view.end),
        "history_start": _iso(view.history),
        "window_seconds": view.window.total_seconds(),
        "devices": view.devices.num_rows,
        "sensors": pc.count_distinct(view.series["sensor"]).as_py(),
        "readings": contents.n_readings,
        "sources": contents.n_sources,
        "windows": {"aggregated": contents.n_windows, "scored": n_scored},
        "calibrated": _calibrated(contents.statuses),
        "models": view.series.num_rows,
        "model_versions": [
            {"sensor": row["sensor"], "version": row["model_version"], "devices": row["n_devices"]}
            for row in view.versions.select(["sensor", "model_version", "n_devices"]).to_pylist()
        ],
        "anomalies": {
            "windows": n_anomalies,
            "share": n_anomalies / n_scored if n_scored else 0.0,
            "devices": anomalous.num_rows,
            "worst": _worst(anomalous),
        },
        "alarms": compare_alarms(contents.view),
        "incidents": _incidents(contents.incidents),
        "quarantined": {"total": sum(quarantine.values()), "by_reason": quarantine},
        "not_scored": {
            "series": contents.not_scored.num_rows,
            "by_status": _counts(contents.not_scored["status"]),
            "first": contents.not_scored.slice(0, SHOWN_SERIES).to_pylist(),
        },
        "training_notes": _training_notes(contents.statuses),
        "known_faults": _faults(contents.found_faults),
        "data": data,
    }


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    return {
        pair["values"]: pair["counts"]
        for pair in sorted(pc.value_counts(column).to_pylist(), key=lambda p: p["values"])
    }


def _calibrated(statuses: pa.Table) -> dict[str, Any] | None:
    """Count the recalibrated series and name the newest day; None where none is."""
    days = _counts(statuses["calibrated"].filter(to_arrow(~are(statuses["calibrated"], ""))))
    return {"series": sum(days.values()), "day": max(days)} if days else None


def _worst(anomalous: pa.Table) -> dict[str, Any] | None:
    if not anomalous.num_rows:
        return None
    worst = next(as_rows(anomalous.slice(0, 1)))
    return {"device": worst["device"], "windows": worst["n_anomalies"], "sensor": worst["worst_sensor"]}


def compare_alarms(view: FleetView) -> dict[str, float] | None:
    """Compare the alarms a sensor-week with the budget; None where no threshold is a share of windows."""
    # Thresholds are log10 of that share where scores are tail probabilities, as their counts by decade say.
    states_share = to_numpy(pc.list_value_length(view.totals["decades"])) > 0
    rows = view.totals.filter(to_arrow(states_share & (to_numpy(view.totals["n_windows"]) > 0)))
    if not rows.num_rows:
        return None
    n_windows = to_numpy(rows["n_windows"])
    asked = 10.0 ** to_numpy(rows["threshold"]) * (_WEEK / view.window)
    weeks = n_windows.sum() * (view.window / _WEEK)
    return {
        "per_sensor_week": float(to_numpy(rows["n_alarms"]).sum() / weeks),
        "budget_per_sensor_week": float((asked * n_windows).sum() / n_windows.sum()),
    }


def _incidents(found: IncidentList) -> dict[str, Any] | None:
    """Count the device incidents; None before `incidents` has run."""
    if not found.is_known:
        return None
    # What is open now first, then the others, each with its place in the list.
    is_open = are(found.devices["state"], "open")
    place = np.argsort(~is_open, kind="stable")[:SHOWN_INCIDENTS]
    shown = found.devices.select(_OF_INCIDENT).take(to_arrow(place))
    first = [{"rank": 1 + at, **row} for at, row in zip(place.tolist(), as_rows(shown), strict=True)]
    return {
        "devices": found.devices.num_rows,
        "open": int(is_open.sum()),
        "silent": pc.sum(pc.ends_with(found.devices["kind"], "_silent")).as_py() or 0,
        "warming_up": pc.sum(found.devices["warming_up"]).as_py() or 0,
        "outliers": found.outliers.num_rows,
        "first": [{**row, **{name: _iso(row[name]) for name in _TIMES}} for row in first],
    }


def _training_notes(statuses: pa.Table) -> dict[str, Any]:
    """Count the models whose training lacked or held something, by kind of note."""
    messages = statuses.filter(to_arrow(are(statuses["stage"], "train")))["message"]
    has = {kind: pc.match_substring(messages, f"{kind}: ") for kind in KINDS}
    counts = {kind: pc.sum(mask).as_py() or 0 for kind, mask in has.items()}
    noted = pc.sum(functools.reduce(pc.or_, has.values())).as_py() or 0
    return {"models": noted, "by_kind": {kind: count for kind, count in counts.items() if count}}


def _faults(found: FoundFaults | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "found": sum(n for _, n, _ in found.by_kind),
        "total": found.faults.num_rows,
        "by_kind": {kind: {"found": n, "total": total} for kind, n, total in found.by_kind},
        "false_alarms": found.false_alarms,
        "device_days": found.device_days,
        "false_alarms_per_device_day": found.false_alarms_per_device_day,
    }


def write_summary(summary: dict[str, Any]) -> str:
    """Write the summary as plain text, at most 30 lines of 110 characters.

    Parameters
    ----------
    summary : dict
        As :func:`summarise` returns it.
    """
    lines = [_title(summary), ""]
    lines += (
        _history(summary) + _readings(summary) + _windows(summary) + _models(summary) + _anomalies(summary)
    )
    lines += _open_incidents(summary["incidents"])
    lines += (
        _quarantined(summary["quarantined"])
        + _not_scored(summary)
        + _noted(summary["training_notes"])
        + _known_faults(summary["known_faults"])
    )
    data = summary["data"]
    make = "" if data == "data" else f" DATA={data}"
    # A container holds no MLflow database, whose server has a page of its own, nor a page to open from here.
    here = [
        (f"{data}/{PAGE}", "the same in one file; open it in a browser"),
        (f"make mlflow{make}", "training runs and model versions"),
    ]
    look = [
        (f"make watch{make}", "the fleet's pages: look at any device, act on incidents"),
        *([] if is_remote(data) else here),
        (f"make viz{make}", "the pipelines and their figures, in Kedro-Viz"),
    ]
    width = max(len(where) for where, _ in look) + 3
    lines += ["", "Where to look next", *(f"  {where:<{width}}{what}" for where, what in look)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _title(summary: dict[str, Any]) -> str:
    if summary["start"] is None:
        return "Fleet report: nothing has been scored yet"
    start, end = (
        datetime.fromisoformat(summary[name]).strftime("%Y-%m-%d %H:%M") for name in ("start", "end")
    )
    fleet = f"{number(summary['devices'], 'device')}, {number(summary['sensors'], 'sensor')}"
    return f"Fleet report: {fleet}, {start} to {end} UTC"


def _history(summary: dict[str, Any]) -> list[str]:
    if summary["history_start"] is None:
        return []
    since = datetime.fromisoformat(summary["history_start"]).strftime("%Y-%m-%d")
    return [_line("History", None, f"since {since}; this report covers the newest days (report.range)")]


def _readings(summary: dict[str, Any]) -> list[str]:
    if summary["readings"] is None:
        return []
    return [_line("Readings", summary["readings"], f"stored, from {number(summary['sources'], 'source')}")]


def _windows(summary: dict[str, Any]) -> list[str]:
    windows = summary["windows"]
    length = read_length(summary["window_seconds"])
    if not windows["scored"]:
        return [_line("Windows", 0, f"scored of {windows['aggregated'] or 0:,}")]
    there = windows["aggregated"]
    of = f" of {there:,}" if there and there != windows["scored"] else ""
    found = summary["calibrated"]
    news = f"; {found['series']:,} series recalibrated, last on {found['day']}" if found else ""
    return [_line("Windows", windows["scored"], f"scored{of}, {length} each{news}")]


def _models(summary: dict[str, Any]) -> list[str]:
    versions = [f"{printable(v['sensor'])} v{printable(v['version'])}" for v in summary["model_versions"]]
    return [_line("Models", summary["models"], _enumerate(versions, "no model has scored yet"))]


def _anomalies(summary: dict[str, Any]) -> list[str]:
    found = summary["anomalies"]
    if not found["windows"]:
        return [_line("Anomalies", 0, "")]
    what = _noun(found["windows"], "window")
    text = f"{what} ({found['share']:.2%}) on {found['devices']:,} of {number(summary['devices'], 'device')}"
    lines = [_line("Anomalies", found["windows"], text)]
    if found["worst"] and summary["incidents"] is None:
        worst = found["worst"]
        device, sensor = printable(worst["device"]), printable(worst["sensor"])
        text = f"worst: device {device}, {number(worst['windows'], 'window')}, most on sensor {sensor}"
        lines.append(_line("", None, text))
    return lines + _budget(summary["alarms"])


def _budget(alarms: dict[str, float] | None) -> list[str]:
    if alarms is None:
        return []
    found, asked = alarms["per_sensor_week"], alarms["budget_per_sensor_week"]
    text = f"{found:.2f} alarms a sensor-week, true ones among them; the budget of false ones is {asked:.2g}"
    return [_line("", None, text)]


def _open_incidents(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return []
    what = _noun(found["devices"], "device incident")
    silent = f", {found['silent']:,} of them silence" if found["silent"] else ""
    young = f", {found['warming_up']:,} of models that are warming up" if found["warming_up"] else ""
    outliers = f"; {number(found['outliers'], 'outlier reading')}" if found["outliers"] else ""
    lines = [_line("Incidents", found["devices"], f"{what}, {found['open']:,} open{silent}{young}{outliers}")]
    for one in found["first"]:
        times = {name: datetime.fromisoformat(one[name]) for name in _TIMES}
        lines += brief(one["rank"], {**one, **times}, LINE)
    return lines


def _quarantined(quarantined: dict[str, Any]) -> list[str]:
    reasons = [f"{count:,} {_words(reason)}" for reason, count in quarantined["by_reason"].items()]
    return [_line("Quarantined", quarantined["total"], _enumerate(reasons, "nothing was refused"))]


def _not_scored(summary: dict[str, Any]) -> list[str]:
    missing = summary["not_scored"]
    n_all = missing["series"] + summary["models"]
    if not n_all:
        return []
    lines = [_line("Not scored", missing["series"], f"of {n_all:,} series (a device and sensor)")]
    rows = [
        (f"{printable(r['device'])} {printable(r['sensor'])}", r["status"], printable(r["message"] or ""))
        for r in missing["first"]
    ]
    widths = [min(40, max((len(row[i]) for row in rows), default=0)) for i in (0, 1)]
    lines += [
        _shorten(f"{_INDENT}{name:<{widths[0]}}  {status:<{widths[1]}}  {text}")
        for name, status, text in rows
    ]
    if missing["series"] > len(rows):
        by_status = ", ".join(f"{count:,} {status}" for status, count in missing["by_status"].items())
        lines.append(_shorten(f"{_INDENT}and {missing['series'] - len(rows):,} more; in total {by_status}"))
    return lines


def _noted(notes: dict[str, Any]) -> list[str]:
    if not notes["models"]:
        return []
    counts = ", ".join(f"{count:,} {kind}" for kind, count in notes["by_kind"].items())
    what = _noun(notes["models"], "model")
    return [_line("Trained on", notes["models"], f"{what} with a note: {counts}; see the status table")]


def _known_faults(faults: dict[str, Any] | None) -> list[str]:
    if faults is None:
        return []
    kinds = [f"{_words(kind)} {n['found']} of {n['total']}" for kind, n in faults["by_kind"].items()]
    what = _noun(faults["false_alarms"], "window")
    rate = f"{what} outside any known fault, {faults['false_alarms_per_device_day']:.2f} per device-day"
    return [
        _line("Known faults", faults["found"], f"of {faults['total']:,} found"),
        *_wrap(kinds),
        _line("False alarms", faults["false_alarms"], rate),
    ]


def _wrap(items: list[str]) -> list[str]:
    """Wrap the items into at most two lines."""
    whole = ", ".join(item.replace(" ", "\u00a0") for item in items)
    lines = textwrap.wrap(whole, LINE - len(_INDENT), max_lines=2, placeholder=" …")
    return [_INDENT + line.replace("\u00a0", " ") for line in lines]


def _noun(n: int, what: str) -> str:
    return number(n, what).partition(" ")[2]


def _words(name: str) -> str:
    return printable(name).replace("_", " ")


def _line(name: str, count: int | None, text: str) -> str:
    shown = "" if count is None else f"{count:,}"
    return _shorten(f"{name:<13}{shown:>13}  {text}")


def _shorten(line: str) -> str:
    return line if len(line) <= LINE else line[: LINE - 1].rstrip() + "…"


def _enumerate(items: list[str], otherwise: str) -> str:
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return (", ".join(items[:SHOWN]) or otherwise) + more
