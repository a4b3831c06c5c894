"""Overlaps found by binary search are those that a loop over all pairs finds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.tables.intervals import Spans, Timeline, joined, overlapping, runs, without

STEP = 10


@st.composite
def timelines(draw):
    """Windows of equal length with gaps, of up to three series."""
    places = draw(st.sets(st.tuples(st.integers(0, 2), st.integers(0, 8)), max_size=15))
    series, place = np.array(sorted(places), np.int64).reshape(-1, 2).T
    return Timeline(series, place * STEP, (place + 1) * STEP)


INTERVALS = st.lists(st.tuples(st.integers(-1, 3), st.integers(-15, 105), st.integers(-15, 105)), max_size=8)


def as_arrays(intervals):
    return np.array([(k, min(a, b), max(a, b)) for k, a, b in intervals], np.int64).reshape(-1, 3).T


def rows_of(windows, series, start, end):
    """The rows that an interval overlaps, one by one."""
    return [
        row
        for row, (k, a, b) in enumerate(zip(windows.series, windows.start, windows.end, strict=True))
        if k == series and a < end and b > start and end > start
    ]


@given(timelines(), INTERVALS)
def test_an_interval_spans_just_the_windows_that_it_overlaps(windows, intervals):
    arrays = as_arrays(intervals)
    spans = overlapping(windows, *arrays)
    found = [list(range(a, b)) for a, b in zip(spans.first, spans.last, strict=True)]
    assert found == [rows_of(windows, *one) for one in arrays.T]


@given(timelines(), INTERVALS, st.data())
def test_what_lies_in_the_spans_is_what_a_loop_finds(windows, intervals, data):
    n = windows.series.size
    flags = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)), bool)
    arrays = as_arrays(intervals)
    spans, rows = overlapping(windows, *arrays), [rows_of(windows, *one) for one in arrays.T]
    assert spans.cover(n).tolist() == [any(row in some for some in rows) for row in range(n)]
    assert spans.have(flags).tolist() == [any(flags[row] for row in some) for some in rows]
    first = [next((row for row in some if flags[row]), -1) for some in rows]
    assert spans.first_flagged(flags).tolist() == first


@given(timelines(), st.data())
def test_a_run_ends_at_a_gap_at_a_calm_window_and_at_the_end_of_its_series(windows, data):
    n = windows.series.size
    flags = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)), bool)
    found = runs(windows, flags)
    expected: list[list[int]] = []
    for row in np.flatnonzero(flags):
        last = expected[-1][-1] if expected else -2
        is_next = last == row - 1 and windows.series[last] == windows.series[row]
        if is_next and windows.end[last] == windows.start[row]:
            expected[-1].append(row)
        else:
            expected.append([row])
    assert [list(range(a, b)) for a, b in zip(found.first, found.last, strict=True)] == expected


@given(INTERVALS, st.booleans())
def test_intervals_are_joined_when_a_chain_of_others_connects_them(intervals, touching):
    arrays = as_arrays([one for one in intervals if one[1] != one[2] and one[0] >= 0])
    numbers = joined(*arrays, touching=touching)
    m = numbers.size
    group = list(range(m))
    for _ in range(m):
        for i in range(m):
            for j in range(m):
                (k, a, b), (other, c, d) = arrays[:, i], arrays[:, j]
                meet = (a <= d and c <= b) if touching else (a < d and c < b)
                if k == other and meet:
                    group[i] = group[j] = min(group[i], group[j])
    assert [[x == y for y in numbers] for x in numbers] == [[x == y for y in group] for x in group]


@given(INTERVALS, INTERVALS)
def test_what_is_left_of_intervals_is_what_no_cut_covers(intervals, cuts):
    kept = as_arrays([one for one in intervals if one[1] != one[2]])
    taken = as_arrays([one for one in cuts if one[1] != one[2]])
    row, series, start, end = without((np.arange(kept.shape[1]), *kept), *taken)

    def moments(k, a, b):
        return {(int(k), int(t)) for t in range(a, b)}

    gone = set().union(*(moments(*one) for one in taken.T))
    for place, one in enumerate(kept.T):
        pieces = [moments(series[i], start[i], end[i]) for i in np.flatnonzero(row == place)]
        assert set().union(*pieces) == moments(*one) - gone
        assert sum(map(len, pieces)) == len(set().union(*pieces))
        assert all(pieces)


def test_spans_of_nothing_are_nothing():
    empty = np.zeros(0, np.int64)
    assert overlapping(Timeline(empty, empty, empty), *np.array([[0], [1], [2]])).size.tolist() == [0]
    assert Spans(empty, empty).cover(2).tolist() == [False, False]
    assert runs(Timeline(empty, empty, empty), np.zeros(0, bool)).size.size == 0
