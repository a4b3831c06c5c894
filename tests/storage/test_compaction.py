"""Compaction keeps the rows and their order; retention removes whole old files; vacuum what nobody needs."""

from __future__ import annotations

import os
import random
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.core.errors import ConflictError
from batch_scoring.storage import compaction
from batch_scoring.storage.compaction import compact, forget, has_new_day, is_yesterday_large
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.storage.table_log import RETENTION
from batch_scoring.storage.upsert import Upsert
from batch_scoring.tables import device_ranges
from batch_scoring.tables.schemas import QUARANTINE, READINGS
from tests.examples import few_examples
from tests.factories import START
from tests.row_tables import add, dataset_at, devices, parquet_files, readings, table_at

pytestmark = pytest.mark.slow

DAY = 1440
ORDER = [(name, "ascending") for name in ("sensor", "device", "timestamp")]


def fill(folder: Path, hours: int = 5, days: int = 3, **more: object) -> RowTable:
    """Days of readings of two sensors and devices, a file an hour."""
    for hour in range(hours * days):
        minute = hour // hours * DAY + hour % hours * 60
        rows = [
            (minute + n, device, sensor, float(hour)) for sensor in "st" for device in "ab" for n in (0, 7)
        ]
        table = add(folder, readings(*rows), **more)
    return table


def one_a_day(folder: Path, days: int) -> RowTable:
    """Two readings a day, and a file of them."""
    for day in range(days):
        table = add(folder, readings((day * DAY + 1, "a", day), (day * DAY, "b", day)))
    return table


def compacted(folder: Path, min_files: int = 2) -> RowTable:
    table = table_at(folder)
    change = compact(table, min_files)
    assert change is not None
    return table.commit(change)


def rows_of(table: RowTable) -> pa.Table:
    """All rows, sorted."""
    return table.read().sort_by(ORDER).combine_chunks()


def is_sorted(table: RowTable) -> bool:
    """Whether each file is in the order of sensor, device and time."""
    parts = [pa.concat_tables(table.batches(file)).combine_chunks() for file in table.files()]
    return all(part == part.sort_by(ORDER) for part in parts)


def is_sorted_on_disk(table: RowTable) -> bool:
    parts = [table.open(file).read() for file in table.files()]
    return all(part == part.sort_by(ORDER) for part in parts)


def files_a_day(table: RowTable) -> list[int]:
    days = [file.day for file in table.files()]
    return [days.count(day) for day in sorted(set(days))]


def test_finished_days_become_a_file_each_with_the_same_rows_in_order(tmp_path: Path) -> None:
    before = fill(tmp_path)
    after = compacted(tmp_path)
    assert files_a_day(before) == [5, 5, 5]
    assert files_a_day(after) == [1, 1, 5]
    assert rows_of(after) == rows_of(before)
    assert is_sorted(after)
    assert compact(after, 2) is None


def test_what_it_joins_is_compressed_well_and_what_an_hour_brings_quickly(tmp_path: Path) -> None:
    fill(tmp_path)
    after = compacted(tmp_path)
    codecs = [after.open(file).metadata.row_group(0).column(0).compression for file in after.files()]
    assert codecs == ["ZSTD", "ZSTD", *5 * ["SNAPPY"]]


def test_no_more_rows_than_wanted_are_held_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fill(tmp_path, days=2)
    sizes = []
    plain = compaction._in_order

    def noted(rows: pa.Table, time: str) -> pa.Table:
        sizes.append(rows.num_rows)
        return plain(rows, time)

    monkeypatch.setattr(compaction, "_in_order", noted)
    monkeypatch.setattr(device_ranges, "_HELD_ROWS", 10)
    monkeypatch.setattr(device_ranges, "_LEAST_ROWS", 2)
    after = compacted(tmp_path)
    # Of a day 40 rows in five files; two rows of each file are one series.
    assert sum(sizes) == 40
    assert max(sizes) == 10
    assert rows_of(after) == rows_of(before)
    assert is_sorted(after)


def test_a_range_of_devices_does_not_hold_the_texts_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{n:02}" for n in range(60)]
    for start in range(3):  # each file ends, and begins, amid the devices of the others
        add(tmp_path, readings(*((start, name, start) for name in names[start::2])))
    before = add(tmp_path, readings((DAY, "a", 1)))
    plain, held = compaction._in_order, []

    def noted(rows: pa.Table, time: str) -> pa.Table:
        held.append((len(rows["device"].chunk(0).dictionary), rows.num_rows))
        return plain(rows, time)

    monkeypatch.setattr(compaction, "_in_order", noted)
    monkeypatch.setattr(device_ranges, "_HELD_ROWS", 30)
    monkeypatch.setattr(device_ranges, "_LEAST_ROWS", 2)
    after = compacted(tmp_path)
    assert len(held) > 3
    assert all(n_texts <= n_rows for n_texts, n_rows in held)
    assert rows_of(after) == rows_of(before)


def test_a_text_that_is_missing_comes_last(tmp_path: Path) -> None:
    names = [(1, "b", None), (1, None, "s"), (0, "a", "s"), (2, "a", "s"), (1, "a", "s")]
    rows = readings(*((n, device or "", sensor or "", 1.0) for n, device, sensor in names))
    for place, name in ((2, "sensor"), (1, "device")):
        texts = pa.array([one[place] for one in names]).dictionary_encode()
        rows = rows.set_column(rows.schema.get_field_index(name), name, texts)
    found = compaction._in_order(rows, "timestamp")
    minutes = [(time - START).seconds // 60 for time in found["timestamp"].to_pylist()]
    ids = zip(minutes, found["device"].to_pylist(), found["sensor"].to_pylist(), strict=True)
    assert list(ids) == [(0, "a", "s"), (1, "a", "s"), (2, "a", "s"), (1, None, "s"), (1, "b", None)]


def test_yesterday_can_be_left_for_later_where_it_is_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = fill(tmp_path)
    assert not is_yesterday_large(table, 2)
    monkeypatch.setattr(compaction, "_MANY_ROWS", 39)
    assert is_yesterday_large(table, 2)
    assert not is_yesterday_large(table, 6)
    change = compact(table, 2, but_yesterday=True)
    assert change is not None
    after = table.commit(change)
    assert files_a_day(after) == [1, 5, 5]
    assert compact(after, 2, but_yesterday=True) is None
    assert files_a_day(compacted(tmp_path)) == [1, 1, 5]
    assert not is_yesterday_large(table_at(tmp_path), 2)
    assert [has_new_day(table), has_new_day(add(tmp_path, readings((3 * DAY + 59, "a", 1))))] == [False, True]


def test_what_is_not_much_stays(tmp_path: Path) -> None:
    fill(tmp_path)
    assert compact(table_at(tmp_path), 6) is None
    assert compact(table_at(tmp_path / "none"), 2) is None


def test_who_reads_the_table_has_nothing_to_do_afterwards(tmp_path: Path) -> None:
    before = fill(tmp_path)
    after = compacted(tmp_path)
    assert after.added_since(before.position) == []
    assert after.removed_since(before.position) == []
    late = add(tmp_path, readings((30, "a", "s", 9.0)))
    assert [file.rows for file in late.added_since(before.position)] == [1]


def test_what_was_new_before_is_new_afterwards(tmp_path: Path) -> None:
    seen = fill(tmp_path).position
    add(tmp_path, readings((30, "a", "s", 9.0)))
    (joined,) = compacted(tmp_path).added_since(seen)
    assert 9.0 in pa.concat_tables(table_at(tmp_path).batches(joined))["value"].to_pylist()


def test_months_are_joined_apart_from_days(tmp_path: Path) -> None:
    fill(tmp_path, by_month=True)
    for day in (3, 4):
        add(tmp_path, readings((day * DAY, "a", 1.0), (day * DAY + 1, "a", 2.0)))
    add(tmp_path, readings((0, "a", "u", 1.0), (2 * DAY, "b", "u", 1.0)), by_month=True)
    add(tmp_path, readings((0, "b", "u", 1.0), (2 * DAY, "c", "u", 1.0)), by_month=True)
    before = rows_of(table_at(tmp_path))
    after = compacted(tmp_path)
    assert rows_of(after) == before
    assert [file.rows for file in after.files() if file.by_month] == [4]
    assert is_sorted(after)


def test_an_old_month_of_days_with_few_rows_becomes_a_file(tmp_path: Path) -> None:
    before = one_a_day(tmp_path, 90)
    after = compacted(tmp_path, 12)
    # The newest row is of 4 April: February ended 31 days before it, and March did not.
    assert [file.day.isoformat() for file in after.files()][:3] == ["2026-01-01", "2026-02-01", "2026-03-01"]
    assert [file.rows for file in after.files()] == [54, 56, *[2] * 35]
    assert rows_of(after) == rows_of(before)
    assert is_sorted_on_disk(after)
    assert compact(after, 12) is None
    assert after.added_since(before.position) == []
    assert after.removed_since(before.position) == []


def test_late_rows_of_a_joined_month_are_few_files_until_they_are_many(tmp_path: Path) -> None:
    one_a_day(tmp_path, 80)
    joined = compacted(tmp_path, 12)
    seen, others = joined.position, [file.rows for file in joined.files()[1:]]
    for day in range(10):
        add(tmp_path, readings((day * DAY + 1, "late", 0.0)))
    assert compact(table_at(tmp_path), 12) is None
    add(tmp_path, readings((9 * DAY + 2, "late", 0.0)))
    before = rows_of(table_at(tmp_path))
    after = compacted(tmp_path, 12)
    assert [file.rows for file in after.files()] == [65, *others]
    assert rows_of(after) == before
    # A step that had read the month before finds the late rows in the file of the month.
    assert [file.rows for file in after.added_since(seen)] == [65]


def test_days_with_many_rows_stay_files_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batch_scoring.storage.row_files._FEW_ROWS", 2)
    one_a_day(tmp_path, 80)
    assert compact(table_at(tmp_path), 12) is None


def test_a_table_without_days_is_joined_as_a_whole(tmp_path: Path) -> None:
    columns = ["1", "d", "s", "x", "a.csv", 1, "malformed"]
    row = pa.table({name: [value] for name, value in zip(QUARANTINE.names, columns, strict=True)}, QUARANTINE)
    for _ in range(3):
        table_at(tmp_path, None).commit(Change(QUARANTINE, [[row]]))
    before = table_at(tmp_path, None)
    after = before.commit(compact(before, 3))
    assert [file.rows for file in after.files()] == [3]
    assert after.read() == before.read()


def test_what_another_program_has_joined_in_any_order_is_put_in_order(tmp_path: Path) -> None:
    before = fill(tmp_path)
    DeltaTable(str(tmp_path)).optimize.compact()
    joined = table_at(tmp_path)
    assert not is_sorted_on_disk(joined)
    assert files_a_day(joined) == [1, 1, 1]
    assert not any(file.is_own for file in joined.files())
    assert rows_of(joined) == rows_of(before)
    assert joined.added_since(before.position) == []
    after = compacted(tmp_path)
    assert [file.is_own for file in after.files()] == [True, True, False]
    assert rows_of(after) == rows_of(before)
    assert is_sorted(after)


@few_examples
@given(st.lists(st.integers(0, 999), min_size=2, max_size=8), st.data())
def test_any_files_joined_at_any_time_keep_their_rows(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("table")
    chance = random.Random(data.draw(st.integers()))
    minutes = iter(chance.sample(range(4 * DAY), sum(sizes)))
    every = []
    for size in sizes:
        rows = [(next(minutes), chance.choice("ab"), chance.choice("st"), 1.0) for _ in range(size)]
        every += rows
        if rows:
            add(folder, readings(*rows).sort_by(ORDER))
        change = compact(table_at(folder), 2) if data.draw(st.booleans()) else None
        if change is not None:
            table_at(folder).commit(change)
    table = table_at(folder)
    assert rows_of(table) == readings(*every).sort_by(ORDER) if every else not table.exists
    assert is_sorted(table)


def test_it_gives_way_to_a_run_that_rewrites_the_same_files(tmp_path: Path) -> None:
    table = fill(tmp_path)
    change = compact(table, 2)
    assert table.version == 15

    def without_a(table: RowTable) -> Change:
        upsert = Upsert(table, table.files()[:1], ["device", "sensor", "timestamp"])
        upsert.fresh([])
        upsert.remove_unseen()
        return Change(READINGS, rewritten=upsert.rewritten)

    dataset_at(tmp_path).save(without_a)
    expected = rows_of(table_at(tmp_path))
    before = parquet_files(tmp_path)
    with pytest.raises(ConflictError):
        table.commit(change)
    assert rows_of(table_at(tmp_path)) == expected
    assert parquet_files(tmp_path) == before


def test_a_run_that_began_before_it_is_repeated_with_the_new_files(tmp_path: Path) -> None:
    fill(tmp_path)
    tries = []

    def replace_one(table: RowTable) -> Change:
        upsert = Upsert(table, table.files(), ["device", "sensor", "timestamp"])
        if not tries:
            compacted(tmp_path)
        tries.append(table.version)
        return Change(READINGS, [upsert.fresh([readings((0, "a", "s", 77.0))])], rewritten=upsert.rewritten)

    before = table_at(tmp_path).num_rows
    dataset_at(tmp_path).save(replace_one)
    assert tries == [15, 16]
    after = table_at(tmp_path)
    first = after.read(["value"], end=after.files()[0].first + 1, sensors="s", devices="a")
    assert (after.num_rows, first["value"].to_pylist()) == (before, [77.0])


def test_retention_removes_whole_days_older_than_it_and_says_so(tmp_path: Path) -> None:
    before = fill(tmp_path)
    newest = before.files()[-1].last
    after = before.commit(forget(before, timedelta(days=1)))
    assert files_a_day(after) == [5, 5]
    assert after.progress(RETENTION) == (newest - 86_400_000_000) // 86_400_000_000 * 86_400_000_000
    assert forget(after, timedelta(days=1)) is None
    # Nobody is told that these rows were taken back.
    assert after.removed_since(before.position) == []
    assert after.added_since(before.position) == []


def test_retention_keeps_what_is_not_read_yet_and_months_that_are_not_over(tmp_path: Path) -> None:
    before = fill(tmp_path / "days")
    assert forget(before, timedelta(days=1), unread=before.files()[2:3]) is None
    after = before.commit(forget(before, timedelta(days=1), needed=before.files()[:2]))
    assert files_a_day(after) == [2, 5, 5]
    assert forget(before, timedelta(days=3)) is None
    rows = readings((0, "a", 1.0), (10 * DAY, "a", 1.0))
    month = add(tmp_path / "month", rows, by_month=True)
    assert forget(month, timedelta(days=1)) is None
    assert forget(table_at(tmp_path / "none"), timedelta(days=1)) is None


def test_vacuum_deletes_what_no_version_needs_and_what_killed_runs_left_and_commits_nothing(
    tmp_path: Path,
) -> None:
    fill(tmp_path)
    after = compacted(tmp_path)
    folder = parquet_files(tmp_path)[0].parent
    left = [folder / "rows-1.parquet", folder / ".rows-2.parquet.partial"]
    for path in left:
        path.touch()
    young = folder / "rows-3.parquet"
    young.touch()
    for path in left:
        os.utime(path, (0, 0))
    assert after.vacuum(timedelta(days=1)) == 2
    assert not any(path.exists() for path in left)
    assert young.exists()
    expected = rows_of(after)
    assert after.vacuum(timedelta(minutes=1)) == 0, "not before a whole hour"
    assert after.vacuum(timedelta(0)) == 10 + 1
    assert after.vacuum(timedelta(0)) == 0
    assert rows_of(table_at(tmp_path)) == expected
    assert len(parquet_files(tmp_path)) == len(after.files())
    assert table_at(tmp_path).version == after.version
    assert table_at(tmp_path / "none").vacuum(timedelta(0)) == 0


@pytest.mark.azurite
def test_in_blob_storage_files_are_joined_and_deleted_alike(container: str) -> None:
    place = f"abfs://{container}/table"
    for hour in range(6):
        add(place, readings((hour // 3 * DAY + hour, "a", float(hour))))
    before = table_at(place)
    after = before.commit(compact(before, 2))
    assert files_a_day(after) == [1, 3]
    assert rows_of(after) == rows_of(before)
    assert after.vacuum(timedelta(days=1)) == 0
    assert after.vacuum(timedelta(0)) == 3
    assert devices(table_at(place).read()) == ["a"] * 6
    assert len(table_at(place).folder.entries(".parquet")) == 4
