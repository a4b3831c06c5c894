"""However few series are in memory at a time, and however time is cut, the windows are those of the whole."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.tables.schemas import READINGS
from batch_scoring.windows.aggregation import Span, span_windows, touched_spans
from batch_scoring.windows.features import aggregate_readings
from batch_scoring.windows.history import STORED
from batch_scoring.windows.settings import AggregateParameters
from tests.factories import DAY_US, MINUTE_US, START_US
from tests.row_tables import readings

FIVE = 5 * MINUTE_US
SETTINGS = AggregateParameters(window=timedelta(minutes=5), features=("mean", "last", "diff_mean"))
PLAIN = AggregateParameters(window=timedelta(minutes=5), features=("mean",))
SERIES = st.sampled_from([(device, sensor) for device in ("", "a", "ab", "ü", "😀") for sensor in ("s", "ß")])
ROWS = st.lists(
    st.tuples(st.integers(-20, 20), SERIES, st.integers(-9, 9)), unique_by=lambda row: row[:2], max_size=40
)
ORDER = [(name, "ascending") for name in ("sensor", "device", "timestamp")]


def readings_of(rows) -> pa.Table:
    return readings(*((minute, device, sensor, value) for minute, (device, sensor), value in rows)).sort_by(
        ORDER
    )


def batches(table: pa.Table, rows: int):
    return (table.slice(start, rows) for start in range(0, table.num_rows, rows))


@given(ROWS, st.integers(1, 9), st.integers(0, 40), st.integers(-4, 4), st.integers(1, 8))
def test_the_windows_do_not_depend_on_how_the_series_were_cut(rows, batch_rows, split, first, n_windows):
    """Sources share series, as the files of two arrivals do."""
    start = START_US + first * FIVE
    span = Span(start, start + n_windows * FIVE, start - FIVE)
    sources = [batches(readings_of(part), batch_rows) for part in (rows[:split], rows[split:])]
    tables = list(span_windows(sources, span, SETTINGS))
    assert all(table.num_rows for table in tables)
    whole = aggregate_readings(readings_of(rows), FIVE, SETTINGS.features)
    starts = whole["window_start"].cast(pa.int64()).to_pylist()
    inside = whole.filter(pa.array([span.start <= one < span.end for one in starts], pa.bool_()))
    assert pa.concat_tables([whole.slice(0, 0), *tables]).equals(inside)


@given(ROWS, st.integers(1, 9), st.integers(-4, 4), st.integers(1, 2))
def test_stored_windows_are_as_good_as_their_readings(rows, batch_rows, first, min_readings):
    features = ("mean", "min", "max", "diff_mean", "equal_run")
    settings = replace(SETTINGS, features=features, min_readings=min_readings)
    rows = [(minute, series, value // 7) for minute, series, value in rows]
    start = START_US + first * FIVE
    whole = aggregate_readings(readings_of(rows), FIVE, features, min_readings)
    starts = np.array(whole["window_start"].cast(pa.int64()).to_pylist(), np.int64)
    stored = whole.select(STORED.names).filter(pa.array(starts < start))
    span = Span(start, start + DAY_US, start)
    tables = span_windows([[readings_of(rows)]], span, settings, [batches(stored, batch_rows)])
    assert pa.concat_tables([whole.slice(0, 0), *tables]).equals(whole.filter(pa.array(starts >= start)))


def test_without_readings_there_are_no_windows():
    span = Span(START_US, START_US + DAY_US, START_US)
    assert list(span_windows([], span, SETTINGS)) == []
    assert list(span_windows([[READINGS.empty_table()]], span, SETTINGS)) == []


def test_a_reading_at_the_edge_is_in_one_span_only():
    rows = readings((0, "d", 1), (4.999999, "d", 2), (5, "d", 3))
    spans = [Span(start, start + FIVE, start) for start in (START_US, START_US + FIVE)]
    means = [[table["mean"].to_pylist() for table in span_windows([[rows]], one, PLAIN)] for one in spans]
    assert means == [[[1.5]], [[3]]]


MOMENTS = st.integers(-40 * DAY_US, 40 * DAY_US)
TIMES = st.lists(st.tuples(MOMENTS, MOMENTS).map(lambda pair: (min(pair), max(pair))), max_size=6)
WINDOWS = st.sampled_from([5, 7, 60, 36 * 60])


@given(TIMES, WINDOWS, st.booleans(), st.booleans(), st.none() | MOMENTS)
def test_the_spans_are_every_window_that_readings_may_change_and_no_other(
    times, minutes, has_diff, by_month, kept_from
):
    features = ("mean", "diff_mean") if has_diff else ("mean",)
    settings = AggregateParameters(window=timedelta(minutes=minutes), features=features)
    window = minutes * MINUTE_US
    spans = touched_spans(times, settings, by_month, kept_from)
    expected = {
        number
        for first, last in times
        for number in range(first // window, last // window + (2 if has_diff else 1))
        # All readings of these windows are there, and of those before whose mean is needed.
        if kept_from is None or (number - has_diff) * window >= kept_from
    }
    found = [number for span in spans for number in range(span.start // window, span.end // window)]
    assert found == sorted(expected), "in order, each once"
    for span in spans:
        assert span.start % window == span.end % window == 0
        assert span.read_from == span.start - (window if has_diff else 0)
        starts = np.arange(span.start, span.end, window).astype("M8[us]")
        assert len(np.unique(starts.astype("M8[M]" if by_month else "M8[D]"))) == 1


def test_a_day_is_a_piece_whatever_the_readings_begin_with():
    times = [(START_US + 12 * 3600_000_000, START_US + 2 * DAY_US + 1)]
    assert [(one.start - START_US, one.end - START_US) for one in touched_spans(times, PLAIN)] == [
        (DAY_US // 2, DAY_US),
        (DAY_US, 2 * DAY_US),
        (2 * DAY_US, 2 * DAY_US + FIVE),
    ]
    assert len(touched_spans(times, PLAIN, by_month=True)) == 1
