"""Pieces of time are whole days, and hold few rows in few files."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.tables.pieces import DAY_US, PIECE_FILES, PIECE_ROWS, day_pieces

HOUR_US = DAY_US // 24
# The first hour of a file, its last one, and its rows.
FILES = st.lists(
    st.tuples(st.integers(0, 500), st.integers(0, 30), st.integers(1, PIECE_ROWS)).map(
        lambda file: (file[0] * HOUR_US, (file[0] + file[1]) * HOUR_US, file[2])
    ),
    max_size=12,
)


@given(FILES)
def test_pieces_hold_all_files_and_are_longer_than_a_day_only_where_they_are_small(files):
    pieces = day_pieces(files)
    assert all(start < end <= later for (start, end), (later, _) in pairwise(pieces))
    for first, last, _ in files:
        covered = sum(
            min(end, last + 1) - max(start, first) for start, end in pieces if start <= last and first < end
        )
        assert covered == last + 1 - first
    for start, end in pieces:
        if start // DAY_US != (end - 1) // DAY_US:
            assert sum(rows for first, last, rows in files if last >= start and first < end) <= PIECE_ROWS


def test_a_year_of_small_files_an_hour_is_read_few_at_a_time():
    hours = [(hour * HOUR_US, hour * HOUR_US, 10) for hour in range(365 * 24)]
    pieces = day_pieces(hours)
    counts = [sum(start <= first < end for first, _, _ in hours) for start, end in pieces]
    assert sum(counts) == len(hours)
    assert PIECE_FILES - 24 < max(counts) <= PIECE_FILES
