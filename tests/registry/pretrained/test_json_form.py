"""Models from the open JSON form, and the models of the 2018 reference."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.detection.detectors.one_class_svm import rbf_models
from batch_scoring.detection.kernel import decision_function
from batch_scoring.registry.pretrained import read_pretrained, to_trainings
from tests.fleet_models import OPEN_FORM
from tests.real_data import REFERENCE

ENTRY = OPEN_FORM | {"device": "1", "sensor": "7", "sklearn_version": "0.19.2"}


def write(folder: Path, **changes: object) -> Path:
    path = folder / "models.json"
    path.write_text(json.dumps({"1_7": {**ENTRY, **changes}}))
    return path


def test_a_model_of_raw_readings_scores_the_mean_of_a_window(tmp_path):
    (model,) = read_pretrained(write(tmp_path))

    training = to_trainings([model], 5.0, {}, tmp_path)["7"]

    assert training.model.info.features == ("mean",)
    assert training.model.info.window_seconds == 5.0
    assert training.model.info.libraries == {"scikit-learn": "0.19.2"}
    row = training.model.table.to_pylist()[0]
    assert (row["device"], row["rho"], row["n_train"], row["support_vectors"]) == ("1", 0.9, 299, [1.5, -1.5])


def test_a_score_of_exactly_zero_is_an_anomaly_as_in_libsvm(tmp_path):
    (model,) = read_pretrained(write(tmp_path, support_vectors=[[0.0]], dual_coef=[0.025], intercept=-0.025))
    fleet = to_trainings([model], 5.0, {}, tmp_path)["7"].model

    scores = decision_function(rbf_models(fleet.rows), np.array([[12.0]]), np.array([0, 1]))

    assert scores[0] == 0.0
    assert scores[0] < fleet.table["threshold"][0].as_py()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mean": [1.0, 2.0]}, r"entry '1_7': mean has the shape \(2,\), expected \(1,\)"),
        ({"dual_coef": [0.5, float("nan")]}, "dual_coef holds a value that is not finite"),
        ({"scale": [float("inf")]}, "scale holds a value that is not finite"),
        ({"gamma": float("nan")}, "gamma is nan, expected a finite number"),
        ({"gamma": 0.0}, "gamma 0 and smallest scale 2; all must be above 0"),
        ({"scale": [0.0]}, "smallest scale 0; all must be above 0"),
        ({"support_vectors": [], "dual_coef": []}, "it has 0 support vectors"),
        ({"nu": "much"}, "a field cannot be read"),
        ({"features": None}, "a field cannot be read"),
    ],
)
def test_a_broken_entry_is_told_with_its_field(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        read_pretrained(write(tmp_path, **changes))


def test_a_missing_field_is_told(tmp_path):
    path = tmp_path / "models.json"
    path.write_text(json.dumps({"1_7": {k: v for k, v in ENTRY.items() if k != "gamma"}}))

    with pytest.raises(InputError, match="entry '1_7': the field 'gamma' is missing"):
        read_pretrained(path)


@pytest.mark.parametrize("text", ["", "[1]", '{"a": 1}'])
def test_a_file_that_is_something_else_is_told(tmp_path, text):
    path = tmp_path / "models.json"
    path.write_text(text)

    with pytest.raises(InputError, match=r"not JSON|expected an object"):
        read_pretrained(path)


def test_the_references_models_give_the_references_labels_on_its_data(tmp_path):
    if not REFERENCE.is_dir():
        pytest.skip(f"{REFERENCE} is not there")
    trainings = to_trainings(read_pretrained(REFERENCE / "models.json"), 5.0, {}, tmp_path)
    with open(REFERENCE / "expected_predictions_devices_1_2.csv") as file:  # noqa: PTH123
        expected = list(csv.DictReader(file))
    differing, largest = 0, 0.0
    for sensor, training in trainings.items():
        for device in ("1", "2"):
            rows = [row for row in expected if (row["Device"], row["Tag"]) == (device, sensor)]
            model = training.model.select([device])
            values = np.array([[float(row["Val"])] for row in rows])
            scores = decision_function(rbf_models(model.rows), values, np.array([0, len(rows)]))
            labels = scores < model.table["threshold"][0].as_py()
            differing += int((labels != [row["Prediction"] == "1" for row in rows]).sum())
            largest = max(largest, float(np.abs(scores - [float(row["Decision"]) for row in rows]).max()))
    assert (len(trainings), len(expected), differing) == (5, 11_837, 0)
    assert largest < 1e-15
