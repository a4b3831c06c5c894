"""The engine ``dask`` with jobs that do next to nothing."""

from __future__ import annotations

from batch_scoring.jobs.backends.dask.backend import DaskBackend
from tests.jobs import quick_jobs
from tests.jobs.backends.dask.dask_cluster import PROJECT


class QuickDask(DaskBackend):
    """The engine, with the jobs of ``quick_jobs`` in place of ``kedro run``."""

    def __init__(self, data, settings, how="succeed"):
        super().__init__(str(data), None, settings, PROJECT)
        self.how = how

    def _arguments(self, spec):
        return ("-m", "tests.jobs.quick_jobs", self._data, spec.run, spec.name, self.how)


def executions(data):
    """The jobs that were begun, sorted."""
    return sorted(line.partition("/")[2] for line in quick_jobs.executions(data))
