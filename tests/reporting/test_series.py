from datetime import timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.reporting.series import choose_resolution, read_series
from tests.reporting.fleet_factory import START, loaders, prediction_partitions, prediction_rows

WINDOW = timedelta(minutes=5)
NAN = float("nan")


def read(wanted, *tables, n=6, step=WINDOW):
    return read_series(loaders(prediction_partitions(*tables)), wanted, START, START + n * WINDOW, step)


def test_each_window_lies_at_its_time_and_gaps_stay_empty():
    block = read([("a", "vibration")], prediction_rows("a", values=[1, NAN, 3, NAN, 5], anomalies=[2]))

    np.testing.assert_array_equal(block.value[0], [1, NAN, 3, NAN, 5, NAN])
    np.testing.assert_array_equal(block.score[0], [0.4, NAN, -0.5, NAN, 0.4, NAN])
    assert block.is_anomaly[0].tolist() == [False, False, True, False, False, False]
    assert block.features[block.top_feature[0, 2]] == "mean"
    assert block.top_feature[0, 1] == -1


def test_rows_follow_the_order_that_was_asked_for():
    tables = [prediction_rows(d, s, values=[v]) for d, s, v in (("a", "p", 1), ("a", "q", 2), ("b", "p", 3))]
    block = read([("b", "p"), ("a", "q"), ("a", "p")], *tables)

    assert block.value[:, 0].tolist() == [3, 2, 1]


def test_a_longer_step_takes_the_mean_value_and_the_strangest_score():
    block = read(
        [("a", "vibration")], prediction_rows("a", values=[1, 2, 6, 7, 8, 9], anomalies=[1]), step=3 * WINDOW
    )

    assert block.value[0].tolist() == [3, 8]
    assert block.score[0].tolist() == [-0.5, 0.4]
    assert block.is_anomaly[0].tolist() == [True, False]
    assert block.severity[0].tolist() == [0.75, 0.0]


def test_the_feature_of_a_longer_step_is_that_of_its_most_severe_window():
    mild = prediction_rows("a", values=[1, 1, 1], anomalies=[1])
    named = mild.set_column(9, "top_feature", [["std", "range", "mean"]])
    block = read([("a", "vibration")], named, n=3, step=3 * WINDOW)

    assert block.features[block.top_feature[0, 0]] == "range"


def test_a_series_without_windows_is_all_gap():
    block = read([("nobody", "vibration"), ("a", "nothing")], prediction_rows("a"))

    assert np.isnan(block.value).all()
    assert not block.is_anomaly.any()


def test_without_any_partition_everything_is_gap():
    block = read_series({}, [("a", "p")], START, START + WINDOW, WINDOW)

    assert np.isnan(block.score).tolist() == [[True]]


@given(
    st.integers(0, 10**6),
    st.floats(0.01, 5000),
    st.sampled_from([1.0, 60.0, 300.0, 3600.0, 86400.0]),
    st.integers(0, 500),
    st.integers(0, 10**6),
)
def test_the_budget_of_points_is_never_exceeded(n_series, days, window_seconds, max_series, max_points):
    span, window = timedelta(days=days), timedelta(seconds=window_seconds)
    plan = choose_resolution(n_series, span, window, max_series, max_points)

    points = plan.full * -(-span // window) + plan.coarse * -(-span // plan.step)
    assert points <= max_points
    assert plan.full <= max_series
    assert plan.full + plan.coarse <= n_series
    assert plan.step >= window
