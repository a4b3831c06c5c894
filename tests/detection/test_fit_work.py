"""Work is cut between devices into pieces of about the same time, in order and without loss."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.core.errors import InputError
from batch_scoring.detection.detectors.base import FitParameters
from batch_scoring.detection.fit_work import cut_work, fit_seconds
from tests.factories import START_US, make_windows

PARAMETERS = FitParameters()


def days(counts: list[dict[str, int]]) -> list[pa.Table]:
    """A table a day; so many windows of each device."""
    return [
        make_windows(
            np.arange(sum(day.values()), dtype=float)[:, None],
            [name for name in sorted(day) for _ in range(day[name])],
            start_us=START_US + place * 10**12,
        )
        for place, day in enumerate(counts)
    ]


@given(
    st.lists(st.dictionaries(st.sampled_from("abcdefg"), st.integers(1, 30)), min_size=1, max_size=3),
    st.sampled_from([1e-9, 0.02, 1e9]),
)
def test_every_window_is_in_one_piece_with_all_of_its_device(counts, seconds):
    parts = [part for day in counts if day for part in days([day])]
    pieces = [piece for piece, _ in cut_work(parts, PARAMETERS, seconds)]
    devices = [set(piece["device"].to_pylist()) for piece in pieces]
    for one, other in pairwise(devices):
        assert max(one) < min(other)
    for device in set().union(*devices):
        mine = [piece for piece, names in zip(pieces, devices, strict=True) if device in names]
        assert len(mine) == 1
        assert mine[0]["device"].to_pylist().count(device) == sum(day.get(device, 0) for day in counts)


def test_pieces_are_of_equal_work_and_not_of_equal_rows():
    (windows,) = days([{"a": 2000} | {f"b{i:02}": 100 for i in range(60)}])
    work = list(cut_work([windows], PARAMETERS, seconds=0.02))
    assert work[0][0]["device"].unique().to_pylist() == ["a"]
    assert all(0.01 < seconds < 0.03 for _, seconds in work[1:-1])
    assert sum(seconds for _, seconds in work) == pytest.approx(
        fit_seconds(np.array([2000, *[100] * 60]), PARAMETERS).sum()
    )


def test_fits_are_quadratic_up_to_what_the_svm_is_fitted_on_and_linear_beyond():
    parameters = FitParameters(max_train_windows=2000)
    few, many, more, most = fit_seconds(np.array([1000, 2000, 3000, 4000]), parameters)
    assert 2 < many / few < 4
    assert most - more == pytest.approx(more - many)
    native = FitParameters(threshold="native", detector="one_class_svm", max_train_windows=2000)
    assert few == pytest.approx(6 * fit_seconds(np.array([1000]), native)[0])


def test_no_rows_are_no_work():
    (windows,) = days([{"a": 1}])
    assert list(cut_work([windows.slice(0, 0)], PARAMETERS)) == []


def test_windows_that_are_not_sorted_by_device_are_told():
    windows = make_windows(np.zeros((3, 1)), ["b", "a", "b"])
    with pytest.raises(InputError, match="sensor 's': windows are not sorted by device"):
        list(cut_work([windows], PARAMETERS))
