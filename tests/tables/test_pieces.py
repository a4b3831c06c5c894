"""Pieces of time cover all files, are cut at midnight, and are longer than a day only where rows are few."""

import itertools

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.core.moments import DAY_US, HOUR_US
from batch_scoring.tables.pieces import PIECE_FILES, PIECE_ROWS, day_pieces, joined_by_month

extents = st.lists(
    st.tuples(st.integers(-50, 2000), st.integers(0, 24 * 40), st.integers(1, PIECE_ROWS * 2)).map(
        lambda one: (one[0] * HOUR_US, (one[0] + one[1]) * HOUR_US, one[2])
    ),
    max_size=12,
)


def rows_in(files, start, end):
    return sum(rows for first, last, rows in files if last >= start and first < end)


@given(extents)
def test_pieces_are_whole_days_without_gaps_that_hold_rows(files):
    pieces = day_pieces(files)
    assert pieces == sorted(pieces)
    assert all(start < end for start, end in pieces)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(pieces))
    ends = {min((one[0] for one in files), default=0), max((one[1] for one in files), default=0) + 1}
    assert all(edge % DAY_US == 0 or edge in ends for piece in pieces for edge in piece)
    for first, last, _ in files:
        covered = sum(max(0, min(end, last + 1) - max(start, first)) for start, end in pieces)
        assert covered == last + 1 - first
    assert all(rows_in(files, *piece) > 0 for piece in pieces)


@given(extents)
def test_a_piece_of_many_rows_is_one_day_and_neighbours_of_few_rows_are_joined(files):
    pieces = day_pieces(files)
    for start, end in pieces:
        assert rows_in(files, start, end) <= PIECE_ROWS or start // DAY_US == (end - 1) // DAY_US
    for (start, end), (next_start, next_end) in itertools.pairwise(pieces):
        if end == next_start:
            one_day_more = min(next_end, (next_start // DAY_US + 1) * DAY_US)
            assert rows_in(files, start, one_day_more) > PIECE_ROWS


def test_without_files_there_are_no_pieces():
    assert day_pieces([]) == []


def test_a_month_of_few_rows_is_one_piece():
    month = (3 * DAY_US + HOUR_US, 30 * DAY_US, PIECE_ROWS)
    assert day_pieces([month]) == [(month[0], month[1] + 1)]


def test_a_year_of_small_files_an_hour_is_read_few_at_a_time():
    hours = [(hour * HOUR_US, hour * HOUR_US, 10) for hour in range(365 * 24)]
    pieces = day_pieces(hours)
    counts = [sum(start <= first < end for first, _, _ in hours) for start, end in pieces]
    assert sum(counts) == len(hours)
    assert PIECE_FILES - 24 < max(counts) <= PIECE_FILES


def test_parts_of_a_month_are_joined_and_sorted_and_read_in_turn():
    begun = []

    def part(day, *names):
        begun.append(day)
        yield from (pa.table({"day": [day], "name": [name]}) for name in names)

    # Since 1970: the 1st and 31st of January, the 1st and 2nd of February, the 1st of March.
    days = {0: "b", 30: "a", 31: "", 32: "", 59: "cd"}
    months = joined_by_month(((day * DAY_US, part(day, *names)) for day, names in days.items()), ["name"])
    found = [next(months)]
    assert [rows["name"].to_pylist() for rows in found[0]] == [["a", "b"]]
    assert begun == [0, 30]
    assert [[rows["name"].to_pylist() for rows in month] for month in months] == [[], [["c", "d"]]]
