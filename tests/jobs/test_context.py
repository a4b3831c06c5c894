"""What the commands of `kedro jobs` open, and close again."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.jobs.backends.local import LocalBackend
from batch_scoring.jobs.context import Cluster, open_cluster
from batch_scoring.jobs.settings import JobsParameters


@pytest.fixture
def azure(monkeypatch):
    """Opens the cluster of `--env azure` in a project that knows of no deployment."""
    monkeypatch.chdir(Path(__file__).parents[2])
    monkeypatch.delenv("BATCH_SCORING_JOBS", raising=False)
    return lambda data, backend=None, env="azure": open_cluster(data, env, backend)


def test_an_environment_of_a_cloud_without_a_deployment_does_not_score_here(azure):
    with pytest.raises(InputError, match="on this machine; run `kedro deploy env --env azure`"):
        azure("abfs://fleet@acme.dfs.core.windows.net/data")


@pytest.mark.slow
def test_who_says_so_may_score_here(azure, tmp_path):
    assert azure("abfs://fleet@acme.dfs.core.windows.net/data", "local").settings.backend == "local"
    assert azure(str(tmp_path)).settings.backend == "local"
    assert azure("abfs://fleet@acme.dfs.core.windows.net/data", env=None).settings.backend == "local"


def test_engines_with_a_connection_are_closed_and_others_left():
    closed = []
    cluster = Cluster("data", JobsParameters(), None, Path())
    cluster._engines["dask"] = SimpleNamespace(close=lambda: closed.append("dask"))
    cluster._engines["local"] = LocalBackend("data", None, JobsParameters(), Path())
    cluster.close()
    assert closed == ["dask"]
