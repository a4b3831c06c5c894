"""What was logged and published before modules moved out of ``batch_scoring.fleet`` still works.

``former_layout.zip`` is a workspace of two devices that the code of then made, the scores it gave to one
day of windows, and the script that versions logged before they knew the windows' time carry. Of the code
copied into the version, what its script imports is left.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.end_to_end.workspaces import Workspace
from tests.row_tables import table_at

# Where the workspace was made.
FORMER_FOLDER = "/srv/fleet"
WINDOWS = "03_primary/windows/temperature/2026-01-08.parquet"
EXACT = ["device", "window_start", "is_anomaly"]
ROUNDED = ["score", "threshold", "severity"]

LOAD_AND_SCORE = """
import sys
import mlflow
import pandas as pd
version, windows, results = sys.argv[1:]
mlflow.pyfunc.load_model(version).predict(pd.read_parquet(windows)).to_parquet(results)
import batch_scoring.detection  # the installed package came first: the copy in the version has no such
"""


@pytest.fixture
def former(tmp_path: Path) -> Path:
    """The archive unpacked, its MLflow database knowing where it lies now."""
    shutil.unpack_archive(Path(__file__).with_name("former_layout.zip"), tmp_path)
    workspace = tmp_path / "workspace"
    with sqlite3.connect(workspace / "06_models/mlflow/mlflow.db") as database:
        for table, column in (
            ("experiments", "artifact_location"),
            ("logged_models", "artifact_location"),
            ("model_versions", "source"),
            ("model_versions", "storage_location"),
            ("runs", "artifact_uri"),
        ):
            moved = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"
            database.execute(moved, (FORMER_FOLDER, str(workspace)))
    database.close()
    return tmp_path


def assert_same(actual, expected):
    assert actual[EXACT].equals(expected[EXACT])
    # Since then the mean leads windows in which all readings are off to one side.
    has_changed = actual["top_feature"] != expected["top_feature"]
    assert set(actual["top_feature"][has_changed]) <= {"mean"}
    assert set(expected["top_feature"][has_changed]) <= {"min", "max", "std"}
    for name in ROUNDED:  # the kernel's last digits are the processor's and the compiler's
        np.testing.assert_allclose(actual[name], expected[name], rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "expected"),
    [("pyfunc_model.py", "scores.parquet"), ("older_pyfunc_model.py", "older_scores.parquet")],
)
def test_a_version_logged_before_the_move_gives_the_scores_it_gave(former, script, expected):
    (version,) = former.glob("workspace/06_models/mlflow/artifacts/models/*/artifacts")
    (version / script).rename(version / "pyfunc_model.py")
    results = former / "results.parquet"

    subprocess.run(
        [sys.executable, "-c", LOAD_AND_SCORE, version, former / "workspace" / WINDOWS, results],
        cwd=former,
        check=True,
    )

    scores = pq.read_table(results).to_pandas()
    assert scores["is_anomaly"].any()
    assert_same(scores, pq.read_table(former / expected).to_pandas())


@pytest.mark.slow
def test_a_workspace_made_before_the_move_lists_its_versions_and_scores(former):
    workspace = Workspace(former / "workspace", "at=2026-02-01T00:00Z")

    listed = workspace.kedro("models", "list", "--data", str(workspace.folder))
    workspace.kedro("workspace", "upgrade", "--data", str(workspace.folder))
    workspace.run("score")

    assert [line.split()[:2] for line in listed.splitlines() if "temperature" in line] == [
        ["temperature", "1"]
    ]
    in_order = [("device", "ascending"), ("window_start", "ascending")]
    predictions = table_at(workspace.folder / "07_model_output/predictions", "window_start").read()
    predictions = predictions.sort_by(in_order).to_pandas()
    expected = pq.read_table(former / "predictions.parquet").sort_by(in_order).to_pandas()
    expected["window_fingerprint"] = expected["window_fingerprint"].to_numpy().view(np.int64)
    # What predictions have gained since, an earlier model may have nothing to say of.
    assert list(predictions.columns)[: len(expected.columns)] == list(expected.columns)
    assert (predictions["evidence"] >= 0).all()
    identities = ["window_end", "sensor", "value", "model_version", "window_fingerprint"]
    assert predictions[identities].equals(expected[identities])
    assert_same(predictions, expected)
