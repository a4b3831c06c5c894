"""However few devices are in memory at a time, the windows are those of the whole."""

from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from batch_scoring.windows.days import WindowDay
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.tables.schemas import READINGS
from batch_scoring.windows import aggregation
from batch_scoring.windows.features import aggregate_readings
from batch_scoring.windows.settings import AggregateParameters
from tests.factories import DAY_US, MINUTE_US, START, START_US, make_readings

SETTINGS = AggregateParameters(window=timedelta(minutes=5), features=("mean", "last", "diff_mean"))
TODAY = WindowDay.of(START.date(), SETTINGS.window, SETTINGS.features)
DEVICES = ["", "a", "ab", "b", "ü", "\U0001f600"]
ROWS = st.lists(
    st.tuples(st.sampled_from(DEVICES), st.integers(-20, 20), st.integers(-9, 9)),
    unique_by=lambda row: row[:2],
    max_size=40,
)


def file_of(readings: pa.Table, group_rows: int = 3) -> pq.ParquetFile:
    sink = pa.BufferOutputStream()
    pq.write_table(readings, sink, row_group_size=group_rows)
    return pq.ParquetFile(pa.BufferReader(sink.getvalue()))


def readings_of(rows) -> pa.Table:
    tables = [make_readings([minute], [value], device) for device, minute, value in rows]
    table = pa.concat_tables([READINGS.empty_table(), *tables])
    return table.sort_by([("device", "ascending"), ("timestamp", "ascending")])


def whole_windows(readings: pa.Table) -> pa.Table:
    windows = aggregate_readings(readings, 5 * MINUTE_US, SETTINGS.features, sensor="s")
    return windows.filter(
        pa.array([start >= START for start in windows["window_start"].to_pylist()], pa.bool_())
    )


@given(ROWS, st.integers(1, 9), st.none() | st.sets(st.sampled_from(DEVICES), min_size=1))
def test_the_windows_do_not_depend_on_how_the_devices_were_cut(rows, batch_rows, devices):
    today, before = (readings_of(r for r in rows if (r[1] >= 0) == now) for now in (True, False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aggregation, "BATCH_ROWS", batch_rows)
        chosen = frozenset(devices) if devices else None
        files = [file_of(before), file_of(today)]
        tables = list(aggregation.day_windows(files, "s", TODAY, SETTINGS, chosen))
    assert all(table.num_rows for table in tables)
    whole = whole_windows(readings_of(row for row in rows if devices is None or row[0] in devices))
    assert pa.concat_tables([whole.slice(0, 0), *tables]).equals(whole)


def test_of_some_devices_only_the_row_groups_that_may_hold_them_are_read():
    class Watched:
        def __init__(self, file):
            self._file, self.read = file, []

        def __getattr__(self, name):
            return getattr(self._file, name)

        def iter_batches(self, *args, row_groups, **kwargs):
            self.read += row_groups
            return self._file.iter_batches(*args, row_groups=row_groups, **kwargs)

    file = Watched(file_of(readings_of((name, minute, 1) for name in "abcd" for minute in (0, 1, 2))))
    windows = pa.concat_tables(aggregation.day_windows([file], "s", TODAY, SETTINGS, frozenset("bd")))
    assert windows["device"].to_pylist() == ["b", "d"]
    assert file.read == [1, 3]


@given(ROWS, ROWS, st.sets(st.sampled_from(DEVICES), min_size=1), st.integers(1, 9))
def test_some_devices_windows_take_the_place_of_their_stored_ones(old, new, devices, batch_rows):
    stored, mine = (whole_windows(readings_of((d, abs(m), v) for d, m, v in rows)) for rows in (old, new))
    mine = mine.filter(pa.array([device in devices for device in mine["device"].to_pylist()], pa.bool_()))
    file = file_of(stored)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aggregation, "BATCH_ROWS", batch_rows)
        merged = list(aggregation.merge_windows(file, mine, frozenset(devices)))
        found = aggregation.read_windows(file, frozenset(devices)).to_pylist()
    assert found == [row for row in stored.to_pylist() if row["device"] in devices]
    others = [row for row in stored.to_pylist() if row["device"] not in devices]
    expected = sorted(others + mine.to_pylist(), key=lambda w: (w["device"].encode(), w["window_start"]))
    assert [row for table in merged for row in table.to_pylist()] == expected


def test_the_footer_is_complete_when_the_windows_have_been_read():
    windows = whole_windows(make_readings([0, 5], [1, 2]))
    streams = [
        aggregation.windows_stream(windows.schema, tables, "made of these")
        for tables in ([windows], [windows.slice(0, 1), windows.slice(1)], [windows.slice(1)])
    ]
    assert "digest" not in streams[0].metadata
    assert [list(stream.batches) != [] for stream in streams] == [True] * 3
    digests = [stream.metadata["digest"] for stream in streams]
    assert digests[0] == digests[1] != digests[2]
    assert streams[0].metadata["inputs"] == "made of these"


def test_a_reading_at_the_edge_of_the_day_is_of_one_day_only():
    file = file_of(make_readings([0, 1439.999, 1440], [1, 2, 3]))
    tomorrow = WindowDay(START_US + DAY_US, START_US + 2 * DAY_US, START_US + DAY_US)
    means = [
        [
            mean
            for table in aggregation.day_windows([file], "s", day, SETTINGS)
            for mean in table["mean"].to_pylist()
        ]
        for day in (TODAY, tomorrow)
    ]
    assert means == [[1, 2], [3]]
