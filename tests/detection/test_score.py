"""Predictions follow their windows."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.core.errors import InputError
from batch_scoring.detection.detectors.base import FitParameters
from batch_scoring.detection.detectors.one_class_svm import rbf_models, severity
from batch_scoring.detection.kernel import decision_function
from batch_scoring.detection.model import FleetInfo, FleetModel
from batch_scoring.detection.score import predict, predict_known, window_fingerprints
from batch_scoring.detection.warm_up import WEEK
from batch_scoring.tables.schemas import PREDICTIONS, TIMESTAMP
from tests.factories import START, fit_fleet, make_model, make_windows


def test_far_windows_are_anomalies_and_near_ones_are_not():
    windows = make_windows([[0.0], [0.5], [3.0]])
    predictions = predict(windows, make_model(["d1"]), "7")
    assert predictions.schema == PREDICTIONS
    assert predictions["is_anomaly"].to_pylist() == [False, False, True]
    assert predictions["score"].to_pylist() == pytest.approx([0.5, np.exp(-0.25) - 0.5, np.exp(-9) - 0.5])
    assert predictions["value"].to_pylist() == [0.0, 0.5, 3.0]
    assert set(predictions["model_version"].to_pylist()) == {"7"}


def test_windows_without_a_model_or_with_a_feature_that_is_not_finite_are_left_out():
    windows = make_windows([[np.nan], [0.0], [0.0], [0.0], [np.inf]], ["bad", "bad", "new", "ok", "ok"])
    predictions = predict(windows, make_model(["bad", "ok", "silent"]), "1")
    assert predictions["device"].to_pylist() == ["bad", "ok"]
    assert predictions["window_start"].to_pylist() == windows.take([1, 3])["window_start"].to_pylist()


@given(st.integers(0, 2**32 - 1))
def test_the_order_of_windows_is_kept_and_changes_no_score(seed):
    rng = np.random.default_rng(seed)
    names = [f"d{i}" for i in range(5)]
    devices = rng.choice([*names, "stranger"], 40).tolist()
    windows = make_windows(rng.normal(size=(40, 2)), devices)
    model = make_model(names, features=("mean", "f1"))
    order = rng.permutation(40)
    straight = predict(windows, model, "1")
    turned = predict(windows.take(order), model, "1")
    key = [("device", "ascending"), ("window_start", "ascending")]
    assert turned.sort_by(key).equals(straight.sort_by(key))
    kept = [d for d in windows.take(order)["device"].to_pylist() if d != "stranger"]
    assert turned["device"].to_pylist() == kept


def test_sensors_scored_together_have_the_predictions_of_each_alone():
    rng, names = np.random.default_rng(0), ["a", "b", "c"]
    windows = [make_windows(rng.normal(size=(30, 1)), sorted(names * 10), sensor=name) for name in "rs"]
    some = make_model(["b", "c"], "r", threshold=0.1)
    day = pa.array([START], TIMESTAMP)
    models = [
        replace(some, calibrated=pa.concat_arrays([day, pa.nulls(1, TIMESTAMP)])),
        make_model(names, "s"),
    ]
    alone = [
        predict(rows, model, version) for rows, model, version in zip(windows, models, "12", strict=True)
    ]
    known = np.repeat([-1, 0, 1, 2, -1, 4], 10)
    both, is_scored = predict_known(
        pa.concat_tables(windows).combine_chunks(),
        known,
        FleetModel.join(models),
        pa.array(["1", "1", "2", "2", "2"]),
        np.concatenate([window_fingerprints(rows) for rows in windows]),
    )
    assert is_scored.tolist() == (known >= 0).tolist()
    assert both.equals(pa.concat_tables([alone[0], alone[1].filter(pc.not_equal(alone[1]["device"], "b"))]))


def test_predictions_are_the_kernels_scores_against_the_calibrated_threshold():
    rng = np.random.default_rng(0)
    windows = make_windows(rng.normal(size=(200, 2)), ["a"] * 100 + ["b"] * 100)
    model, _ = fit_fleet(
        windows, ["mean", "f1"], FitParameters(false_alarm_rate=0.05, detector="one_class_svm")
    )
    predictions = predict(windows, model, "1")
    X = np.column_stack([windows[n].to_numpy() for n in ("mean", "f1")])
    scores = decision_function(rbf_models(model.rows), X, np.array([0, 100, 200]))
    np.testing.assert_allclose(predictions["score"].to_numpy(), scores, rtol=0, atol=1e-12)
    thresholds = np.repeat(model.table["threshold"].to_numpy(), 100)
    np.testing.assert_array_equal(predictions["is_anomaly"].to_numpy(), scores < thresholds)


def test_the_top_feature_is_the_one_farthest_from_its_mean():
    windows = make_windows([[0.0, -5.0], [4.0, 1.0]])
    predictions = predict(windows, make_model(["d1"], features=("mean", "f1")), "1")
    assert predictions["top_feature"].to_pylist() == ["f1", "mean"]


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0.01, 1))
def test_severity_is_a_share_and_positive_only_below_the_threshold(score, threshold, rho):
    (share,) = severity(np.array([score]), np.array([threshold]), np.array([rho]))
    assert 0 <= share <= 1
    if score >= threshold:
        assert share == 0


def test_nothing_to_score_gives_empty_predictions():
    predictions = predict(make_windows([[0.0]]).slice(1), make_model(["d1"]), "1")
    assert predictions.num_rows == 0


def test_windows_of_another_sensor_or_length_or_without_a_feature_are_refused():
    model = make_model(["d1"])
    with pytest.raises(InputError, match="of sensor 'other', the model of 's'"):
        predict(make_windows([[0.0]], sensor="other"), model, "1")
    with pytest.raises(InputError, match=r"60 s long, its models were trained on windows of 300 s"):
        predict(make_windows([[0.0]], window_us=60_000_000), model, "1")
    with pytest.raises(InputError, match="feature 'mean'"):
        predict(make_windows([[0.0]], features=["std"]), model, "1")


def trained_for(*spans, warm_up=WEEK):
    """A model a device, a, b, c …, each trained for so long; None is not known."""
    model = make_model([chr(ord("a") + place) for place in range(len(spans))])
    ends = [None if span is None else START + span for span in spans]
    begins = [None if span is None else START for span in spans]
    table = model.table
    for name, times in (("trained_from", begins), ("trained_to", ends)):
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(times, TIMESTAMP))
    return FleetModel.build(table, replace(model.info, warm_up_seconds=warm_up.total_seconds()))


def test_predictions_of_a_model_that_has_not_seen_a_week_are_warming_up():
    model = trained_for(timedelta(days=6, hours=23), timedelta(days=7), None)
    windows = make_windows([[0.0]] * 4, ["c", "b", "a", "b"])
    assert predict(windows, model, "1")["warming_up"].to_pylist() == [False, False, True, False]


@pytest.mark.parametrize(("warm_up", "expected"), [(timedelta(0), False), (timedelta(days=8), True)])
def test_how_long_a_model_warms_up_is_stored_with_it(warm_up, expected):
    model = trained_for(timedelta(days=7), warm_up=warm_up)
    stored = FleetModel(model.table, FleetInfo.of_schema(model.table.schema))
    assert predict(make_windows([[0.0]], ["a"]), stored, "1")["warming_up"].to_pylist() == [expected]
