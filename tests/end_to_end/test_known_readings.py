"""The count of what was lost and doubled can itself be wrong: here it is given both."""

import pandas as pd
import pyarrow as pa
import pytest

from tests.end_to_end.known_readings import FEATURES, WINDOW, compare, known_readings, known_windows

KNOWN = known_readings(2000, seed=3)


def stored(readings):
    """The tables that hold these readings, and windows of them."""
    windows = known_windows(readings)
    windows.insert(1, "window_end", windows["window_start"] + pd.Timedelta(WINDOW))
    return readings, windows


def compared(readings, windows):
    found = compare(KNOWN, *(pa.Table.from_pandas(one, preserve_index=False) for one in (readings, windows)))
    return found.lost, found.doubled, found.wrong


def test_what_was_sent_is_out_of_order_and_each_reading_is_one_of_its_own():
    assert not KNOWN["timestamp"].is_monotonic_increasing
    assert not KNOWN.duplicated(["timestamp", "device", "sensor"]).any()
    assert KNOWN["timestamp"].dt.day.nunique() == 2


def test_in_any_order_all_is_well():
    readings, windows = stored(KNOWN)
    assert compared(readings.sample(frac=1, random_state=1), windows[::-1]) == (0, 0, 0)
    assert compare(KNOWN, pa.Table.from_pandas(readings), pa.Table.from_pandas(windows)).in_windows == 2000


def test_a_lost_reading_is_counted_wherever_it_is_missing():
    readings, windows = stored(KNOWN)
    fewer_readings, fewer_windows = stored(KNOWN[1:])
    assert compared(fewer_readings, windows)[0] == 1
    assert compared(readings, fewer_windows)[0] == 1
    assert compared(readings, windows[3:])[0] == windows["count"][:3].sum()


def test_a_doubled_reading_is_counted_wherever_it_is():
    readings, windows = stored(KNOWN)
    more_readings, more_windows = stored(pd.concat([KNOWN, KNOWN[:2]]))
    assert compared(more_readings, windows)[1] == 2
    assert compared(readings, more_windows)[1] == 2
    assert compared(readings, pd.concat([windows, windows[:1]]))[1] >= 1


@pytest.mark.parametrize("feature", FEATURES)
def test_a_window_with_another_value_is_wrong(feature):
    readings, windows = stored(KNOWN)
    windows.loc[7, feature] += 0.125
    assert compared(readings, windows) == (0, 0, 1)


def test_a_reading_that_nobody_sent_is_wrong():
    readings, windows = stored(KNOWN)
    other = readings.assign(value=readings["value"].where(readings.index != 5, 0.0625))
    assert compared(other, windows) == (0, 0, 1)
