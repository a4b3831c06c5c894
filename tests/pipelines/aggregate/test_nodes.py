"""Windows are made where readings have changed, and are the same however the readings came."""

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.core.errors import InputError
from batch_scoring.pipelines.aggregate.nodes import aggregate_windows
from batch_scoring.tables.fingerprints import table_digest
from batch_scoring.tables.partitions import partition_key
from batch_scoring.tables.schemas import READINGS
from batch_scoring.tables.streams import Stream
from batch_scoring.windows.features import aggregate_readings
from tests.factories import DAY_US, MINUTE_US, make_readings
from tests.partitions import Store

SETTINGS = {"window": "5m", "features": ["mean", "count", "diff_mean"], "min_readings": 1}


class Workspace:
    """Readings and windows in a folder."""

    def __init__(self, folder):
        self.readings, self.windows = Store(folder / "readings"), Store(folder / "windows")

    def add(self, table: pa.Table) -> None:
        """Put readings where ingest would."""
        stored = self.readings.load()
        days = dict.fromkeys(table["timestamp"].cast(pa.int64()).to_pylist())
        for day_number in {d // DAY_US for d in days}:
            day = datetime.fromtimestamp(day_number * 86400, UTC).date()
            for sensor in set(table["sensor"].to_pylist()):
                key = partition_key(sensor, day)
                times = table["timestamp"].cast(pa.int64()).to_pylist()
                mask = [
                    t // DAY_US == day_number and s == sensor
                    for t, s in zip(times, table["sensor"].to_pylist(), strict=True)
                ]
                rows = table.filter(pa.array(mask))
                if key in stored:
                    rows = pa.concat_tables([stored[key]().read(), rows])
                rows = rows.sort_by([("device", "ascending"), ("timestamp", "ascending")])
                self.readings.save({key: Stream(READINGS, iter([rows]), {"digest": table_digest(rows)})})

    def aggregate(self, device=None, sensor=None, **changes) -> list[str]:
        """Run the node; which partitions it wrote."""
        chunks = aggregate_windows(
            self.readings.load(), self.windows.load(), SETTINGS | changes, device, sensor
        )
        return self.windows.save(chunks)


def day_of(minutes, values, device="d1", sensor="s"):
    return make_readings(minutes, values, device, sensor)


def test_each_sensor_and_day_is_a_partition(tmp_path):
    work = Workspace(tmp_path)
    work.add(pa.concat_tables([day_of([0, 1440], [1, 2]), day_of([0], [3], sensor="a/b")]))
    assert set(work.aggregate()) == {
        "a%2Fb/2026-01-05", "s/2026-01-05", "s/2026-01-06",
    }  # fmt: skip


def test_a_second_run_writes_nothing(tmp_path):
    work = Workspace(tmp_path)
    work.add(day_of([0, 5, 1440], [1, 2, 3]))
    assert work.aggregate() == ["s/2026-01-05", "s/2026-01-06"]
    assert work.aggregate() == []


def test_a_late_reading_changes_its_window_and_the_change_of_the_next(tmp_path):
    work = Workspace(tmp_path)
    work.add(day_of([0, 5, 10, 15], [1, 2, 3, 4]))
    work.aggregate()
    before = work.windows.table().to_pylist()
    work.add(day_of([6], [4]))
    assert work.aggregate() == ["s/2026-01-05"]
    after = work.windows.table().to_pylist()
    changed = [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    assert changed == [1, 2]
    assert (after[1]["mean"], after[1]["count"], after[2]["diff_mean"]) == (3.0, 2, 0.0)
    assert (after[2]["mean"], after[2]["count"]) == (before[2]["mean"], before[2]["count"])


def test_the_first_window_of_a_day_knows_the_last_of_the_day_before(tmp_path):
    work = Workspace(tmp_path)
    work.add(day_of([1435, 1440], [1, 5]))
    work.aggregate()
    assert work.windows.table()["diff_mean"].to_pylist() == [0, 4]


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 4 * 1440), st.integers(-9, 9)),
        unique_by=lambda row: row[:2],
        min_size=1,
        max_size=40,
    ),
    st.sampled_from(["5m", "7m", "1h", "36h"]),
    st.integers(1, 3),
)
def test_partitions_hold_the_windows_of_the_whole_however_the_readings_arrive(
    tmp_path_factory, rows, window, batches
):
    device, minute, value = zip(*rows, strict=True)
    table = pa.concat_tables(
        [make_readings([m], [v], d) for d, m, v in zip(device, minute, value, strict=True)]
    )
    work = Workspace(tmp_path_factory.mktemp("work"))
    for part in range(batches):
        rows_of_part = table.filter(pa.array([i % batches == part for i in range(table.num_rows)]))
        if rows_of_part.num_rows:
            work.add(rows_of_part)
            work.aggregate(window=window)
    minutes = {"5m": 5, "7m": 7, "1h": 60, "36h": 2160}[window]
    whole = aggregate_readings(table, minutes * MINUTE_US, SETTINGS["features"])
    order = [("device", "ascending"), ("window_start", "ascending")]
    assert work.windows.table().sort_by(order).equals(whole.sort_by(order))


def test_other_settings_make_other_windows(tmp_path):
    work = Workspace(tmp_path)
    work.add(day_of([0, 5], [1, 2]))
    work.aggregate()
    assert work.aggregate(window="10m") == ["s/2026-01-05"]
    assert work.windows.table()["mean"].to_pylist() == [1.5]


def test_windows_that_are_all_too_short_are_no_file_or_an_empty_one(tmp_path):
    work = Workspace(tmp_path)
    work.add(day_of([0, 5], [1, 2]))
    assert work.aggregate(min_readings=2) == []
    assert work.aggregate(min_readings=1) == ["s/2026-01-05"]
    assert work.aggregate(min_readings=2) == ["s/2026-01-05"]
    assert work.windows.table().num_rows == 0
    assert work.aggregate(min_readings=2) == []


def test_a_device_without_a_window_is_known_all_the_same(tmp_path):
    work = Workspace(tmp_path)
    work.add(pa.concat_tables([day_of([0], [1], "a"), day_of([0, 1], [1, 2], "b")]))
    assert work.aggregate(device="a", min_readings=2) == []
    assert work.aggregate(device=["a", "b"], min_readings=2) == ["s/2026-01-05"]


def test_one_device_alone_leaves_the_others_windows_for_later(tmp_path):
    work = Workspace(tmp_path)
    work.add(pa.concat_tables([day_of([0], [1], "a"), day_of([0], [1], "b")]))
    work.aggregate()
    work.add(pa.concat_tables([day_of([1], [3], "a"), day_of([1], [3], "b")]))
    assert work.aggregate(device="a") == ["s/2026-01-05"]
    assert work.windows.table()["mean"].to_pylist() == [2, 1]
    assert work.aggregate(device="a") == []
    assert work.aggregate() == ["s/2026-01-05"]
    assert work.windows.table()["mean"].to_pylist() == [2, 2]


def test_one_sensor_alone_is_aggregated(tmp_path):
    work = Workspace(tmp_path)
    work.add(pa.concat_tables([day_of([0], [1], sensor="s"), day_of([0], [1], sensor="t")]))
    assert work.aggregate(sensor="t") == ["t/2026-01-05"]


def test_ids_that_do_not_exist_are_errors_with_near_ones(tmp_path):
    work = Workspace(tmp_path)
    work.add(day_of([0], [1], "pump-07"))
    with pytest.raises(InputError, match=r"sensor 't' is not among the 1 known"):
        work.aggregate(sensor="t")
    with pytest.raises(InputError, match=r"device 'pump-7' .* did you mean 'pump-07'\?"):
        work.aggregate(device="pump-7")


def test_other_features_for_one_device_are_refused(tmp_path):
    work = Workspace(tmp_path)
    work.add(pa.concat_tables([day_of([0], [1], "a"), day_of([0], [1], "b")]))
    work.aggregate()
    with pytest.raises(InputError, match="for all devices"):
        work.aggregate(device="a", features=["std"])


def test_without_readings_the_step_before_is_named(tmp_path):
    with pytest.raises(InputError, match="--pipelines=ingest"):
        Workspace(tmp_path).aggregate()


def test_a_window_needs_a_length(tmp_path):
    work = Workspace(tmp_path)
    work.add(day_of([0], [1]))
    with pytest.raises(InputError, match=r"aggregate\.window"):
        work.aggregate(window="0s")


def test_the_day_of_a_partition_is_that_of_its_windows_start(tmp_path):
    work = Workspace(tmp_path)
    work.add(day_of([1439, 1441], [1, 2]))
    work.aggregate(window="7m")
    days = {key: file().read()["window_start"].to_pylist() for key, file in work.windows.load().items()}
    for key, starts in days.items():
        assert {start.date() for start in starts} == {date.fromisoformat(key.split("/")[1])}
