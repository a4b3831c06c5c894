"""What the commands of `kedro jobs` open, and close again."""

from pathlib import Path
from types import SimpleNamespace

from batch_scoring.jobs.backends.local import LocalBackend
from batch_scoring.jobs.context import Cluster
from batch_scoring.jobs.settings import JobsParameters


def test_engines_with_a_connection_are_closed_and_others_left():
    closed = []
    cluster = Cluster("data", JobsParameters(), None, Path())
    cluster._engines["dask"] = SimpleNamespace(close=lambda: closed.append("dask"))
    cluster._engines["local"] = LocalBackend("data", None, JobsParameters(), Path())
    cluster.close()
    assert closed == ["dask"]
