"""The settings of the engine ``container_apps``; imports nothing of Azure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, ClassVar, NamedTuple

from batch_scoring.core.errors import InputError
from batch_scoring.core.loopback import is_loopback
from batch_scoring.core.parameters import Settings, Valid, at_least, like, positive

WHERE = "jobs.container_apps"
_ID = re.compile(
    r"/subscriptions/([^/]+)/resourceGroups/([^/]+)/providers/Microsoft\.App/jobs/([^/]+)", re.IGNORECASE
)
_LEAST_CPU, _MOST_CPU, _STEP = 0.25, 4.0, 0.25
GIB_PER_CORE = 2


class Place(NamedTuple):
    """The parts of a job's resource id."""

    subscription: str
    resource_group: str
    job: str


SIZES = f"{_LEAST_CPU:g} to {_MOST_CPU:g} cores, in steps of {_STEP:g}"


def is_size(cpu: float) -> bool:
    """Return whether a replica of the consumption profile may have this number of cores.

    Examples
    --------
    >>> [is_size(cpu) for cpu in (0.25, 1.0, 4.0, 0.3, 8.0)]
    [True, True, True, False, False]
    """
    return _LEAST_CPU <= cpu <= _MOST_CPU and not cpu % _STEP


SIZE = Valid(is_size, SIZES)
_URL = like(r"(?i)https:.*", "an URL such as https://management.azure.com")


@dataclass(frozen=True)
class ContainerAppsSettings(Settings):
    """``jobs.container_apps``; see ``conf/base/parameters_jobs.yml``.

    Raises
    ------
    InputError
        When a setting is not valid.
    """

    where: ClassVar[str] = WHERE

    endpoint: Annotated[str, _URL] = "https://management.azure.com"
    job_id: str | None = None
    image: str | None = None
    cpu: Annotated[float, SIZE] = 1.0
    at_once: Annotated[int, at_least(1)] = 8
    slow_start: Annotated[timedelta, positive("90s")] = timedelta(seconds=90)

    @property
    def place(self) -> Place:
        """Where the job is; raises InputError where ``job_id`` is missing or not valid."""
        found = _ID.fullmatch(self.job_id or "")
        if found is None:
            raise InputError(
                f"{WHERE}.job_id: {self.job_id!r} is not valid; expected the resource id of a job with a "
                "manual trigger, such as /subscriptions/…/providers/Microsoft.App/jobs/NAME, which `kedro "
                "deploy up` makes"
            )
        return Place(*found.groups())

    @property
    def is_loopback(self) -> bool:
        """Whether the endpoint is a stand-in on this machine."""
        return is_loopback(self.endpoint)


def memory_of(cpu: float) -> float:
    """Return the GiB of a replica with a number of cores: the service allows one size only."""
    return cpu * GIB_PER_CORE


def memory_text(cpu: float) -> str:
    """Return a replica's memory as the service writes it.

    Examples
    --------
    >>> memory_text(0.25), memory_text(1)
    ('0.5Gi', '2Gi')
    """
    return f"{memory_of(cpu):g}Gi"
