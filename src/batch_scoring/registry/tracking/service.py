"""Log how versions do in service: one MLflow run a version, its figures as series over the days."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from batch_scoring.core.moments import DAY_US
from batch_scoring.registry.tracking.lineage import source_tags
from batch_scoring.registry.tracking.runs import NOTE, create_run
from batch_scoring.registry.tracking.store import Store
from batch_scoring.registry.tracking.versions import find_entry, logged_model_id, pages

Days = list[tuple[int, dict[str, float]]]

# On a run: the first and the last day whose figures it has.
IN_SERVICE, _FIRST, _LAST = "batch_scoring.in_service", "batch_scoring.first_day", "batch_scoring.last_day"
_NOTE = "What this version has scored, a value a day: step 0 is its first day, times are when days ended."
# Metrics that MLflow takes in one request.
_AT_ONCE = 1_000


@dataclass(frozen=True)
class ServiceRun:
    """The run of a version in service.

    Attributes
    ----------
    first, last : int
        When the first and the last day begin that it has figures of, µs since the epoch.
    """

    run_id: str
    first: int
    last: int


def service_runs(store: Store) -> dict[tuple[str, str], ServiceRun]:
    """Find the runs of versions in service, by sensor and version."""
    return {
        (tags["sensor"], tags["version"]): ServiceRun(run.info.run_id, int(tags[_FIRST]), int(tags[_LAST]))
        for run in pages(
            partial(store.client.search_runs, [store.experiment_id]),
            f"tags.`{IN_SERVICE}` = 'true'",
        )
        if _LAST in (tags := run.data.tags)
    }


def log_service(
    store: Store, found: dict[tuple[str, str], ServiceRun], figures: Iterable[tuple[tuple[str, str], Days]]
) -> int:
    """Log the days that a version's run does not have; return how many.

    A day that is logged stays as it is: MLflow keeps what it was given. Killed half way and repeated, it
    ends in the same series. Versions that are not registered any more get no run.
    """
    n = 0
    for (sensor, version), days in figures:
        run = found.get((sensor, version))
        new = [day for day in days if run is None or day[0] > run.last]
        if not new:
            continue
        run = run or _create(store, sensor, version, new[0][0])
        if run is not None:
            _log_days(store, run, new)
            n += len(new)
    return n


def _create(store: Store, sensor: str, version: str, first: int) -> ServiceRun | None:
    from mlflow.entities import LoggedModelInput

    entry = find_entry(store, sensor, version)
    if entry is None:
        return None
    tags = {IN_SERVICE: "true", "sensor": sensor, "version": version, _FIRST: str(first), NOTE: _NOTE}
    run_id = create_run(store, f"{sensor} v{version} in service", source_tags() | tags)
    if (model_id := logged_model_id(entry.source)) is not None:
        store.client.log_inputs(run_id, models=[LoggedModelInput(model_id)])
    # It stays open to figures; a run that is running belongs to a process.
    store.client.set_terminated(run_id, "FINISHED")
    return ServiceRun(run_id, first, first - 1)


def _log_days(store: Store, run: ServiceRun, days: Days) -> None:
    from mlflow.entities import RunTag

    metrics = list(_metrics(run, days))
    for first in range(0, len(metrics), _AT_ONCE):
        store.client.log_batch(run.run_id, metrics=metrics[first : first + _AT_ONCE])
    # Last, so that a kill before it repeats the days: MLflow leaves out what it has.
    store.client.log_batch(run.run_id, tags=[RunTag(_LAST, str(days[-1][0]))])


def _metrics(run: ServiceRun, days: Days) -> Iterator[Any]:
    from mlflow.entities import Metric

    for begins, figures in days:
        step, ended_ms = (begins - run.first) // DAY_US, (begins + DAY_US) // 1000
        yield from (Metric(name, value, ended_ms, step) for name, value in figures.items())
