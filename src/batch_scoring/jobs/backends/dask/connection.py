"""Connect to a Dask cluster, and explain its errors."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from batch_scoring.core.errors import InputError
from batch_scoring.jobs.backends.dask.task import JobError
from batch_scoring.jobs.settings import JobsParameters

if TYPE_CHECKING:
    from distributed import Client

CONNECT_SECONDS = 10.0


def connect(settings: JobsParameters) -> Client:
    """Connect a client to the scheduler, or to workers of this process.

    Raises
    ------
    InputError
        When Dask is not installed, or the scheduler does not answer.
    """
    try:
        import dask.config
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise InputError(
            f"jobs.backend: dask needs {error.name or 'distributed'}; pip install 'batch_scoring[dask]'"
        ) from error
    logging.getLogger("distributed").setLevel(logging.WARNING)
    address = settings.dask.scheduler
    if address is None:
        # Our workers log nothing, also when they end: we report each job's outcome.
        quiet = {"distributed.nanny.pre-spawn-environ.DASK_LOGGING__DISTRIBUTED": "critical"}
        with dask.config.set(quiet), kept_environment():
            cluster = LocalCluster(
                n_workers=settings.dask.workers or len(os.sched_getaffinity(0)),
                threads_per_worker=settings.dask.threads,
                processes=True,
                dashboard_address=":0",
            )
        return Client(cluster, set_as_default=False)
    with suppress(ValueError):
        try:
            return Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except OSError as error:
            raise InputError(
                f"jobs.dask.scheduler: no answer from {address} within {CONNECT_SECONDS:.0f} s; "
                "start one with `dask scheduler`, or write null for workers on this machine"
            ) from error
    raise InputError(f"jobs.dask.scheduler: {address!r} is not a valid address of a Dask scheduler")


@contextmanager
def kept_environment() -> Iterator[None]:
    """Restore the environment variables that Dask sets for the workers it starts."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def why_it_failed(error: BaseException | None) -> str:
    """Explain in one sentence why Dask gave up a job."""
    from distributed.scheduler import KilledWorker

    if isinstance(error, KilledWorker):
        return "the workers that ran it died, one after the other; check that they have enough memory"
    return str(error) if isinstance(error, JobError) else f"{type(error).__name__}: {error}"
