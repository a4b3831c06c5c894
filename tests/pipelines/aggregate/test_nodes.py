"""Windows are made where readings have changed, and are the same however the readings came."""

from datetime import date, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kedro.io import DatasetError

from batch_scoring.core.errors import InputError
from batch_scoring.pipelines.aggregate.nodes import aggregate_windows
from batch_scoring.storage.compaction import compact, forget
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.schemas import READINGS
from batch_scoring.windows.features import aggregate_readings
from tests.examples import few_examples
from tests.factories import DAY_US, MINUTE_US, make_readings
from tests.row_tables import add, dataset_at, table_at

pytestmark = pytest.mark.slow

SETTINGS = {"window": "5m", "features": ["mean", "count", "diff_mean"], "min_readings": 1}
DAY = 1440
ORDER = [(name, "ascending") for name in ("sensor", "device", "window_start")]


class Workspace:
    """Readings and windows in a folder."""

    def __init__(self, folder):
        self.readings_at, self.windows_at = folder / "readings", folder / "windows"

    @property
    def readings(self) -> RowTable:
        return table_at(self.readings_at)

    @property
    def windows(self) -> RowTable:
        return table_at(self.windows_at, "window_start")

    def add(self, *tables: pa.Table, **more) -> None:
        """Put readings where ingest would."""
        rows = pa.concat_tables(tables)
        add(
            self.readings_at,
            rows.sort_by([(n, "ascending") for n in ("sensor", "device", "timestamp")]),
            **more,
        )

    def aggregate(self, device=None, sensor=None, **changes) -> list[str]:
        """Run the node; the days of the files that it wrote."""
        before = {file.name for file in self.windows.files()}
        update = aggregate_windows(self.readings, SETTINGS | changes, device, sensor)
        try:
            dataset_at(self.windows_at, "window_start").save(update)
        except DatasetError as error:
            raise error.__cause__ or error from None
        return [f"{file.day}" for file in self.windows.files() if file.name not in before]

    def table(self) -> pa.Table:
        """All windows, by sensor, device and time."""
        return self.windows.read().sort_by(ORDER)

    def column(self, name):
        return self.table()[name].to_pylist()


@pytest.fixture
def work(tmp_path):
    return Workspace(tmp_path)


day_of = make_readings


def test_each_day_is_a_partition_of_all_sensors(work):
    work.add(day_of([0, DAY], [1, 2]), day_of([0], [3], sensor="a/b"))
    assert work.aggregate() == ["2026-01-05", "2026-01-06"]
    assert work.column("sensor") == ["a/b", "s", "s"]
    stored = work.windows.read()
    assert stored["sensor"].to_pylist() == ["a/b", "s", "s"]


def test_a_second_run_commits_nothing(work):
    work.add(day_of([0, 5, DAY], [1, 2, 3]))
    assert work.aggregate() == ["2026-01-05", "2026-01-06"]
    version = work.windows.version
    assert work.aggregate() == []
    assert work.windows.version == version


def test_only_what_was_added_is_read(work, monkeypatch):
    work.add(day_of([0, 5], [1, 2]))
    work.add(day_of([3 * DAY], [1]))
    work.aggregate()
    work.add(day_of([3 * DAY + 5], [4]))
    read = []
    batches = RowTable.batches

    def noted(self, file, *args, **more):
        read.append(file.day)
        return batches(self, file, *args, **more)

    monkeypatch.setattr(RowTable, "batches", noted)
    work.aggregate()
    assert set(read) == {date(2026, 1, 8)}


def test_the_readings_of_the_hour_before_are_not_read_for_its_mean(work):
    work.add(day_of(range(60), range(60)))
    work.aggregate()
    (before,) = work.readings.files()
    work.add(day_of(range(60, 120), range(60, 120)))
    (work.readings_at / before.name).unlink()
    work.aggregate()
    assert work.column("diff_mean") == [0.0] + [5.0] * 23


def test_stored_windows_tell_how_long_a_value_has_been_stuck(work):
    features = {"features": ["mean", "min", "max", "equal_run"]}
    work.add(day_of(range(60), [1] * 2 + [7] * 58))
    work.aggregate(**features)
    (before,) = work.readings.files()
    work.add(day_of(range(60, 75), [7] * 12 + [8] * 3))
    (work.readings_at / before.name).unlink()
    work.aggregate(**features)
    # The first window holds another value, too; of those before, eleven count.
    assert work.column("equal_run") == [3.0, *(5.0 * n for n in range(1, 12)), 60.0, 60.0, 57.0]


def test_a_late_reading_changes_its_window_and_the_change_of_the_next(work):
    work.add(day_of([0, 5, 10, 15], [1, 2, 3, 4]))
    work.aggregate()
    before = work.table().to_pylist()
    work.add(day_of([6], [4]))
    assert work.aggregate() == ["2026-01-05"] * 2, "the new rows, and the rows that stay"
    after = work.table().to_pylist()
    changed = [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    assert changed == [1, 2]
    assert (after[1]["mean"], after[1]["count"], after[2]["diff_mean"]) == (3.0, 2, 0.0)
    assert (after[2]["mean"], after[2]["count"]) == (before[2]["mean"], before[2]["count"])


def test_a_late_reading_that_changes_no_window_rewrites_nothing(work):
    work.add(day_of([0, 5], [1, 2]))
    assert work.aggregate(features=["max"]) == ["2026-01-05"]
    work.add(day_of([0, 5], [1, 2], device="e"), day_of([6], [1]))
    assert work.aggregate(features=["max"]) == ["2026-01-05"] * 2
    work.add(day_of([7], [1]))
    work.aggregate(features=["max"])
    assert work.column("count") == [1, 3, 1, 1]
    version = work.windows.version
    assert work.aggregate(features=["max"]) == []
    assert work.windows.version == version


def test_a_late_reading_of_a_day_changes_the_first_window_of_the_next(work):
    work.add(day_of([DAY - 5, DAY], [1, 5]))
    work.aggregate()
    work.add(day_of([DAY - 4], [3]))
    work.aggregate()
    assert work.column("diff_mean") == [0, 3]


def test_the_first_window_of_a_day_knows_the_last_of_the_day_before(work):
    work.add(day_of([DAY - 5, DAY], [1, 5]))
    work.aggregate()
    assert work.column("diff_mean") == [0, 4]
    work.add(day_of([2 * DAY - 5], [7]))
    work.aggregate()
    work.add(day_of([2 * DAY], [9]))
    work.aggregate()
    assert work.column("diff_mean") == [0, 4, 0, 2]


@few_examples
@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"),
            st.integers(0, 4 * DAY) | st.integers(0, 200),
            st.integers(-9, 9) | st.integers(0, 1),
        ),
        unique_by=lambda row: row[:2],
        min_size=1,
        max_size=40,
    ),
    st.sampled_from(["5m", "7m", "1h", "36h"]),
    st.lists(st.sampled_from(["run", "compact", "by month", ""]), min_size=1, max_size=4),
    st.sampled_from([SETTINGS["features"], ["mean", "min", "max", "diff_mean", "equal_run"]]),
    st.integers(1, 2),
)
def test_the_windows_are_those_of_the_whole_however_the_readings_arrive(
    tmp_path_factory, rows, window, batches, features, min_readings
):
    device, minute, value = zip(*rows, strict=True)
    tables = [make_readings([m], [v], d) for d, m, v in zip(device, minute, value, strict=True)]
    work = Workspace(tmp_path_factory.mktemp("work"))
    settings = {"window": window, "features": features, "min_readings": min_readings}
    for place, what in enumerate(batches):
        part = tables[place :: len(batches)]
        if part:
            work.add(*part, by_month=what == "by month")
        if what == "compact" and (change := compact(work.readings, 2)):
            work.readings.commit(change)
        if what and work.readings.num_rows:
            work.aggregate(**settings)
    work.aggregate(**settings)
    minutes = {"5m": 5, "7m": 7, "1h": 60, "36h": 2160}[window]
    whole = aggregate_readings(pa.concat_tables(tables), minutes * MINUTE_US, features, min_readings)
    assert work.table().equals(whole.sort_by(ORDER))


def test_other_settings_make_other_windows(work):
    work.add(day_of([0, 5], [1, 2]))
    work.aggregate()
    assert work.aggregate(window="10m") == ["2026-01-05"]
    assert work.column("mean") == [1.5]
    assert work.aggregate(window="10m", features=["std", "max"]) == ["2026-01-05"]
    assert work.table().column_names[-2:] == ["std", "max"]
    assert work.aggregate(window="10m", features=["std", "max"]) == []


def test_settings_may_change_while_there_are_no_windows(work):
    work.add(day_of([0, 5], [1, 2]))
    assert work.aggregate(min_readings=2) == []
    assert work.aggregate(min_readings=2, features=["max"]) == []
    assert work.aggregate(features=["max"], device="d1") == ["2026-01-05"]
    assert work.column("max") == [1, 2]


def test_windows_that_are_all_too_short_are_no_file(work):
    work.add(day_of([0, 5], [1, 2]))
    assert work.aggregate(min_readings=2) == []
    assert work.aggregate(min_readings=1) == ["2026-01-05"]
    assert work.aggregate(min_readings=2) == []
    assert work.table().num_rows == 0
    version = work.windows.version
    assert work.aggregate(min_readings=2) == []
    assert work.windows.version == version


def test_a_device_without_a_window_is_known_all_the_same(work):
    work.add(day_of([0], [1], "a"), day_of([0, 1], [1, 2], "b"))
    assert work.aggregate(device="a", min_readings=2) == []
    assert work.aggregate(device=["a", "b"], min_readings=2) == ["2026-01-05"]


def test_one_device_alone_leaves_the_others_windows_for_later(work):
    work.add(day_of([0], [1], "a"), day_of([0], [1], "b"))
    work.aggregate()
    work.add(day_of([1], [3], "a"), day_of([1], [3], "b"))
    assert work.aggregate(device="a") == ["2026-01-05"] * 2
    assert work.column("mean") == [2, 1]
    assert work.aggregate(device="a") == []
    assert work.aggregate() == ["2026-01-05"]
    assert work.column("mean") == [2, 2]
    assert work.aggregate(device="b") == []


def test_one_device_may_be_the_first(work):
    work.add(day_of([0], [1], "a"), day_of([0], [1], "b"), day_of([0], [1], "b", "t"))
    work.aggregate(device="b", sensor="s")
    assert work.column("device") == ["b"]
    work.aggregate()
    assert work.column("device") == ["a", "b", "b"]


def test_one_sensor_alone_is_aggregated(work):
    work.add(day_of([0], [1], sensor="s"), day_of([0], [1], sensor="t"))
    assert work.aggregate(sensor="t") == ["2026-01-05"]
    assert work.column("sensor") == ["t"]


def test_ids_that_do_not_exist_are_errors_with_near_ones(work):
    work.add(day_of([0], [1], "pump-07"))
    with pytest.raises(InputError, match=r"sensor 't' is not among the 1 known"):
        work.aggregate(sensor="t")
    with pytest.raises(InputError, match=r"device 'pump-7' .* did you mean 'pump-07'\?"):
        work.aggregate(device="pump-7")


def test_other_features_for_one_device_are_refused(work):
    work.add(day_of([0], [1], "a"), day_of([0], [1], "b"))
    work.aggregate()
    with pytest.raises(InputError, match="for all devices"):
        work.aggregate(device="a", features=["std"])
    assert work.column("device") == ["a", "b"]


def test_without_readings_the_step_before_is_named(work):
    with pytest.raises(InputError, match="--pipelines=ingest"):
        work.aggregate()


def test_a_window_needs_a_length(work):
    work.add(day_of([0], [1]))
    with pytest.raises(InputError, match=r"aggregate\.window"):
        work.aggregate(window="0s")


def test_the_day_of_a_partition_is_that_of_its_windows_start(work):
    work.add(day_of([DAY - 1, DAY + 1], [1, 2]))
    work.aggregate(window="7m")
    windows = work.windows
    for file in windows.files():
        starts = next(windows.batches(file))["window_start"].to_pylist()
        assert {start.date() for start in starts} == {file.day}


def test_times_before_1970_have_windows(work):
    us = -DAY_US // 2
    columns = [[us, us + 1], ["d"] * 2, ["s"] * 2, [1.0, 3.0]]
    work.add(pa.table(columns, READINGS.names).cast(READINGS))
    assert work.aggregate(window="7m") == ["1969-12-31"]
    assert work.column("mean") == [2]


def test_windows_that_were_deleted_are_made_again(work, tmp_path):
    work.add(day_of([0, 5], [1, 2]))
    work.add(day_of([10], [3]))
    work.aggregate()
    whole = work.table()
    work.windows_at.rename(tmp_path / "moved")
    work.aggregate()
    assert work.table().equals(whole)


def test_readings_that_were_made_anew_are_aggregated_anew(work, tmp_path):
    work.add(day_of([0], [1]))
    work.aggregate()
    work.readings_at.rename(tmp_path / "moved")
    work.add(day_of([0, 5], [1, 2]))
    assert work.windows.progress("aggregate") != work.readings.position
    work.aggregate()
    assert work.column("mean") == [1, 2]


def test_of_two_runs_at_once_the_later_readings_count(work):
    work.add(day_of([0], [1]))
    slow = aggregate_windows(work.readings, SETTINGS, None, None)
    work.add(day_of([1], [3]))
    work.aggregate()
    dataset_at(work.windows_at, "window_start").save(slow)
    assert work.column("mean") == [2]
    version = work.windows.version
    assert work.aggregate() == []
    assert work.windows.version == version


def test_a_run_that_is_overtaken_while_it_aggregates_does_its_work_again(work):
    work.add(day_of([0], [1]))
    work.aggregate()
    work.add(day_of([5], [2]))
    update = aggregate_windows(work.readings, SETTINGS, None, None)
    calls = []

    def overtaken(windows):
        change = update(windows)
        if not calls:
            work.add(day_of([6], [4]))
            work.aggregate()
        calls.append(change)
        return change

    dataset_at(work.windows_at, "window_start").save(overtaken)
    assert len(calls) == 2
    assert work.column("mean") == [1, 3]
    assert work.aggregate() == []


def test_a_reading_older_than_those_that_are_kept_leaves_the_windows_as_they_are(work, caplog):
    work.add(*(day_of([day * DAY, day * DAY + 1], [1, 3]) for day in range(10)))
    work.aggregate()
    whole = work.table()
    work.readings.commit(forget(work.readings, timedelta(days=3), []))
    assert work.readings.num_rows < 20
    work.add(day_of([2], [100]))
    work.aggregate()
    assert work.table().equals(whole)
    assert (
        "not all readings before 2026-01-11T00:00:00Z are kept; the windows before that stay" in caplog.text
    )
    work.add(day_of([9 * DAY + 2], [8]))
    work.aggregate()
    assert work.column("mean") == [2] * 9 + [4]
    work.aggregate(window="10m")
    assert work.column("mean") == [2, 2, 2, 4][-len(work.column("mean")) :]
    assert "the windows before that are gone" in caplog.text


def test_a_history_of_few_rows_a_day_is_in_a_file_a_month(work):
    work.add(day_of([day * DAY for day in range(100)], list(range(100))), by_month=True)
    work.aggregate()
    assert [file.day.day for file in work.windows.files()] == [1] * 4
    assert work.column("mean") == list(range(100))
    work.add(day_of([50 * DAY + 1], [150]))
    work.aggregate()
    assert work.column("mean")[50] == 100
    assert [file.by_month for file in work.windows.files()].count(True) == 4


@pytest.mark.parametrize(
    ("minutes", "window", "suits"),
    [(1440, "5m", "7d"), (5, "5m", "30m"), (5, "30m", None), (1440, "7d", None)],
)
def test_windows_that_hold_one_reading_are_said_once_with_a_length_that_suits(
    work, caplog, minutes, window, suits
):
    work.add(day_of([n * minutes for n in range(60)], range(60)), by_month=True)
    work.aggregate(window=window)
    warned = [one.args for one in caplog.records if one.levelname == "WARNING"]
    assert [args[-1] for args in warned] == ([suits] if suits else [])
    caplog.clear()
    work.add(day_of([n * minutes for n in range(60, 120)], range(60)), by_month=True)
    work.aggregate(window=window)
    assert [one for one in caplog.records if one.levelname == "WARNING"] == []


def test_the_first_readings_choose_the_length_of_all_windows(work):
    n = 7 * DAY // 10
    work.add(make_readings([i * 10 for i in range(n)], list(range(n))), by_month=True)
    work.aggregate(window=None)
    assert work.column("count") == [6] * (n // 6)
    work.add(make_readings([7 * DAY + i for i in range(120)], [0.0] * 120), by_month=True)
    work.aggregate(window=None)
    assert work.column("count") == [6] * (n // 6) + [60, 60]
    work.aggregate(window="30m")
    assert work.column("count") == [3] * (n // 3) + [30] * 4
