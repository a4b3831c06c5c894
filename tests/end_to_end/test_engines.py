"""The same hour of a fleet of 40 devices and 5 sensors on every engine: the predictions of one run."""

import shutil
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from batch_scoring.jobs import scheduler
from batch_scoring.jobs.backends.azure_batch.backend import AzureBatchBackend
from batch_scoring.jobs.backends.azure_batch.settings import AzureBatchSettings
from batch_scoring.jobs.backends.local import LocalBackend
from batch_scoring.jobs.records import Records
from batch_scoring.jobs.settings import JobsParameters
from batch_scoring.jobs.specs import State
from batch_scoring.jobs.workspace import Workspace as Data
from tests.emulators.azure_batch import AzureBatch
from tests.emulators.azure_batch.server import ACCOUNT
from tests.end_to_end.workspaces import PREDICTIONS, PROJECT, Workspace
from tests.jobs.backends.batch_ai.stand_in import StandIn
from tests.jobs.backends.dask.dask_cluster import DaskCluster

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("engines")]

AT = datetime(2026, 1, 7, tzinfo=UTC)
FLEET = (
    "simulate.devices=40,simulate.days=2,simulate.interval=3m,aggregate.window=15m,"
    "simulate.sensors=[temperature,vibration,pressure,power,vibration_motor],"
    "train.fit.detector=one_class_svm,at=2026-01-07T00:00Z"
)
SCORED = (PREDICTIONS, "07_model_output/daily_totals")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workspace = Workspace(tmp_path_factory.mktemp("trained") / "data", FLEET)
    workspace.run("simulate,ingest,aggregate,train")
    return workspace


@pytest.fixture(scope="module")
def expected(trained, tmp_path_factory):
    """What one run gives."""
    workspace = copy_of(trained, tmp_path_factory.mktemp("expected") / "data")
    workspace.run("score")
    assert workspace.table(PREDICTIONS).num_rows > 30_000
    return workspace.rows(*SCORED)


def copy_of(workspace, folder):
    shutil.copytree(workspace.folder, folder)
    return Workspace(folder, FLEET)


@contextmanager
def local(data, folder):
    yield LocalBackend(data, None, JobsParameters(), PROJECT)


@contextmanager
def dask(data, folder):
    from batch_scoring.jobs.backends.dask.backend import DaskBackend
    from batch_scoring.jobs.backends.dask.settings import DaskSettings

    cluster = DaskCluster(folder)
    try:
        cluster.add_worker()
        cluster.add_worker()
        settings = JobsParameters(backend="dask", dask=DaskSettings(scheduler=cluster.address))
        engine = DaskBackend(data, None, settings, PROJECT)
        yield engine
        engine.close()
    finally:
        cluster.close()


@contextmanager
def batch_ai(data, folder):
    stand_in = StandIn(folder / "stand-in")
    path = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    try:
        yield stand_in.backend(data=data, environment=path)
        told(stand_in.server.recorder.exchanges, "Batch AI")
    finally:
        stand_in.close()


@contextmanager
def azure_batch(data, folder):
    with (
        AzureBatch(folder / "nodes", sample_seconds=0.05, evaluate_seconds=0.2, start_seconds=0.1) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("AZURE_BATCH_ACCESS_KEY", server.key)
        patch.setenv("AZURE_BATCH_ACCOUNT", ACCOUNT)
        service = AzureBatchSettings(
            endpoint=server.endpoint, image="acme.azurecr.io/batch-scoring:1", max_nodes=2
        )
        yield AzureBatchBackend(data, None, JobsParameters(backend="azure_batch", azure_batch=service))
        told(server.recorder.exchanges, "Azure Batch")


def told(exchanges, name):
    print(f"{name}: {len(exchanges)} exchanges")
    assert exchanges


@pytest.mark.parametrize("open_engine", [local, dask, batch_ai, azure_batch], ids=lambda one: one.__name__)
def test_an_hour_on_any_engine_gives_the_predictions_of_one_run(
    trained, expected, tmp_path, monkeypatch, open_engine
):
    monkeypatch.setenv("BATCH_SCORING_CACHE", str(tmp_path / "cache"))
    workspace = copy_of(trained, tmp_path / "data")
    data = str(workspace.folder)
    (tmp_path / "engine").mkdir()
    with open_engine(data, tmp_path / "engine") as engine:
        (done,) = scheduler.submit(engine, Data(data), Records(data), "score", AT, JobsParameters())
        ended = scheduler.wait(engine, done.run, pause=0.2)
    assert [one.state for one in ended] == [State.SUCCEEDED] * 5, [one.reason for one in ended]
    assert sorted(spec.sensors for spec in done.specs) == [
        ("power",),
        ("pressure",),
        ("temperature",),
        ("vibration",),
        ("vibration_motor",),
    ]
    records = Records(data)
    assert all(records.log(done.run, one.name) for one in ended)
    assert workspace.rows(*SCORED) == expected
