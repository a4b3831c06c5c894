"""Schedule runs, as the hourly container does: find the due times, plan and submit them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from batch_scoring.core.errors import InputError
from batch_scoring.jobs.backends.base import Backend
from batch_scoring.jobs.planning import Sharding, due_times, plan_jobs, run_name, run_time
from batch_scoring.jobs.records import Records
from batch_scoring.jobs.settings import JobsParameters
from batch_scoring.jobs.specs import JobSpec, JobStatus
from batch_scoring.jobs.workspace import Workspace

log = logging.getLogger(__name__)

SECONDS_BETWEEN_POLLS = 2.0
# How long an engine keeps runs that have ended.
KEPT = timedelta(days=7)


@dataclass(frozen=True)
class Submission:
    """Result of submitting a due run.

    Attributes
    ----------
    specs : list of JobSpec
        All its jobs.
    new : int
        Jobs that the engine did not have before.
    """

    run: str
    specs: list[JobSpec]
    new: int


def due_runs(records: Records, pipeline: str, at: datetime, settings: JobsParameters) -> list[datetime]:
    """List the scheduled times to submit, oldest first; ``at`` is always the last.

    Times missed since the last run, and planned ones not fully submitted because their scheduler was
    killed.
    """
    planned = [run_time(run) for run in records.runs(pipeline)]
    before = [moment for moment in planned if moment < at]
    # A training or an evaluation reads all windows: the newest does the work of the missed ones.
    catch_up = settings.catch_up if pipeline == "score" else 0
    due = due_times(at, settings.every, max(before, default=None), catch_up)
    recent = before[-catch_up:] if catch_up else []
    half = [moment for moment in recent if records.submitted_to(run_name(pipeline, moment)) is None]
    return sorted({*half, *due})


def plan(
    workspace: Workspace,
    records: Records,
    pipeline: str,
    at: datetime,
    settings: JobsParameters,
    overrides: str = "",
) -> list[JobSpec]:
    """Plan the jobs of one scheduled time, or read the plan that is stored.

    Of two concurrent schedulers the first stores its plan and both use it, so all jobs of a run score with
    the champions at the time of planning.
    """
    run = run_name(pipeline, at)
    there = records.plan(run)
    if there is not None:
        return there
    if pipeline == "score":
        planned = _plan_scoring(workspace, at, settings)
    else:
        if pipeline == "train":
            workspace.keep_previous_models(run)
        # A version holds all devices of a sensor, so a sensor is never cut.
        sharding = Sharding(sensors_per_job=settings.sharding.sensors_per_job)
        planned = plan_jobs(pipeline, at, workspace.sensors(), sharding, {})
    return records.keep_plan(run, [replace(spec, overrides=overrides) for spec in planned])


def _plan_scoring(workspace: Workspace, at: datetime, settings: JobsParameters) -> list[JobSpec]:
    sensors = workspace.sensors()
    models = workspace.pinned_models(sensors)
    per_device = settings.sharding.per == "device_sensor"
    devices = (
        {sensor: workspace.devices(sensor, models.get(sensor)) for sensor in sensors} if per_device else None
    )
    return plan_jobs("score", at, sensors, settings.sharding, models, devices)


def submit(
    backend: Backend,
    workspace: Workspace,
    records: Records,
    pipeline: str,
    at: datetime,
    settings: JobsParameters,
    overrides: str = "",
) -> list[Submission]:
    """Submit the runs due at a scheduled time; idempotent, also with concurrent schedulers.

    Parameters
    ----------
    at : datetime
        UTC.
    overrides : str
        Added to ``--params`` of each job; a run that is planned already keeps its plan.

    Raises
    ------
    InputError
        When there is nothing to score, or the engine cannot be used.
    """
    backend.ensure()
    done = []
    for moment in due_runs(records, pipeline, at, settings):
        run = run_name(pipeline, moment)
        specs = plan(workspace, records, pipeline, moment, settings, overrides)
        new = backend.submit(run, specs)
        records.mark_submitted(run, backend.name)
        done.append(Submission(run, specs, new))
    _tidy(backend, at)
    return done


def _tidy(backend: Backend, at: datetime) -> None:
    """Have the engine forget old runs, whose statuses and logs the workspace keeps; failing costs nothing."""
    try:
        if forgotten := backend.forget(min(at, datetime.now(UTC)) - KEPT):
            log.info("%d runs that ended before %s ago are forgotten by %s", forgotten, KEPT, backend.name)
    except InputError as error:
        log.warning("%s; old runs stay there until the next time", error)


def wait(
    backend: Backend,
    run: str,
    pause: float = SECONDS_BETWEEN_POLLS,
    look: Callable[[list[JobStatus]], None] = lambda _: None,
) -> list[JobStatus]:
    """Wait until all jobs of a run have ended; return their statuses.

    Parameters
    ----------
    backend : Backend
    run : str
    pause : float
        Seconds between two polls.
    look : callable
        Called with the statuses of each poll; what it raises ends the wait.
    """
    follower = Follower(backend, run)
    while not (statuses := follower.poll()) or not all(one.state.is_final for one in statuses):
        look(statuses)
        time.sleep(pause)
    return statuses


class Follower:
    """Statuses of a run's jobs, kept up to date by polling for changes only."""

    def __init__(self, backend: Backend, run: str) -> None:
        self._backend, self._run = backend, run
        self._known: dict[str, JobStatus] = {}

    def poll(self) -> list[JobStatus]:
        """Poll the engine; return all statuses by name."""
        times = [one.changed for one in self._known.values() if one.changed is not None]
        # The newest change is requested again: others may have the same time.
        for one in self._backend.statuses(self._run, max(times, default=None)):
            self._known[one.name] = one
        return [self._known[name] for name in sorted(self._known)]
