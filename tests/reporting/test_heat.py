from datetime import timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.reporting.heat import HeatGrid, choose_length

HOUR_US = 3_600_000_000


@given(st.floats(1, 1e10), st.integers(1, 1000), st.floats(1, 1e6))
def test_a_chosen_length_is_long_enough(span, at_most, at_least):
    length = choose_length(span, at_most, at_least)

    assert length >= int(at_least)
    assert span / length <= at_most or length >= 7168 * 86400


@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 9), st.integers(0, 5)), max_size=30))
def test_counts_add_up_in_the_cells_of_their_series_in_any_order(rows):
    heat = HeatGrid(3, 0, 10 * HOUR_US, timedelta(hours=2))
    for part in (rows[:7], rows[7:]):
        row, hour, n = (np.array([one[i] for one in part], np.int64) for i in range(3))
        heat.add(row, hour * HOUR_US, n, n // 2)

    for i in range(3):
        for j in range(5):
            here = [n for row, hour, n in rows if row == i and hour // 2 == j]
            assert heat.windows[i, j] == sum(here)
            assert heat.anomalies[i, j] == sum(n // 2 for n in here)


def test_a_time_before_1970_lies_in_a_cell_below_zero():
    heat = HeatGrid(1, -HOUR_US, HOUR_US, timedelta(hours=1))
    heat.add(np.zeros(1, np.int64), np.array([-1]), np.ones(1, np.int64), np.zeros(1, np.int64))

    assert heat.first == -1
    assert heat.windows.tolist() == [[1, 0]]
