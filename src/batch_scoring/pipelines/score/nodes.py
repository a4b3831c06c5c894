"""Windows into predictions with the published champions; every closed window once, changed ones again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scoring.datasets.arrow_parquet import Stream, footer_text
from batch_scoring.fleet.arrow_arrays import empty_table, to_arrow
from batch_scoring.fleet.errors import InputError
from batch_scoring.fleet.fingerprints import row_fingerprints
from batch_scoring.fleet.score import fleet_status, score_fleet
from batch_scoring.fleet.tables import PREDICTIONS
from batch_scoring.ids import Selection, require_known
from batch_scoring.parameters import read_parameters, scheduled_time
from batch_scoring.partition_keys import by_sensor
from batch_scoring.pipelines.score.outcome import Outcome
from batch_scoring.pipelines.score.scope import Scope
from batch_scoring.pipelines.score.scored import KEY, SCORED, Scored, merge_predictions, window_fingerprints
from batch_scoring.publishing import PublishedModel

Partitions = Mapping[str, Callable[[], pq.ParquetFile]]


@dataclass(frozen=True)
class ScoreParameters:
    """``params:score``; see conf/base/parameters_score.yml."""

    from_: datetime | None = None
    to: datetime | None = None
    allowed_lateness: timedelta = timedelta(0)
    rescore: bool = False
    max_failed_share: float = 0.5


def score_windows(
    windows: Partitions,
    fleet_models: Mapping[str, Callable[[], PublishedModel]],
    previous_predictions: Partitions,
    previous_scored: Partitions,
    parameters: dict[str, Any],
    at: Any,
    device: Any,
    sensor: Any,
) -> Iterator[tuple[dict[str, pa.Table], dict[str, pa.Table], dict[str, Stream]]]:
    """Yield the predictions, the status and the bookkeeping of every partition with work to do.

    Parameters
    ----------
    windows : partitions
        Schema ``windows_schema(features)``, by sensor and day, with their digest in the footer.
    fleet_models : mapping of str to callable
        The champion of each sensor.
    previous_predictions, previous_scored : partitions
        What earlier runs wrote, of schemas PREDICTIONS and SCORED.
    parameters : dict
        See :class:`ScoreParameters`.
    at
        The scheduled time of the run, UTC; None for now.
    device, sensor
        What the run is about.

    Yields
    ------
    predictions : dict of str to pyarrow.Table
        One partition, whole: its earlier predictions are carried over.
    status : dict of str to pyarrow.Table
        Schema STATUS, the devices of that partition.
    scored : dict of str to Stream
        Schema SCORED. Last, so that a run killed before it scores the same windows again.

    Raises
    ------
    InputError
        When there are no windows, a device or sensor asked for has none, a model does not fit its
        windows, or, after all that could be scored was yielded, more than
        ``max_failed_share`` of the devices could not.
    """
    settings = read_parameters(ScoreParameters, parameters, "score")
    sensors = by_sensor(windows)
    if not sensors:
        raise InputError("there are no windows yet; run `kedro run --pipelines=aggregate` first")
    selection = Selection.read(device, sensor)
    require_known("sensor", selection.sensors, sensors)
    closed_at = scheduled_time(at) - settings.allowed_lateness
    scope = Scope(settings.from_, settings.to, closed_at, selection, settings.rescore)
    outcome = Outcome()
    found: set[str] = set()
    yield {}, {}, {}
    for name, days in sensors.items():
        if not selection.has_sensor(name):
            continue
        published = fleet_models[name]() if name in fleet_models else None
        for day, key in days.items():
            if selection.devices is not None:
                found.update(pc.unique(windows[key]().read(["device"])["device"]).to_pylist())
            if not scope.has_day(day):
                continue
            files = (_open(partitions, key) for partitions in (previous_predictions, previous_scored))
            result = _score_partition(_Partition(windows[key](), *files), published, scope, outcome)
            if result is not None:
                predictions, status, bookkeeping = result
                yield {key: predictions}, {key: status}, {key: bookkeeping}
    require_known("device", selection.devices, found)
    outcome.finish(settings.max_failed_share)


@dataclass(frozen=True)
class _Partition:
    windows: pq.ParquetFile
    predictions: pq.ParquetFile | None
    scored: pq.ParquetFile | None

    def is_done(self, model_sha256: str) -> bool:
        """Whether nothing has changed since every one of its windows was scored; reads footers only."""
        if self.predictions is None or self.scored is None:
            return False
        wanted = _footer(footer_text(self.windows, "digest"), model_sha256, is_complete=True)
        return all(footer_text(self.scored, name) == value for name, value in wanted.items())


def _score_partition(
    partition: _Partition, published: PublishedModel | None, scope: Scope, outcome: Outcome
) -> tuple[pa.Table, pa.Table, Stream] | None:
    """The predictions, status and bookkeeping of a partition; None where they are as they should be."""
    sha256 = published.manifest.sha256 if published else "none"
    if scope.is_all and not scope.rescore and partition.is_done(sha256):
        return None
    windows = partition.windows.read()
    closed = scope.closed(windows)
    if not closed.any():
        return None
    old = partition.predictions.read() if partition.predictions else empty_table(PREDICTIONS)
    keys, contents = window_fingerprints(windows)
    scored = Scored.read(partition.scored.read() if partition.scored else None)
    is_scored = scored.holds(keys, contents) & np.isin(keys, row_fingerprints(old, KEY))
    in_scope = scope.mask(windows)
    pending = in_scope if scope.rescore else in_scope & ~is_scored
    new = empty_table(PREDICTIONS)
    if published and pending.any():
        rows = windows.filter(to_arrow(pending))
        new, _ = score_fleet(rows, published.model, published.manifest.version)
    # Outside the scope even an outdated prediction stands: another run will see to it.
    merged = merge_predictions(old, new, keys[is_scored | ~in_scope])
    status = fleet_status(windows.filter(to_arrow(closed)), merged, published.model if published else None)
    outcome.add(status, new)
    now_scored = is_scored | (pending & np.isin(keys, row_fingerprints(new, KEY)))
    bookkeeping = Scored.of(keys[now_scored], contents[now_scored]).table()
    is_complete = scope.is_all and bool(closed.all())
    footer = _footer(footer_text(partition.windows, "digest"), sha256, is_complete)
    return merged, status, Stream(SCORED, iter([bookkeeping]), footer)


def _footer(windows_digest: str, model_sha256: str, is_complete: bool) -> dict[str, str]:
    return {"windows": windows_digest, "model": model_sha256, "complete": "yes" if is_complete else "no"}


def _open(partitions: Partitions, key: str) -> pq.ParquetFile | None:
    return partitions[key]() if key in partitions else None
