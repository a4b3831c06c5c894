"""A share of the windows has passed when it says, whatever single devices do."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.tables.schemas import WINDOW_KEYS
from batch_scoring.training.share import last_of_share, last_start_of_share

START_FIELD = WINDOW_KEYS.field("window_start")


def windows(**starts):
    rows = [(device, at) for device, times in starts.items() for at in times]
    device, at = zip(*rows, strict=True) if rows else ([], [])
    return pa.table({"device": pa.array(device, pa.string()), "window_start": pa.array(at, START_FIELD.type)})


def found(table, share, first=0, size=3, at_least=1):
    batches = [table.slice(at, size) for at in range(0, table.num_rows, size)]
    return last_start_of_share(lambda: iter(batches), first, share, at_least)


@given(st.integers(1, 200), st.floats(0.001, 1))
def test_of_regular_windows_it_is_the_share_of_the_time(n, share):
    starts = np.arange(n) * 10
    inside = max(int(np.floor(share * n * (1 + 1e-9))), 1)
    assert last_of_share(starts, np.ones(n), share) == starts[inside - 1]


@given(st.lists(st.integers(0, 30), min_size=1), st.permutations(range(5)), st.floats(0.1, 1))
def test_neither_batches_nor_the_order_of_windows_matter(times, order, share):
    table = windows(a=times, b=range(5), c=order)
    at_once = found(table, share, size=1000)
    assert found(table, share, size=2) == at_once
    assert found(table.take(np.argsort(table["window_start"].cast("int64"))), share) == at_once


@pytest.mark.slow
@given(st.integers(3, 12), st.integers(0, 400))
def test_one_device_moves_it_by_no_more_than_its_own_share(n_devices, long_ago):
    regular = {f"d{i}": range(1000, 1100) for i in range(n_devices - 1)}
    odd = windows(**regular, odd=range(1000 - long_ago, 1000))
    shift = found(windows(**regular), 0.7) - found(odd, 0.7)
    assert 0 <= shift <= 100 / (n_devices - 1) + 1


def test_windows_before_the_first_do_not_count():
    table = windows(a=[0, 1, 2, 10, 11, 12, 13])
    assert found(table, 0.5, first=10) == 11
    assert found(table, 0.5, first=14) is None
    assert found(windows(), 0.5) is None


def test_a_device_with_too_few_windows_does_not_move_it():
    regular, new = {"a": range(100)}, range(95, 100)
    alone = found(windows(**regular), 0.7)
    assert alone == 69
    assert found(windows(**regular, new=new), 0.7, at_least=6) == alone
    # One with enough counts as much as the other.
    assert found(windows(**regular, new=new), 0.7, at_least=5) > 90
    # Nor does it take part in a range of all windows less.
    assert found(windows(**regular, new=range(99, 105)), 1.0, at_least=30) == 104
    # Where all have too few, each counts.
    assert found(windows(a=[0, 1], b=[5]), 0.5, at_least=30) == 1


def test_there_is_always_a_window_in_it():
    assert found(windows(a=[5, 6]), 0.01) == 5
    assert last_of_share(np.array([3]), np.array([0.2]), 1.0) == pytest.approx(3)
