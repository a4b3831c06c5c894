"""A fleet whose models are tracked by a server over PostgreSQL, on which nothing but HTTP is known here."""

from __future__ import annotations

import json
import secrets
from importlib.util import find_spec

import pytest

from tests.end_to_end.workspaces import PREDICTIONS, Workspace
from tests.mlflow_server import mlflow_server
from tests.postgres import postgres

pytestmark = pytest.mark.slow


@pytest.mark.long
def test_a_fleet_is_trained_promoted_scored_listed_and_pruned(tmp_path, no_tracking_uri, monkeypatch):
    if find_spec("psycopg2") is None:
        pytest.skip("psycopg2 is not installed")
    (tmp_path / "server").mkdir()
    workspace = Workspace(tmp_path / "data")
    # Over HTTP MLflow ignores it where none is asked for; nothing of ours may print it.
    mine = secrets.token_hex(16)
    with postgres() as (database, password), mlflow_server(tmp_path / "server", database) as uri:
        named = uri.replace("http://", f"http://somebody:{mine}@")
        printed = [
            workspace.run("simulate,ingest,aggregate,train,score,track", params=f"tracking_uri={uri}"),
            workspace.run("train", params=f"train.fit.nu=0.05,train.promote=never,tracking_uri={uri}"),
        ]
        monkeypatch.setenv("MLFLOW_TRACKING_URI", named)

        def models(*arguments: str) -> str:
            printed.append(workspace.kedro("models", *arguments, "--data", str(workspace.folder)))
            return printed[-1]

        assert "version 2 is the champion" in models("promote", "temperature", "2")
        windows = workspace.table("03_primary/windows").num_rows
        again = "score.rescore=true,score.from=2026-01-01T00:00Z"
        printed.append(workspace.run("score", params=again))
        listed = json.loads(models("list", "--json"))
        printed.append(models("prune", "--keep", "1", "--younger-than", "0d"))
        left = json.loads(models("list", "--json"))

    assert {(one["sensor"], one["version"], one["alias"]) for one in listed} == {
        ("temperature", "1", "previous"),
        ("temperature", "2", "champion"),
        ("vibration", "1", "champion"),
        ("vibration", "2", ""),
    }
    assert left == listed
    predictions = workspace.table(PREDICTIONS)
    assert predictions.num_rows == windows
    used = predictions.group_by(["sensor", "model_version"]).aggregate([]).to_pylist()
    assert {(one["sensor"], one["model_version"]) for one in used} == {
        ("temperature", "2"),
        ("vibration", "1"),
    }
    assert not (tmp_path / "data/06_models/mlflow").exists()
    for secret in (mine, password):
        assert secret not in "".join(printed)
