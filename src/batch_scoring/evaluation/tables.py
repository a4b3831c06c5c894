"""Write an evaluation as tables: its figures at every level, and the outcome of every event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pyarrow as pa

from batch_scoring.evaluation.metrics.figures import RATIOS, figures
from batch_scoring.evaluation.metrics.tally import Tally
from batch_scoring.tables.arrays import Float, Int
from batch_scoring.tables.schemas import EVALUATED_EVENTS, FIGURES

_COUNTS = [field.name for field in FIGURES if field.type == pa.int64()]
POOLED = [name for name in FIGURES.names if name.startswith("pooled_")]
DELAYS = {"delay_median_seconds": 0.5, "delay_p90_seconds": 0.9}


def event_table(
    tally: Tally, events: Sequence[pa.Table], n_windows: Sequence[Int], n_missing: Sequence[Int]
) -> pa.Table:
    """Tabulate the outcome of every event, one row per method and event.

    Parameters
    ----------
    events : sequence of pyarrow.Table
        Schema ``LABELS``: the evaluated events of each sensor.
    n_windows, n_missing : sequence of array
        Of each event: its evaluated windows with a prediction, and its missing windows.
    """
    together = pa.concat_tables(events).combine_chunks()
    windows, missing = (np.concatenate([np.zeros(0, np.int64), *n]) for n in (n_windows, n_missing))
    parts = []
    for name, one in tally.methods.items():
        delay = np.concatenate([np.zeros(0), *(of.delay_seconds for of in one.outcomes)])
        columns = {
            "method": pa.array([name] * together.num_rows, pa.string()),
            **{key: together[key] for key in ("device", "sensor", "kind", "start", "end")},
            "n_windows": pa.array(windows),
            "n_missing": pa.array(missing),
            "is_found": pa.array(np.concatenate([np.zeros(0, bool), *(of.is_found for of in one.outcomes)])),
            "delay_seconds": _nullable(delay),
        }
        parts.append(pa.table([columns[key] for key in EVALUATED_EVENTS.names], schema=EVALUATED_EVENTS))
    return pa.concat_tables(parts).combine_chunks()


def figure_table(tally: Tally, of_devices: Mapping[str, Mapping[str, Float]], events: pa.Table) -> pa.Table:
    """Tabulate the figures over the fleet, by sensor, by device and by series, one row per method each.

    Parameters
    ----------
    of_devices : mapping of str to mapping of str to array
        ``Tally.of_devices`` by method.
    events : pyarrow.Table
        Schema ``EVALUATED_EVENTS``.

    Returns
    -------
    pyarrow.Table
        Schema ``FIGURES``. Undefined figures, such as an AUC without both classes, are null.
    """
    devices = list(tally.devices)
    series_device, series_sensor = (np.concatenate(n) for n in (tally.series_device, tally.series_sensor))
    parts = []
    for method in tally.methods:
        pooled = {
            name: np.array([of.pooled[name.removeprefix("pooled_")] for of in tally.methods[method].outcomes])
            for name in POOLED
        }
        fleet = {name: values.sum(keepdims=True) for name, values in of_devices[method].items()}
        fleet_pooled = {name: _mean(values) for name, values in pooled.items()}
        of_series = [tally.sensors[i] for i in series_sensor], [devices[i] for i in series_device]
        rows = partial(_rows, method=method, events=events)
        parts.append(
            [
                rows("fleet", [None], [None], fleet, fleet_pooled),
                rows("sensor", tally.sensors, [None] * len(tally.sensors), tally.of_sensors(method), pooled),
                rows("device", [None] * len(devices), devices, of_devices[method], {}),
                rows("series", *of_series, tally.of_series(method), {}),
            ]
        )
    # By level, and for each level by method.
    return pa.concat_tables(
        part for of_level in zip(*parts, strict=True) for part in of_level
    ).combine_chunks()


def _rows(
    level: str,
    sensors: Sequence[str | None],
    devices: Sequence[str | None],
    sums: Mapping[str, Float],
    pooled: Mapping[str, Float],
    method: str,
    events: pa.Table,
) -> pa.Table:
    ratios = figures(sums)
    nothing = np.full(len(sensors), np.nan)
    delays = _delays(events, method, sensors, devices)
    columns = {
        "level": [level] * len(sensors),
        "method": [method] * len(sensors),
        "sensor": sensors,
        "device": devices,
        **{name: _whole(sums.get(name), len(sensors)) for name in _COUNTS},
        "sensor_weeks": sums["sensor_weeks"],
        **{name: _nullable(ratios.get(name, nothing)) for name in RATIOS},
        **{name: _nullable(pooled.get(name, nothing)) for name in POOLED},
        **{name: _nullable(values) for name, values in delays.items()},
    }
    return pa.table([pa.array(columns[f.name], f.type) for f in FIGURES], schema=FIGURES)


def _delays(
    events: pa.Table, method: str, sensors: Sequence[str | None], devices: Sequence[str | None]
) -> dict[str, Float]:
    """Compute the quantiles of the delays of found events, of each row; NaN where none was found."""
    keys = list(zip(sensors, devices, strict=True))
    has_sensor, has_device = keys[0][0] is not None, keys[0][1] is not None
    found: dict[tuple[str | None, str | None], list[float]] = {key: [] for key in keys}
    columns = (events[name].to_pylist() for name in ("method", "sensor", "device", "delay_seconds"))
    for its_method, sensor, device, delay in zip(*columns, strict=True):
        if its_method == method and delay is not None:
            found[sensor if has_sensor else None, device if has_device else None].append(delay)
    return {
        name: np.array([np.quantile(found[key], share) if found[key] else np.nan for key in keys])
        for name, share in DELAYS.items()
    }


def _whole(values: Float | None, n: int) -> pa.Array:
    return pa.nulls(n, pa.int64()) if values is None else pa.array(np.round(values).astype(np.int64))


def _mean(values: Float) -> Float:
    known = values[np.isfinite(values)]
    return np.array([known.mean() if known.size else np.nan])


def _nullable(values: Float) -> pa.Array:
    return pa.array(values, pa.float64(), mask=~np.isfinite(values))
