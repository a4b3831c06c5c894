"""A row table commits rows and progress together, reads what it must, and is read by others as it is."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.storage.row_table import Change
from batch_scoring.tables.schemas import READINGS
from tests.factories import DAY_US, MINUTE_US, START, START_US
from tests.row_tables import add, devices, log_of, parquet_files, readings, replaced, table_at

DAY = 1440


def test_a_table_that_was_never_written_has_no_rows(tmp_path: Path):
    table = table_at(tmp_path / "t")
    assert (table.exists, table.version, table.num_rows, table.files()) == (False, -1, 0, [])
    assert table.progress("step") is None
    assert table.added_since(None) == table.added_since(3) == []
    assert table.read().num_rows == 0
    assert table.schema == pa.schema([])


def test_a_commit_holds_rows_and_progress(tmp_path: Path):
    table = table_at(tmp_path)
    after = table.commit(Change(READINGS, [[readings((0, "a", 1), (1, "b", 2))]], {"step": 7, "other": -1}))
    assert (table.exists, after.exists) == (False, True)
    assert after.read().equals(readings((0, "a", 1), (1, "b", 2)))
    assert (after.progress("step"), after.progress("other"), after.progress("third")) == (7, -1, None)
    actions = log_of(tmp_path, after.version)
    assert {"add", "txn"} <= {key for action in actions for key in action}


def test_rows_are_in_a_file_for_each_day_and_part_in_the_order_given(tmp_path: Path):
    part = readings((2 * DAY, "b", 1), (0, "z", 2), (0, "a", 3))
    table = table_at(tmp_path).commit(
        Change(READINGS, [[part, readings((1, "c", 4))], [readings((5, "d", 5))]])
    )
    days = [(file.day, devices(next(table.batches(file)))) for file in table.files()]
    assert days == [
        (date(2026, 1, 5), ["z", "a", "c"]),
        (date(2026, 1, 5), ["d"]),
        (date(2026, 1, 7), ["b"]),
    ]
    assert {path.parent.name for path in parquet_files(tmp_path)} == {"date=2026-01-05", "date=2026-01-07"}


def test_without_a_time_there_are_no_days(tmp_path: Path):
    schema = pa.schema([("name", pa.string())])
    table = table_at(tmp_path, None).commit(Change(schema, [[pa.table({"name": ["b", "a"]}, schema=schema)]]))
    (file,) = table.files()
    assert (file.day, file.rows, file.bounds) == (None, 2, {"name": ("a", "b")})
    assert table.read().to_pylist() == [{"name": "b"}, {"name": "a"}]
    assert table.files(devices=["b"]) == [file]


def test_a_file_may_hold_a_month(tmp_path: Path):
    days = [0, 20, 40]
    rows = readings(*((day * DAY, f"d{day}", day) for day in days))
    table = add(tmp_path, rows, by_month=True)
    assert [(file.day, file.rows) for file in table.files()] == [(date(2026, 1, 1), 2), (date(2026, 2, 1), 1)]
    assert table.files()[0].by_month
    assert devices(table.read(start=START_US + 20 * DAY_US)) == ["d20", "d40"]


def test_a_month_that_is_rewritten_stays_a_month(tmp_path: Path):
    table = add(tmp_path, readings((0, "a", 1), (9 * DAY, "b", 2), (12 * DAY, "c", 3)), by_month=True)
    table = table.commit(replaced(table, readings((0, "a", 1), (9 * DAY, "b", 5))))
    assert [(file.day, file.rows) for file in table.files()] == [(date(2026, 1, 1), 2)]


def test_files_are_pruned_by_time_sensor_and_device(tmp_path: Path):
    for minute, device, sensor in ((0, "a", "s"), (60, "m", "s"), (120, "z", "t"), (DAY, "a", "t")):
        add(tmp_path, readings((minute, device, sensor, 1)))
    table, hour = table_at(tmp_path), 60 * MINUTE_US

    def found(**wanted: Any) -> list[str]:
        return [devices(next(table.batches(file)))[0] for file in table.files(**wanted)]

    assert found() == ["a", "m", "z", "a"]
    assert found(start=START_US + hour) == ["m", "z", "a"]
    assert found(end=START_US + hour) == ["a"]
    assert found(start=START_US, end=START_US) == []
    assert found(sensors=["t"]) == ["z", "a"]
    assert found(devices=["b", "m"]) == ["m"]
    assert found(sensors=iter(["s"]), devices=iter(["z"])) == []
    assert found(sensors=[]) == []


def test_only_the_rows_asked_for_are_read(tmp_path: Path):
    add(tmp_path, readings((0, "a", "s", 1), (0, "b", "t", 2), (1, "a", "t", 3), (DAY, "a", "s", 4)))
    table = table_at(tmp_path)
    assert table.read(sensors=["t"], devices=["a"]).to_pylist() == [
        {"timestamp": START + timedelta(minutes=1), "device": "a", "sensor": "t", "value": 3.0}
    ]
    assert table.read(["value"], START_US, START_US + MINUTE_US)["value"].to_pylist() == [1, 2]
    assert table.read(["value"], devices="a").to_pydict() == {"value": [1, 3, 4]}
    assert table.read(["sensor"], sensors=["none"]).schema == pa.schema([READINGS.field("sensor")])


def test_texts_can_be_read_as_dictionaries(tmp_path: Path):
    table = add(tmp_path, readings((0, "a", "s", 1), (0, "b", "s", 2), (0, "b", "t", 3)))
    (batch,) = table.batches(table.files()[0], ["device", "value"], devices=["b"], encoded=["device"])
    assert pa.types.is_dictionary(batch.schema.field("device").type)
    assert devices(batch) == ["b", "b"]
    assert batch["value"].to_pylist() == [2, 3]


@pytest.mark.parametrize(
    "name",
    ["it's", 'a"b', "a/b\\c", "two\nlines", "ü№7", "😀", "", " ", "a=b&c%2F", "x" * 300, "é" * 200, "\x00"],
    ids=ascii,
)
def test_ids_may_hold_any_characters(tmp_path: Path, name: str):
    add(tmp_path, readings((0, name, name, 1), (0, "m", "m", 2)))
    table = table_at(tmp_path)
    assert devices(table.read(devices=[name], sensors=[name])) == [name]
    assert devices(table.read()) == [name, "m"]
    assert deltalake.DeltaTable(tmp_path).to_pyarrow_table()["device"].to_pylist() == [name, "m"]


def test_texts_longer_than_statistics_are_found_all_the_same(tmp_path: Path):
    long = "x" * 300
    add(tmp_path, readings((0, long, 1), (0, "b", 2)))
    (file,) = table_at(tmp_path).files(devices=[long])
    assert "device" not in file.bounds
    assert file.bounds["sensor"] == ("s", "s")
    assert table_at(tmp_path).files(devices=["anything"]) == [file]


@pytest.mark.parametrize("year", [1, 1582, 1900, 1969, 9999])
def test_times_of_any_year_have_their_day(tmp_path: Path, year: int):
    moment = datetime(year, 3, 1, 23, 59, 59, 999_999, tzinfo=UTC)
    rows = pa.table([[moment], ["a"], ["s"], [1.0]], READINGS.names).cast(READINGS)
    table = add(tmp_path, rows)
    (file,) = table.files()
    assert file.day == moment.date()
    assert file.first == rows["timestamp"].cast(pa.int64())[0].as_py()
    assert table.read(start=file.first, end=file.first + 1).num_rows == 1
    assert table.read(start=file.first + 1).num_rows == 0


def test_nothing_to_commit_commits_nothing(tmp_path: Path):
    table = table_at(tmp_path / "t")
    assert table.commit(Change(READINGS, [[], [readings()]], guard="step")) is table
    assert not (tmp_path / "t").exists()
    table = add(tmp_path / "t", readings((0, "a", 1)), progress={"step": 4}, guard="me")
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "t").rglob("*")}
    for change in (Change(READINGS), Change(READINGS, progress={"step": 4}), Change(READINGS, guard="me")):
        assert table.commit(change).version == table.version
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "t").rglob("*")} == files


def test_progress_alone_is_committed_when_it_is_new(tmp_path: Path):
    table = table_at(tmp_path).commit(Change(READINGS, progress={"step": 4}))
    assert (table.progress("step"), table.num_rows, table.schema) == (4, 0, READINGS)
    assert table.commit(Change(READINGS, progress={"step": 5})).progress("step") == 5


def test_rows_are_replaced_with_the_file_that_held_them(tmp_path: Path):
    table = add(tmp_path, readings((0, "a", 1), (1, "b", 2)))
    add(tmp_path, readings((DAY, "c", 3)))
    table = table_at(tmp_path)
    after = table.commit(replaced(table, readings((0, "a", 9)), parts=[[readings((2, "d", 4))]]))
    assert sorted(after.read()["value"].to_pylist()) == [3, 4, 9]
    assert table.read()["value"].to_pylist() == [1, 2, 3], "an older version stays readable"


def test_a_file_whose_rows_are_all_gone_is_replaced_by_none(tmp_path: Path):
    table = add(tmp_path, readings((0, "a", 1)))
    after = table.commit(replaced(table, readings()))
    assert (after.num_rows, after.files(), after.schema) == (0, [], READINGS)


def test_what_was_added_since_is_what_later_commits_brought(tmp_path: Path):
    first = add(tmp_path, readings((0, "a", 1)))
    second = add(tmp_path, readings((DAY, "b", 2)))
    third = second.commit(replaced(second, readings((0, "c", 3))))

    def added(version: int | None) -> list[str]:
        return [name for file in third.added_since(version) for name in devices(next(third.batches(file)))]

    assert added(None) == added(-1) == ["c", "b"]
    assert added(first.version) == ["c", "b"]
    assert added(second.version) == ["c"]
    assert added(third.version) == []
    assert added(third.version + 1) == ["c", "b"], "a table that was made anew is new"


def test_compaction_adds_nothing_and_hides_nothing_that_was_added(tmp_path: Path):
    for minute in range(3):
        before = add(tmp_path, readings((minute, "a", minute)))
    deltalake.DeltaTable(tmp_path).optimize.compact()
    after = add(tmp_path, readings((9, "b", 9)))
    assert len(after.files()) == 2
    assert [devices(next(after.batches(file))) for file in after.added_since(before.version)] == [["b"]]
    # The last of the three is in the same file as the others now.
    for version in (before.version - 1, 0, None):
        assert sum(file.rows for file in after.added_since(version)) == 4
    assert set(after.added_at(before.version - 1).values()) == {before.version, after.version}


def test_rows_that_are_replaced_after_compaction_are_lost_by_the_files_before_it(tmp_path: Path):
    add(tmp_path, readings((0, "a", 0), (DAY, "a", 0)))
    before = add(tmp_path, readings((1, "b", 1)))
    deltalake.DeltaTable(tmp_path).optimize.compact()
    compacted = table_at(tmp_path)
    assert compacted.removed_since(before.version) == []
    compacted.commit(replaced(compacted, readings((1, "b", 2))))
    lost = table_at(tmp_path).removed_since(before.version)
    assert sorted(file.name for file in lost or ()) == sorted(
        file.name for file in before.files() if file.day == START.date()
    )


def test_a_compacted_file_is_found_by_its_last_microsecond(tmp_path: Path):
    for n in range(2):
        add(tmp_path, readings((1 + (n * 123 + 456) / MINUTE_US, "a", n)))
    deltalake.DeltaTable(tmp_path).optimize.compact()
    table, last = table_at(tmp_path), START_US + MINUTE_US + 579
    assert len(table.files()) == 1
    assert table.read(start=last)["value"].to_pylist() == [1]


def test_where_the_log_is_gone_everything_is_new(tmp_path: Path):
    for minute in range(3):
        table = add(tmp_path, readings((minute, "a", minute)))
    deltalake.DeltaTable(tmp_path).create_checkpoint()
    for number in range(table.version):
        (tmp_path / "_delta_log" / f"{number:020d}.json").unlink()
    table = add(table_at(tmp_path).folder.path(), readings((3, "a", 3)))
    assert len(table.added_since(0)) == 4
    assert len(table.added_since(table.version - 1)) == 1


def test_a_file_that_is_gone_is_named_with_what_to_do(tmp_path: Path):
    table = add(tmp_path, readings((0, "a", 1)))
    (path,) = parquet_files(tmp_path)
    path.unlink()
    with pytest.raises(InputError) as error:
        table_at(tmp_path).read()
    assert str(path) in str(error.value)
    assert "restore it from a backup" in str(error.value)
    with pytest.raises(InputError, match="rows-"):
        table.commit(Change(READINGS, rewritten=lambda: [(f, table.batches(f)) for f in table.files()]))


@pytest.mark.slow
def test_a_flipped_bit_is_told_with_the_file_or_changes_no_row(tmp_path: Path):
    table = add(tmp_path, readings(*((n, f"d{n % 3}", n * 1.7) for n in range(60))))
    (path,) = parquet_files(tmp_path)
    rows, good = table.read(), path.read_bytes()
    told = 0
    for place in range(len(good)):
        data = bytearray(good)
        data[place] ^= 1 << place % 8
        path.write_bytes(data)
        try:
            assert table.read().equals(rows)
        except InputError as error:
            assert str(path) in str(error)
            assert "restore it from a backup" in str(error)
            assert len(str(error).splitlines()) == 1
            told += 1
    assert told > 0.6 * len(good)


@pytest.mark.parametrize("text", ["", "{", "\x00\x01", '{"add": {"path": 1}}'], ids=ascii)
def test_a_damaged_log_is_one_sentence(tmp_path: Path, text: str):
    for n in range(2):
        table = add(tmp_path, readings((n, "a", n)))
    (tmp_path / "_delta_log" / f"{table.version:020d}.json").write_text(text)
    with pytest.raises(InputError, match="this table cannot be read") as error:
        damaged = table_at(tmp_path)
        damaged.added_since(0)
        damaged.read()
    assert str(tmp_path) in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    # What RUST_BACKTRACE asks for is no part of it.
    assert "<unknown>" not in str(error.value)
    assert ("Kernel error" in str(error.value)) == str(error.value).endswith(
        "; restore its log from a backup"
    )


@pytest.mark.parametrize(
    ("time", "lost"), [("timestamp", "timestamp"), ("timestamp", "numRecords"), (None, "numRecords")]
)
def test_a_file_without_statistics_is_one_sentence(tmp_path: Path, time: str | None, lost: str):
    table = table_at(tmp_path, time).commit(Change(READINGS, [[readings((0, "a", 1))]]))
    log = tmp_path / "_delta_log" / f"{table.version:020d}.json"
    log.write_text(log.read_text().replace(f'\\"{lost}\\"', '\\"lost\\"'))
    with pytest.raises(
        InputError, match=r"cannot be read or written \(its log lacks the statistics of .*rows-"
    ):
        table_at(tmp_path, time).read()


def test_other_programs_read_the_table_as_it_is(tmp_path: Path):
    import duckdb

    rows = readings((0, "a", 1), (1, "ü", 2), (DAY, "b", -0.5))
    add(tmp_path / "t", rows)
    add(tmp_path / "t", readings((2 * DAY, "c", 4)))
    table = table_at(tmp_path / "t")
    table = table.commit(Change(READINGS, rewritten=lambda: [(table.files()[-1], [])]))
    expected = rows.to_pylist()

    delta = deltalake.DeltaTable(tmp_path / "t")
    assert delta.to_pyarrow_table(columns=READINGS.names).sort_by("timestamp").to_pylist() == expected
    frame = delta.to_pandas(filters=[("date", "=", date(2026, 1, 6))])
    assert frame["device"].tolist() == ["b"]
    assert table.to_pandas()["value"].tolist() == [1, 2, -0.5]
    data = delta.to_pyarrow_dataset()
    assert data.to_table(filter=ds.field("device") == "ü")["value"].to_pylist() == [2]
    found = duckdb.sql("SELECT sum(value) AS total, count(DISTINCT date) AS days FROM data").fetchall()
    assert found == [(2.5, 2)]


def test_polars_reads_the_table(tmp_path: Path):
    polars = pytest.importorskip("polars")
    add(tmp_path, readings((0, "a", 1), (DAY, "b", 2)))
    assert table_at(tmp_path).to_polars(devices=["b"])["value"].to_list() == [2]
    lazy = polars.scan_delta(str(tmp_path)).filter(polars.col("device") == "a")
    assert lazy.collect()["value"].to_list() == [1]
