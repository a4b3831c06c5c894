"""A detector is added as its how-to says: one file and its registration; the numbers are plain NumPy's."""

import numpy as np
import pytest

from batch_scoring.detection.detectors import DETECTORS
from batch_scoring.detection.score import predict
from batch_scoring.registry.published import load_published, publish
from batch_scoring.tables.arrow_arrays import to_numpy
from batch_scoring.training.result import PROMOTED
from tests.detection.detectors.robust_z_alone import robust_z
from tests.factories import DAY_US, make_windows
from tests.pipelines.train.test_nodes import Workspace

pytestmark = pytest.mark.slow

RATE = 0.02
FIT = {"detector": "robust_z", "threshold": "calibrated", "false_alarm_rate": RATE}
FEATURES = ["mean", "f1"]


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.setitem(DETECTORS, "robust_z", robust_z(tmp_path))
    return Workspace(tmp_path)


def matrix(windows):
    return np.column_stack([to_numpy(windows[name]) for name in FEATURES])


def median_and_spread(X):
    """Of each feature: the deviation of nine windows in ten by 1.6449, or half of the middle 99 %'s std."""
    center = np.median(X, axis=0)
    cut = int(np.ceil(0.005 * (len(X) - 1)))
    middle = np.sort(X, axis=0)[cut : len(X) - cut]
    outer = np.sort(np.abs(X - center), axis=0)[int(np.ceil(0.9 * (len(X) - 1)))]
    return center, np.maximum(outer / 1.6449, 0.5 * middle.std(axis=0))


def expected(train, later):
    """Score and threshold by the training windows of one device."""
    center, spread = median_and_spread(train)
    trained = -np.max(np.abs(train - center) / spread, axis=1)
    return -np.max(np.abs(later - center) / spread, axis=1), np.quantile(trained, RATE)


def test_it_trains_and_scores_what_plain_numpy_says(work):
    trainings, statuses = work.train(sensor="s", share=0.5, fit=FIT)
    model = trainings["s"].model
    windows = work.windows.load().read(sensors=["s"])
    day = to_numpy(windows["window_start"]) // DAY_US
    days = [windows.filter(day == one) for one in np.unique(day)]
    predictions = predict(days[1], model, "1")

    assert [row["status"] for row in statuses["s"]] == ["ok", "ok"]
    assert (model.info.detector, model.devices.to_pylist()) == ("robust_z", ["a", "b"])
    for number, device in enumerate(["a", "b"]):
        mine = [matrix(day.filter(np.array(day["device"]) == device)) for day in days]
        score, threshold = expected(*mine)
        rows = predictions.filter(np.array(predictions["device"]) == device)
        np.testing.assert_allclose(to_numpy(rows["score"]), score, rtol=1e-12)
        np.testing.assert_allclose(to_numpy(model.table["threshold"])[number], threshold, rtol=1e-12)
        np.testing.assert_array_equal(to_numpy(rows["is_anomaly"]), score < threshold)
        np.testing.assert_allclose(to_numpy(rows["severity"]), np.maximum(threshold - score, 0), atol=1e-12)
        flagged = expected(mine[0], mine[0])[0] < threshold
        assert model.table["train_flag_rate"][number].as_py() == pytest.approx(flagged.mean())
        assert flagged.mean() == pytest.approx(RATE, abs=0.005)


def test_a_spike_is_an_anomaly_of_its_feature(work):
    model = work.train(sensor="s", fit=FIT)[0]["s"].model
    windows = make_windows([[0.0, 0.0], [0.0, 50.0], [-50.0, 0.0]], ["a"] * 3)
    predictions = predict(windows, model, "1")
    assert predictions["is_anomaly"].to_pylist() == [False, True, True]
    assert predictions["top_feature"].to_pylist()[1:] == ["f1", "mean"]
    assert predictions["contributions"].to_pylist() == [[], [], []]


def test_a_new_version_is_held_against_the_champion_by_the_rate_it_was_set_for(work):
    work.train(sensor="s", share=0.5, fit=FIT)
    decision = work.train(sensor="s", share=0.6, fit=FIT)[0]["s"].decision
    assert (decision.verdict, decision.champion) == (PROMOTED, "1")
    assert decision.numbers["challenger_target"] == RATE
    assert decision.numbers["challenger_windows"] == 2 * (576 - 345)


def test_it_is_logged_published_and_loaded_from_mlflow(work, store, tmp_path):
    import mlflow

    from batch_scoring.registry.tracking import TrainingRun, artifacts_of, register
    from batch_scoring.registry.tracking.device_table import model_numbers

    training = work.train(sensor="s", fit=FIT)[0]["s"]
    run = TrainingRun(store, 2)
    run.log(training)
    version = register(store, run.run_id, training)
    run.end("FINISHED")
    publish(tmp_path / "published", training.models.path, "1", run.run_id, training.fingerprint)
    windows = make_windows([[0.5, 0.0], [0.0, 50.0]], ["a", "b"])
    scores = predict(windows, training.model, "1")["score"].to_pylist()

    published = load_published(tmp_path / "published", "s").models.read()
    assert predict(windows, published, "1")["score"].to_pylist() == scores
    frame = windows.select(["device", *FEATURES]).to_pandas()
    assert mlflow.pyfunc.load_model(artifacts_of(store, version)).predict(frame)["score"].tolist() == scores
    assert model_numbers(training.models, "a")["threshold"] == training.model.table["threshold"][0].as_py()
