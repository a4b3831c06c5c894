"""The published data of the 2018 reference, and its own models, end to end."""

import csv
from datetime import datetime

import pytest

from tests.end_to_end.workspaces import PREDICTIONS
from tests.real_data import REFERENCE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not REFERENCE.is_dir(), reason=f"the reference's data is not at {REFERENCE}"),
]


def test_the_reference_file_is_taken_unchanged_and_its_15_models_trained_and_scored(tmp_path, new_workspace):
    workspace = new_workspace(tmp_path, f"readings={REFERENCE / 'sensor_data.csv'}")
    workspace.run()
    status = workspace.table("07_model_output/daily_totals").to_pylist()
    pairs = {(row["device"], row["sensor"]) for row in status}
    assert pairs == {(device, sensor) for device in "123" for sensor in "12345"}
    assert {row["status"] for row in status} == {"ok"}
    assert workspace.table("02_intermediate/readings").num_rows == 17_768
    predictions = workspace.table(PREDICTIONS)
    assert predictions.num_rows == workspace.table("03_primary/windows").num_rows


def test_the_references_own_models_imported_give_the_references_labels(tmp_path, new_workspace):
    # The models are of single readings; no sensor sends two within five seconds, so a window is one.
    workspace = new_workspace(tmp_path, f"readings={REFERENCE / 'sensor_data.csv'},aggregate.window=5s")
    workspace.kedro(
        *("models", "import", str(REFERENCE / "models.json"), "--window", "5s", "--data", str(tmp_path))
    )
    workspace.run("ingest,aggregate,score")
    predicted = {
        (row["device"], row["sensor"], row["window_start"].replace(tzinfo=None)): row
        for row in workspace.table(PREDICTIONS).to_pylist()
    }
    assert len(predicted) == 17_768
    assert len({key[:2] for key in predicted}) == 15
    with (REFERENCE / "expected_predictions_devices_1_2.csv").open() as file:
        expected = list(csv.DictReader(file))
    assert len(expected) > 10_000
    for row in expected:
        ours = predicted[row["Device"], row["Tag"], datetime.fromisoformat(row["TS"])]
        assert ours["is_anomaly"] == (row["Prediction"] == "1")
        assert ours["score"] == pytest.approx(float(row["Decision"]), abs=1e-12)
