from datetime import timedelta

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.reporting.series import DRAWN, SeriesBlock, SeriesGrid, choose_resolution
from tests.factories import START_US
from tests.reporting.fleet_factory import prediction_rows

WINDOW = timedelta(minutes=5)
NAN = float("nan")


def grid(
    *batches: tuple[pa.Table, int], n_series: int = 1, n: int = 6, step: timedelta = WINDOW
) -> SeriesBlock:
    """Batches of one series each, and the row that each goes to."""
    filled = SeriesGrid([("a", "p")] * n_series, START_US, START_US + n * 300_000_000, step)
    for rows, row in batches:
        filled.add(np.full(rows.num_rows, row), rows.select(DRAWN.names).cast(DRAWN))
    return filled.block()


def test_each_window_lies_at_its_time_and_gaps_stay_empty():
    block = grid((prediction_rows("a", values=[1, NAN, 3, NAN, 5], anomalies=[2]), 0))

    np.testing.assert_array_equal(block.value[0], [1, NAN, 3, NAN, 5, NAN])
    np.testing.assert_array_equal(block.score[0], [0.4, NAN, -0.5, NAN, 0.4, NAN])
    assert block.is_anomaly[0].tolist() == [False, False, True, False, False, False]
    assert block.features[block.top_feature[0, 2]] == "mean"
    assert block.top_feature[0, 1] == -1


def test_rows_of_other_series_are_left_out():
    one = prediction_rows("a", values=[7])
    block = grid((one, 1), (prediction_rows("b", values=[8]), 0), (one, -1), (one, 2), n_series=2)

    assert block.value[:, 0].tolist() == [8, 7]


def test_a_longer_step_takes_the_mean_value_and_the_strangest_score():
    rows = prediction_rows("a", values=[1, 2, 6, 7, 8, 9], anomalies=[1])
    for batches in ([(rows, 0)], [(rows.slice(0, 2), 0), (rows.slice(2), 0)]):
        block = grid(*batches, step=3 * WINDOW)

        assert block.value[0].tolist() == [3, 8]
        assert block.score[0].tolist() == [-0.5, 0.4]
        assert block.is_anomaly[0].tolist() == [True, False]
        assert block.severity[0].tolist() == [0.75, 0.0]


def test_the_feature_of_a_longer_step_is_that_of_its_most_severe_window():
    mild = prediction_rows("a", values=[1, 1], anomalies=[0, 1], severity=0.5)
    worst = prediction_rows("a", values=[1, 1], anomalies=[0], severity=2.0)
    tables = [
        rows.set_column(9, "top_feature", pa.array(names, pa.string()))
        for rows, names in ((mild, ["std", "min"]), (worst, ["range", "mean"]), (mild, ["max", "min"]))
    ]
    block = grid(*((rows.cast(mild.schema), 0) for rows in tables), n=3, step=3 * WINDOW)

    assert block.features[block.top_feature[0, 0]] == "range"


def test_texts_may_come_as_dictionaries():
    rows = prediction_rows("a", values=[1, 1], anomalies=[0, 1])
    column = pa.array(["std", None], pa.string()).dictionary_encode()
    block = grid((rows.set_column(9, "top_feature", column), 0), n=2)

    assert [block.features[i] if i >= 0 else None for i in block.top_feature[0]] == ["std", None]


def test_features_are_those_that_are_there_by_name_however_their_rows_came():
    rows = prediction_rows("a", values=[1, 1], anomalies=[0, 1])
    names = pa.array(["std", "mean"], pa.string())
    with_others = pa.DictionaryArray.from_arrays([1, 3], pa.array(["range", "std", "max", "mean"]))
    for column in (names, with_others):
        block = grid((rows.set_column(9, "top_feature", column), 0), n=2)

        assert block.features == ["mean", "std"]
        assert block.top_feature[0].tolist() == [1, 0]


def test_a_series_without_windows_is_all_gap():
    block = grid(n_series=2)

    assert np.isnan(block.value).all()
    assert np.isnan(block.score).all()
    assert not block.is_anomaly.any()


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
