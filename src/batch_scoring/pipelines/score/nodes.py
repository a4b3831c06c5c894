"""Nodes of ``score``: score every closed window once with the champions, changed windows again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Selection, require_known
from batch_scoring.core.parameters import read_parameters, scheduled_time
from batch_scoring.registry.published import PublishedModel
from batch_scoring.scoring.outcome import Outcome
from batch_scoring.scoring.partition import Partition
from batch_scoring.scoring.scope import Scope
from batch_scoring.scoring.settings import ScoreParameters
from batch_scoring.tables.device_ranges import read_batches
from batch_scoring.tables.partitions import Partitions, by_sensor
from batch_scoring.tables.streams import Stream


def score_windows(
    windows: Partitions,
    fleet_models: Mapping[str, Callable[[], PublishedModel]],
    previous_predictions: Partitions,
    previous_status: Partitions,
    parameters: dict[str, Any],
    at: Any,
    device: Any,
    sensor: Any,
    shard: Any = None,
) -> Iterator[tuple[dict[str, Stream], dict[str, Stream], dict[str, Any]]]:
    """Yield the predictions and the status of every partition with work to do.

    Parameters
    ----------
    windows : partitions
        Schema ``windows_schema(features)``, by sensor and day, with their digest in the footer.
    fleet_models : mapping of str to callable
        The champion of each sensor.
    previous_predictions, previous_status : partitions
        Schemas PREDICTIONS and STATUS, of earlier runs.
    parameters : dict
        See :class:`ScoreParameters`.
    at
        The scheduled time of the run, UTC; None for now.
    device, sensor, shard
        The selection of the run.

    Yields
    ------
    predictions : dict of str to Stream
        Schema PREDICTIONS; one partition, whole: its earlier predictions are carried over.
    status : dict of str to Stream
        Schema STATUS, the devices of that partition; to be read after its predictions. Saved last,
        so that a run killed before it looks at the partition again.
    score_counts : dict
        See :meth:`Outcome.finish`; empty until the last chunk. Its ``shortfalls`` end the whole run with an
        error after its last node: what was scored goes on to incidents and their alerts first.

    Raises
    ------
    InputError
        When there are no windows, a device or sensor asked for has none, a model is damaged or does
        not fit its windows.
    """
    settings = read_parameters(ScoreParameters, parameters, "score")
    sensors = by_sensor(windows)
    if not sensors:
        raise InputError("there are no windows yet; run `kedro run --pipelines=aggregate` first")
    selection = Selection.read(device, sensor, shard)
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
                found.update(_devices(windows[key]()))
            files = (_open(partitions, key) for partitions in (previous_predictions, previous_status))
            partition = Partition(windows[key](), *files)
            is_done = not scope.rescore and partition.is_done(published)
            if is_done or not scope.has_day(day) or not scope.has_closed(partition.windows):
                continue
            predictions, status = partition.score(published, scope, outcome)
            yield {key: predictions}, {key: status}, {}
    require_known("device", selection.devices, found)
    yield {}, {}, outcome.finish(settings.max_failed_share)


def _devices(windows: pq.ParquetFile) -> Iterator[str]:
    for batch in read_batches(windows, ["device"]):
        yield from pc.unique(batch["device"]).to_pylist()


def _open(partitions: Partitions, key: str) -> pq.ParquetFile | None:
    return partitions[key]() if key in partitions else None
