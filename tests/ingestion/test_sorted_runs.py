"""Runs that are read in step give all rows in order, in pieces of bounded size."""

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.core.errors import MachineError
from batch_scoring.ingestion.sorted_runs import cut, write_run

# The rank of series 0, 1 and 2: their numbers are not in the order of the rows.
RANK = np.array([2, 0, 1])
ROWS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 30)), min_size=1, max_size=40)
RUNS = st.lists(ROWS, min_size=1, max_size=4)


@given(runs=RUNS, most=st.integers(1, 20))
def test_pieces_hold_every_row_once_in_order(runs, most):
    """Rows are of a period, a series and a time; the value says which one it is."""
    numbers = iter(range(1000))
    numbered = [
        sorted(
            (period, int(RANK[series]), period * 100 + time, next(numbers)) for period, series, time in rows
        )
        for rows in runs
    ]
    with TemporaryDirectory() as folder:
        written = []
        for n, rows in enumerate(numbered):
            period, rank, time, value = np.array(rows).T
            series = np.argsort(RANK)[rank]
            written.append(write_run(Path(folder) / f"{n}", series, time, value.astype(float), period))
        periods = cut(written, lambda series: RANK[series], most)
        found = [[np.concatenate([part.read() for part in piece]) for piece in pieces] for pieces in periods]
    keys = [
        [list(zip(RANK[piece["series"]].tolist(), piece["time"].tolist(), strict=True)) for piece in pieces]
        for pieces in found
    ]
    expected = sorted(row for rows in numbered for row in rows)
    assert [sorted(key for piece in pieces for key in piece) for pieces in keys] == [
        [row[1:3] for row in expected if row[0] == period] for period in sorted({row[0] for row in expected})
    ]
    assert {int(value) for pieces in found for piece in pieces for value in piece["value"]} == {
        row[3] for row in expected
    }
    for pieces in keys:
        for before, after in pairwise(pieces):
            assert max(before) < min(after)
        # Rows of one series and time cannot be cut.
        of_one = max(piece.count(key) for piece in pieces for key in piece)
        assert all(len(piece) <= max(most, 2 * len(runs)) + of_one for piece in pieces)


def test_a_run_knows_its_times_and_periods(tmp_path: Path):
    run = write_run(
        tmp_path / "a",
        np.array([1, 0, 1]),
        np.array([5, 3, 9]),
        np.array([0.5, 1.5, 2.5]),
        np.array([7, 7, 8]),
    )
    assert (run.first, run.last, run.bounds) == (3, 9, {7: (0, 2), 8: (2, 3)})
    assert run.part(8).read().tolist() == [(1, 9, 2.5)]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no file that is always full")
def test_a_disk_that_is_full_at_the_last_rows_is_an_error():
    rows = np.arange(3)
    with pytest.raises(OSError, match="No space left"):
        write_run(Path("/dev/full"), rows, rows, rows.astype(float), np.zeros(3, np.int64))


def test_rows_that_are_gone_are_an_error(tmp_path):
    rows = np.arange(3)
    run = write_run(tmp_path / "run", rows, rows, rows.astype(float), np.zeros(3, np.int64))
    assert run.part(0).read()["time"].tolist() == [0, 1, 2]
    with run.path.open("r+b") as file:
        file.truncate(48)
    with pytest.raises(MachineError, match="rows of this temporary file are gone"):
        run.part(0).read()
