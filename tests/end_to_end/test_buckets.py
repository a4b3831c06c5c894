"""A whole workspace in a bucket: the same rows as in a folder, listed, promoted, maintained and served."""

import re

import pytest

from batch_scoring.storage import open_folder
from tests.end_to_end.test_serve import Visitor, serving
from tests.end_to_end.workspaces import RemoteWorkspace
from tests.mlflow_stores import put_database

# A whole run over a stand-in takes half a minute.
pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.fixture
def workspace(remote, new_database, monkeypatch, tmp_path):
    put_database(new_database, tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow/mlflow.db")
    return RemoteWorkspace(f"{remote}/plants/7")


@pytest.mark.parametrize("remote", ["s3", "gs"], indirect=True)
def test_a_bucket_holds_the_same_rows_as_local_files_and_serves_them(whole, workspace, tmp_path):
    data = str(workspace.folder)
    output = workspace.run()
    assert data in output
    assert workspace.data() == whole.data()

    folders = ("01_raw", "02_intermediate", "03_primary", "07_model_output", "06_models/published")
    before = workspace.files(*folders)
    assert "score: 0 windows scored" in workspace.run()
    assert workspace.files(*folders) == before

    listed = workspace.kedro("models", "list", "--data", data)
    assert re.search(r"^temperature +1 +champion", listed, re.MULTILINE)
    assert "version 1 is the champion" in workspace.kedro(
        "models", "promote", "temperature", "1", "--data", data
    )
    assert "maintain:" in workspace.run("maintain")
    copy = tmp_path / "copy/report.html"
    workspace.kedro("report", "--data", data, "--to", str(copy))
    assert copy.read_bytes() == open_folder(f"{data}/08_reporting").read("report.html")[0]

    with serving(data) as address:
        visitor = Visitor(address)
        fleet = visitor.get("/")
        device = re.search(r'href="(/device\?id=[^"]+)"', fleet)[1].replace("&amp;", "&")
        for path in (device, "/incidents?state=any", "/jobs", "/models"):
            assert "<h1" in visitor.get(path)
        assert "champion" in visitor.get("/models/versions")
        status, text = visitor.post(
            "/models", visitor.get("/incidents/silences"), do="promote", sensor="vibration", version="1"
        )
        assert (status, "is promoted" in text) == (200, True)


@pytest.mark.parametrize("remote", ["s3"], indirect=True)
def test_readings_lie_in_a_bucket_whatever_data_is(remote, workspace, tmp_path):
    rows = "\n".join(f"2026-01-05T{hour:02}:{minute:02}:00Z,pump-1,flow,{minute}"
                     for hour in range(24) for minute in range(60))  # fmt: skip
    with open_folder(remote).writing("landing/2026/01/a.csv") as file:
        file.write(f"timestamp,device,sensor,value\n{rows}\n".encode())
    output = workspace.run("ingest,aggregate", f"data={tmp_path}/local,readings={remote}/landing/**/*.csv")
    assert "1 of 1 source file read: 1,440 rows, 1,440 stored" in output
