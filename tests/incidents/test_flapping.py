"""A sensor that is unusual again and again is one incident."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.incidents.flapping import join_flaps


def flaps(*rows, within=10):
    """The first group of each, of rows of (group, series, start, end)."""
    return join_flaps(*np.array(rows, np.int64).reshape(-1, 4).T, within).tolist()


def test_a_sensor_that_comes_again_within_the_time_is_one():
    assert flaps((0, 1, 0, 5), (1, 1, 15, 20), (2, 1, 30, 35)) == [0, 0, 0]
    assert flaps((0, 1, 0, 5), (1, 1, 16, 20)) == [0, 1]


def test_other_sensors_do_not_flap_together():
    assert flaps((0, 1, 0, 5), (1, 2, 6, 20)) == [0, 1]


def test_groups_flap_by_way_of_others_wherever_these_lie():
    # The first and the second have no sensor in common, but both share one with the third.
    assert flaps((0, 1, 0, 5), (1, 2, 6, 8), (2, 1, 12, 14), (2, 2, 12, 14), (3, 3, 13, 15)) == [0, 0, 0, 3]


def test_nothing_flaps_where_there_is_nothing():
    assert flaps() == []


ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60), st.integers(1, 9)), min_size=1, max_size=12)


@given(ROWS, st.integers(0, 20))
def test_groups_are_those_of_joining_pair_by_pair(rows, within):
    rows = sorted(rows, key=lambda row: row[1])
    found = flaps(
        *((i, series, start, start + size) for i, (series, start, size) in enumerate(rows)), within=within
    )
    label = list(range(len(rows)))
    for i, (series, _, _) in enumerate(rows):
        ends = [start + size for other, start, size in rows[:i] if other == series]
        if ends and rows[i][1] - max(ends) <= within:
            last = max(j for j in range(i) if rows[j][0] == series)
            label[i] = label[last]
    assert found == label
