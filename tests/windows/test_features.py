"""Windows and features, checked against pandas and NumPy done the slow way."""

from itertools import groupby

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.core.errors import InputError
from batch_scoring.tables.schemas import READINGS, windows_schema
from batch_scoring.windows.features import aggregate_readings, feature_matrix
from tests.factories import MINUTE_US, START_US, make_readings, make_windows

# All but `equal_run`, which has tests of its own below.
EVERY = [
    "mean", "std", "min", "max", "range", "first", "last", "change", "slope", "sum", "p05", "p50", "p95",
    "count", "diff_mean",
]  # fmt: skip
FIVE = 5 * MINUTE_US


@st.composite
def readings(draw):
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["a", "b", "Ünï/7"]),
                st.integers(-40 * MINUTE_US, 40 * MINUTE_US),
                st.floats(-1e6, 1e6),
            ),
            unique_by=lambda row: row[:2],
            min_size=1,
            max_size=80,
        )
    )
    device, time, value = zip(*rows, strict=True)
    columns = {"timestamp": time, "device": device, "sensor": ["s"] * len(rows), "value": value}
    return pa.table(columns).cast(READINGS)


def slowly(readings: pa.Table) -> pd.DataFrame:
    frame = readings.to_pandas().sort_values(["device", "timestamp"])
    frame["window_start"] = frame["timestamp"].dt.floor("5min")
    rows = []
    for (device, start), group in frame.groupby(["device", "window_start"], sort=True):
        x = group["value"].to_numpy()
        # From the first reading: beside minutes, microseconds would lose their digits.
        t = (group["timestamp"] - group["timestamp"].iloc[0]).dt.total_seconds().to_numpy()
        spread = ((t - t.mean()) ** 2).sum()
        rows.append(
            {
                "device": device, "window_start": start, "mean": x.mean(), "std": x.std(), "min": x.min(),
                "max": x.max(), "range": np.ptp(x), "first": x[0], "last": x[-1], "change": x[-1] - x[0],
                "slope": ((t - t.mean()) * (x - x.mean())).sum() / spread if spread else 0.0,
                "sum": x.sum(), "p05": np.quantile(x, 0.05), "p50": np.median(x), "p95": np.quantile(x, 0.95),
                "count": len(x),
            }
        )  # fmt: skip
    result = pd.DataFrame(rows)
    before = result.groupby("device")["mean"].shift()
    adjacent = result.groupby("device")["window_start"].diff() == pd.Timedelta("5min")
    result["diff_mean"] = (result["mean"] - before).where(adjacent, 0.0)
    return result


@given(readings())
def test_every_feature_is_what_it_says(table):
    windows = aggregate_readings(table, FIVE, EVERY)
    assert windows.schema == windows_schema(EVERY)
    expected = slowly(table)
    assert windows["device"].to_pylist() == expected["device"].tolist()
    assert windows["window_start"].to_pandas().tolist() == expected["window_start"].tolist()
    for name in EVERY:
        ours, theirs = windows[name].to_numpy(), expected[name].to_numpy()
        rtol, atol = (1e-6, 1e-4) if name == "slope" else (1e-9, 1e-6)
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol)


@given(readings(), st.randoms())
def test_the_order_of_readings_does_not_matter(table, random):
    order = list(range(table.num_rows))
    random.shuffle(order)
    assert aggregate_readings(table.take(order), FIVE, EVERY).equals(aggregate_readings(table, FIVE, EVERY))


def test_a_reading_on_the_edge_belongs_to_the_window_that_starts_there():
    windows = aggregate_readings(make_readings([0, 4.999, 5], [1, 2, 4]), FIVE, ["mean"])
    assert windows["mean"].to_pylist() == [1.5, 4.0]
    starts = windows["window_start"].cast(pa.int64()).to_pylist()
    assert starts == [START_US, START_US + FIVE]


def test_the_change_of_the_mean_is_zero_after_a_gap():
    windows = aggregate_readings(make_readings([0, 5, 20, 25], [1, 3, 7, 8]), FIVE, ["diff_mean"])
    assert windows["diff_mean"].to_pylist() == [0, 2, 0, 1]


def test_short_windows_are_left_out_and_count_as_gaps():
    table = make_readings([0, 1, 5, 10, 11], [1, 1, 9, 2, 4])
    windows = aggregate_readings(table, FIVE, ["mean", "diff_mean"], min_readings=2)
    assert windows["mean"].to_pylist() == [1, 3]
    assert windows["diff_mean"].to_pylist() == [0, 0]


@pytest.mark.filterwarnings("error")
def test_the_largest_values_there_are_make_windows_without_a_warning():
    most = np.finfo(np.float64).max
    values = {"huge": [most, -most, most, most], "usual": [1.0, 2.0, 3.0, 4.0]}
    columns = {
        "timestamp": [START_US + n * MINUTE_US for n in range(4)] * 2,
        "device": [device for device in values for _ in range(4)],
        "sensor": ["s"] * 8,
        "value": [*values["huge"], *values["usual"]],
    }
    windows = aggregate_readings(pa.table(columns).cast(READINGS), FIVE, EVERY)
    huge, usual = windows.to_pylist()
    assert (huge["min"], huge["max"], huge["last"]) == (-most, most, most)
    assert not np.isfinite(huge["std"])
    assert (usual["mean"], usual["sum"], usual["slope"]) == (2.5, 10.0, 1 / 60)


def test_no_readings_make_no_windows():
    windows = aggregate_readings(READINGS.empty_table(), FIVE, EVERY)
    assert windows.num_rows == 0
    assert windows.schema == windows_schema(EVERY)


def test_an_unknown_feature_is_named():
    with pytest.raises(InputError, match=r"'median'.* mean, .*p99"):
        aggregate_readings(make_readings([0], [1]), FIVE, ["median"])


def test_windows_must_have_a_length():
    with pytest.raises(InputError, match=r"aggregate\.window"):
        aggregate_readings(make_readings([0], [1]), 0)


def test_a_missing_feature_column_is_named():
    with pytest.raises(InputError, match=r"feature 'std'"):
        feature_matrix(make_windows(np.ones((2, 1))), ["mean", "std"])


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=80), st.integers(0, 1))
def test_a_run_of_equal_values_goes_on_from_flat_windows(steps, two):
    """``steps``: the minutes to the next reading, and its value."""
    minutes = np.cumsum([gap + 1 for gap, _ in steps])
    values = [float(value) for _, value in steps]
    parts = [make_readings(list(minutes), values, device) for device in ("a", "b")[: 1 + two]]
    found = aggregate_readings(pa.concat_tables(parts), 5 * MINUTE_US, ["equal_run"]).to_pylist()
    windows = {}
    for minute, value in zip(minutes.tolist(), values, strict=True):
        windows.setdefault(minute // 5, []).append(value)
    expected = []
    for number, own in windows.items():
        runs = [len(list(run)) for _, run in groupby(own)]
        for before in [one for one in windows if number - 11 <= one < number][::-1]:
            if set(windows[before]) != {own[0]}:
                break
            runs[0] += len(windows[before])
        expected.append(max(runs))
    assert [row["equal_run"] for row in found] == expected * (1 + two)
