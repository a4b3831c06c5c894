"""Levels are read only where there is something to hold them against."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from batch_scoring.core.moments import DAY_US, HOUR_US
from batch_scoring.incidents.level_reading import read_levels
from batch_scoring.incidents.levels import LAGS_US
from tests.factories import START_US
from tests.predictions import draw_predictions, put_predictions
from tests.tables_on_disk import TableOnDisk

DAY_WINDOWS = 288
SERIES = pa.table({"sensor": ["s", "s"], "device": ["a", "b"]})


@pytest.fixture
def predictions(tmp_path: Path) -> TableOnDisk:
    """Two days of two series."""
    table = TableOnDisk(tmp_path / "predictions", "window_start")
    put_predictions(table, draw_predictions(dict.fromkeys("ab", "." * 2 * DAY_WINDOWS), "s"))
    return table


def test_a_span_is_read_where_there_are_windows_of_the_same_time_before(predictions: TableOnDisk):
    """Of device a on the first day there are none; of device b on the second day those of the first."""
    first = np.array([START_US, START_US + DAY_US]) + 9 * HOUR_US
    table = predictions.load()
    found = read_levels(table, SERIES, first, first + HOUR_US, compared=LAGS_US)
    alone = read_levels(table, SERIES.slice(1), first[1:], first[1:] + HOUR_US)
    assert found["device"].unique().to_pylist() == ["b"]
    assert found.equals(alone)
    assert found.num_rows == 2 * DAY_WINDOWS
    everything = read_levels(table, SERIES, first, first + HOUR_US)
    assert everything["device"].unique().to_pylist() == ["a", "b"]


def test_on_the_first_day_nothing_is_read(predictions: TableOnDisk):
    first = np.full(2, START_US + 9 * HOUR_US)
    assert read_levels(predictions.load(), SERIES, first, first + HOUR_US, compared=LAGS_US).num_rows == 0
