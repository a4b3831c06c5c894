"""How the engine ``dask`` comes to a Dask cluster, and what its errors mean."""

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
    """A client of the scheduler, or of workers of this process.

    Raises
    ------
    InputError
        When Dask is not installed, or nobody answers.
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
        # Workers of ours are quiet, also when they end: what became of a job is told by us.
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
                f"jobs.dask.scheduler: nobody answers at {address} within {CONNECT_SECONDS:.0f} s; "
                "start one with `dask scheduler`, or write null for workers on this machine"
            ) from error
    raise InputError(f"jobs.dask.scheduler: {address!r} is no address that Dask understands")


@contextmanager
def kept_environment() -> Iterator[None]:
    """Undo what Dask sets in the environment of this process for the workers that it starts."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def why_it_failed(error: BaseException | None) -> str:
    """One sentence on why Dask gave up a job."""
    from distributed.scheduler import KilledWorker

    if isinstance(error, KilledWorker):
        return "the workers that ran it died, one after the other; see whether they have memory enough"
    return str(error) if isinstance(error, JobError) else f"{type(error).__name__}: {error}"
