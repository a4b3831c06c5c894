"""Read the daily totals of the newest days beside the models, one range of devices at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta

import pyarrow as pa

from batch_scoring.core.moments import DAY_US, MICROSECOND
from batch_scoring.detection.detectors import DETECTORS
from batch_scoring.monitoring.drift import DriftLimits, Watched, drift_table
from batch_scoring.registry.published import PublishedModel
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.device_ranges import BATCH_ROWS, by_sensor, device_ranges
from batch_scoring.tables.schemas import DAILY, MODEL_KEYS

_MODELS = pa.schema([MODEL_KEYS.field(name) for name in ("device", "trained_from")])


def recent_span(totals: RowTable, length: timedelta, until: int | None) -> tuple[int, int] | None:
    """Return the range of the newest days, ``[start, end)`` in µs since the epoch; None without windows.

    It starts at midnight (UTC) and ends with the newest window: the last of its days may not be over.

    Parameters
    ----------
    totals : RowTable
        Schema DAILY.
    length : timedelta
        At least a day.
    until : int, optional
        Days that begin then or later are left out.
    """
    files = totals.files(None, until)
    end = max((file.bounds["last_end"][1] for file in files if "last_end" in file.bounds), default=None)
    if end is None:
        return None
    days = max(length // MICROSECOND // DAY_US, 1)
    return (end - 1) // DAY_US * DAY_US - (days - 1) * DAY_US, end


def drift_tables(
    totals: RowTable, models: Mapping[str, PublishedModel], span: tuple[int, int], limits: DriftLimits
) -> Iterator[pa.Table]:
    """Compute the drift of all sensors in a range; schema DRIFT, sorted by sensor and device."""
    sources = [(DAILY, totals.batches(file)) for file in totals.files(*span)]
    ranges = device_ranges(sources, key=("sensor", "device"))
    tables = (
        pa.concat_tables(parts).sort_by([("sensor", "ascending"), ("device", "ascending")])
        for parts in ranges
    )
    yield from (drift_table(watched, span, limits) for watched in _joined(_watched(tables, models)))


def _watched(tables: Iterable[pa.Table], models: Mapping[str, PublishedModel]) -> Iterator[Watched]:
    """Yield the totals of each sensor, a range of devices at a time, beside their models."""
    for sensor, rows in by_sensor(tables):
        published = models.get(sensor)
        version = published.manifest.version if published else ""
        states = published is not None and DETECTORS[published.models.info.detector].states_tail_probability
        batches = published.models.batches(_MODELS.names) if published else iter(())
        for part, its_models in device_ranges([(DAILY, rows), (_MODELS, batches)], {1}):
            yield Watched(sensor, part, its_models, version, states)


def _joined(watched: Iterable[Watched]) -> Iterator[list[Watched]]:
    """Join small ranges, so that a thousand sensors of few devices cost what one of many does."""
    held: list[Watched] = []
    n_rows = 0
    for one in watched:
        held.append(one)
        n_rows += one.totals.num_rows + one.models.num_rows
        if n_rows >= BATCH_ROWS:
            yield held
            held, n_rows = [], 0
    if held:
        yield held
