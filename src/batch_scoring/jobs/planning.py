"""Plan the jobs of a run, pure: sensors, devices and a scheduled time in, named jobs out."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar, Literal

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Shard
from batch_scoring.core.parameters import Settings, at_least
from batch_scoring.jobs.specs import JobSpec


@dataclass(frozen=True)
class Sharding(Settings):
    """How a scheduled run is cut into jobs.

    Attributes
    ----------
    per : str
        ``sensor``, or ``device_sensor`` for a job for each device of each sensor.
    shards_per_sensor : int
        Jobs a sensor, each with a part of the devices by a hash of their ids.
    sensors_per_job : int
        Sensors a job.

    Raises
    ------
    InputError
        When the settings contradict each other.
    """

    where: ClassVar[str] = "jobs.sharding"

    per: Literal["sensor", "device_sensor"] = "sensor"
    shards_per_sensor: Annotated[int, at_least(1)] = 1
    sensors_per_job: Annotated[int, at_least(1)] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.per == "device_sensor") + (self.shards_per_sensor > 1) + (self.sensors_per_job > 1) > 1:
            raise InputError(
                "jobs.sharding: per=device_sensor, shards_per_sensor and sensors_per_job exclude each other; "
                "set one of them"
            )


def run_name(pipeline: str, at: datetime) -> str:
    """Name a scheduled run; names of one pipeline sort by time.

    Examples
    --------
    >>> run_name("score", datetime(2026, 11, 22, 10, tzinfo=UTC))
    'score-20261122t100000z'
    """
    return f"{pipeline}-{at.astimezone(UTC):%Y%m%dt%H%M%Sz}"


def run_pipeline(name: str) -> str:
    """Return the pipeline in a run's name."""
    return name.rpartition("-")[0]


def run_time(name: str) -> datetime:
    """Return the scheduled time in a run's name."""
    return datetime.strptime(name.rpartition("-")[2], "%Y%m%dt%H%M%Sz").replace(tzinfo=UTC)


def plan_jobs(
    pipeline: str,
    at: datetime,
    sensors: Sequence[str],
    sharding: Sharding,
    models: Mapping[str, str],
    devices: Mapping[str, Sequence[str]] | None = None,
) -> list[JobSpec]:
    """Plan the jobs of a scheduled run; every device of every sensor is in exactly one.

    Parameters
    ----------
    at : datetime
        The scheduled time, UTC.
    models : mapping of str to str
        Of each sensor with a champion, the pinned manifest.
    devices : mapping of str to sequence of str, optional
        Of each sensor; needed for ``per="device_sensor"`` only.

    Returns
    -------
    list of JobSpec
        In the order of the sensors. The same arguments give the same jobs with the same names.
    """
    run = run_name(pipeline, at)
    ordered = sorted(set(sensors), key=str.encode)
    jobs = []
    for names, device, shard in _parts(ordered, sharding, devices or {}):
        pinned = {name: models[name] for name in names if name in models}
        jobs.append(JobSpec(run, job_name(names, device, shard), pipeline, at, names, device, shard, pinned))
    return jobs


def job_name(sensors: Sequence[str], device: str | None = None, shard: Shard | None = None) -> str:
    """Name a job: readable text, and a digest that distinguishes similar ids.

    Examples
    --------
    >>> job_name(["Motor temp. (°C)"], shard=Shard(2, 8))
    'Motor-temp-C-2of8-a305385c'
    """
    text = json.dumps([list(sensors), device, str(shard)], ensure_ascii=False)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    more = f"and-{len(sensors) - 1}-more" if len(sensors) > 1 else ""
    part = f"{shard.part}of{shard.of}" if shard else ""
    words = [_readable(sensors[0], 24), more, _readable(device or "", 16), part, digest]
    return "-".join(word for word in words if word)


def due_times(at: datetime, every: timedelta, last: datetime | None, at_most: int) -> list[datetime]:
    """List the scheduled times up to ``at`` without a run, oldest first.

    Parameters
    ----------
    at : datetime
        The scheduled time that is due now, UTC.
    every : timedelta
        Between two scheduled times.
    last : datetime or None
        The newest time before ``at`` with a run; None where there is none, so nothing was missed.
    at_most : int
        Maximum number of missed times, the newest; the first of them does the older ones' work too.

    Examples
    --------
    >>> hour = timedelta(hours=1)
    >>> [t.hour for t in due_times(datetime(2026, 1, 5, 10), hour, datetime(2026, 1, 5, 6), 2)]
    [8, 9, 10]
    """
    missed: list[datetime] = []
    if last is not None:
        moment = at - every
        while moment > last and len(missed) < at_most:
            missed.append(moment)
            moment -= every
    return [*reversed(missed), at]


def _parts(
    sensors: list[str], sharding: Sharding, devices: Mapping[str, Sequence[str]]
) -> Iterator[tuple[tuple[str, ...], str | None, Shard | None]]:
    if sharding.per == "device_sensor":
        for sensor in sensors:
            for device in sorted(set(devices.get(sensor, ())), key=str.encode):
                yield (sensor,), device, None
    elif sharding.shards_per_sensor > 1:
        for sensor in sensors:
            for part in range(1, sharding.shards_per_sensor + 1):
                yield (sensor,), None, Shard(part, sharding.shards_per_sensor)
    else:
        for first in range(0, len(sensors), sharding.sensors_per_job):
            yield tuple(sensors[first : first + sharding.sensors_per_job]), None, None


def _readable(text: str, length: int) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text)[:length].strip("-")
