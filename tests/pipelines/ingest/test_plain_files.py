"""Parquet files in which nothing is to be decided are read without DuckDB, to the same rows."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.datasets.raw_readings import RawReadings
from batch_scoring.ingestion import long_files, long_runs, plain_files, wide_pieces
from batch_scoring.pipelines.ingest.nodes import ingest_readings
from batch_scoring.storage import row_files
from batch_scoring.storage.row_table import RowTable, no_change
from tests.examples import few_examples
from tests.pipelines.ingest.ingestion import AT, Store

pytestmark = pytest.mark.slow

START = datetime(2026, 1, 5, tzinfo=UTC)
SCHEMA = pa.schema(
    [
        ("time", pa.timestamp("us", "UTC")),
        ("Device", pa.string()),
        ("sensor", pa.string()),
        ("value", pa.float64()),
    ]
)
# Mostly what a fleet sends, and now and then what is refused, or is in the table already.
MINUTES = st.one_of(*[st.integers(0, 3000)] * 9, st.sampled_from([None, -30_000_000, 90_000]))
IDS = st.one_of(*[st.sampled_from(["a", "b", "ü"])] * 9, st.sampled_from([None, "", " ", "x" * 201]))
VALUES = st.one_of(*[st.floats(-100, 100)] * 9, st.sampled_from([None, float("nan"), float("inf"), 200.0]))
FILES = st.lists(st.lists(st.tuples(MINUTES, IDS, IDS, VALUES), max_size=6), min_size=1, max_size=3)


def write(path: Path, rows: list[tuple], schema: pa.Schema = SCHEMA) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    times = [None if row[0] is None else START + timedelta(minutes=row[0]) for row in rows]
    columns = [times, *([row[n] for row in rows] for n in (1, 2, 3))]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path, row_group_size=2)
    return path


def plain_rows(n: int, first: int = 0) -> list[tuple]:
    """Readings of two devices, in the order of their times."""
    return [(first + minute, device, "s", float(minute)) for minute in range(n) for device in "ba"]


@pytest.fixture
def without_duckdb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)


def assert_both_ways_agree(
    files: list[list[tuple]], write_file: Callable[[Path, list[tuple]], Path], at_once: bool = False
) -> None:
    """Ingest files one after the other or all at once, with and without DuckDB."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        root = Path(folder)
        stores = {limit: Store(root / f"{limit}") for limit in (plain_files.MAX_ROWS, -1)}
        for limit, store in stores.items():
            patch.setattr(plain_files, "MAX_ROWS", limit)
            raw = root / f"raw-{limit}"
            counts = []
            for number, rows in enumerate(files):
                write_file(raw / f"{number}.parquet", rows)
                if at_once and number < len(files) - 1:
                    continue
                read = store.ingest(raw, ranges={"a": [-100, 100]})
                counts.append(read | {"shortfalls": len(read["shortfalls"])})  # they name the folder
            store.counts = counts
        one, other = stores.values()
        assert one.rows() == other.rows()
        assert one.counts == other.counts


@few_examples
@given(files=FILES)
def test_the_rows_are_those_of_the_other_way(files):
    assert_both_ways_agree(files, write)


# Runs of two rows. What is refused is rare, or no example would go this way.
TIMES = st.one_of(st.integers(0, 20), st.integers(-200_000, 20))
LONG = st.tuples(
    TIMES, st.sampled_from(["a", "b", "ü", "B"]), st.sampled_from(["s", "a"]), st.floats(-99, 99)
)
ODD = st.tuples(MINUTES, IDS, IDS, VALUES)
RUNS = st.lists(st.lists(st.one_of(*[LONG] * 40, ODD), max_size=9), min_size=1, max_size=3)


@pytest.fixture
def short_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_files, "MAX_ROWS", 2)
    monkeypatch.setattr(long_runs, "RUN_ROWS", 2)
    monkeypatch.setattr(long_runs, "_COMPARED_ROWS", 3)


@few_examples
@given(files=RUNS, at_once=st.booleans(), is_sparse=st.booleans(), are_many=st.booleans())
def test_rows_in_runs_are_those_of_the_other_way(files, at_once, is_sparse, are_many):
    with pytest.MonkeyPatch.context() as patch:
        if are_many:
            patch.setattr(long_files, "_DICTIONARY_BYTES", -1_000)
        patch.setattr(plain_files, "MAX_ROWS", 2)
        patch.setattr(long_runs, "RUN_ROWS", 2)
        patch.setattr(long_runs, "_COMPARED_ROWS", 3)
        if is_sparse:
            patch.setattr(row_files, "_MANY_DAYS", 2)
        assert_both_ways_agree(files, write, at_once)


@pytest.mark.usefixtures("without_duckdb", "short_runs")
@pytest.mark.parametrize("many_days", [62, 1])
def test_rows_in_runs_are_stored_in_the_files_of_rows_in_memory(
    many_days: int, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The files of days, or of months, hold the same rows in the same order."""
    monkeypatch.setattr(row_files, "_MANY_DAYS", many_days)
    raw, days = tmp_path / "raw", (0, 1, 40)
    for number, device in enumerate(("b", "a", "ü")):
        rows = [
            (day * 1440 + minute, device, sensor, float(day + minute))
            for day in days
            for minute in range(number, 9, 2)
            for sensor in ("t", "s")
        ]
        write(raw / f"{number}.parquet", rows)
    store.ingest(raw)
    whole = Store(tmp_path / "whole")
    monkeypatch.setattr(plain_files, "MAX_ROWS", 1000)
    whole.ingest(raw)

    def files(one: Store) -> list[tuple]:
        table = one.readings_set.load()
        return [(file.day, pa.concat_tables(table.batches(file)).to_pylist()) for file in table.files()]

    assert files(store) == files(whole)
    assert len(files(store)) == (3 if many_days == 62 else 2)
    assert [source["accepted"] for source in store.sources()] == [30, 24, 24]


@pytest.mark.usefixtures("short_runs")
@pytest.mark.parametrize(
    ("value", "reason"), [(0.0, "duplicate"), (5.0, "conflict")], ids=["duplicate", "conflict"]
)
def test_a_reading_stated_in_two_runs_is_stored_once(value: float, reason: str, store: Store, tmp_path: Path):
    raw = tmp_path / "raw"
    write(raw / "1.parquet", plain_rows(3))
    write(raw / "2.parquet", [*plain_rows(2, first=9), (0, "a", "s", value)])
    counts = store.ingest(raw)
    # A second file that says the same is no duplicate of the first.
    expected = {"conflict": 1} if reason == "conflict" else {}
    assert (counts["rows"], counts["stored"], counts["refused"]) == (11, 10, expected)


@pytest.mark.usefixtures("short_runs")
def test_a_reading_in_runs_that_is_stored_already_is_not_stored_again(store: Store, tmp_path: Path):
    store.ingest(write(tmp_path / "1.parquet", plain_rows(3)))
    counts = store.ingest(write(tmp_path / "2.parquet", [*plain_rows(3, first=3), (1, "b", "s", 1.0)]))
    assert (counts["stored"], counts["already_stored"]) == (6, 1)


@pytest.mark.usefixtures("without_duckdb", "short_runs")
def test_late_rows_in_runs_are_new_where_their_series_is_another(store: Store, tmp_path: Path):
    store.ingest(write(tmp_path / "1.parquet", plain_rows(3)))
    late = [(minute, "c", "s", 1.0) for minute in range(3)]
    assert store.ingest(write(tmp_path / "2.parquet", late))["stored"] == 3


@pytest.mark.usefixtures("short_runs")
@pytest.mark.parametrize("bad", [(3, "a", "s", float("inf")), (3, " ", "s", 1.0), (3, "a", "s", None)])
def test_a_row_to_refuse_in_the_last_run_is_refused(bad: tuple, store: Store, tmp_path: Path):
    counts = store.ingest(write(tmp_path / "1.parquet", [*plain_rows(3), bad]))
    assert (counts["rows"], counts["stored"]) == (7, 6)
    assert sum(counts["refused"].values()) + counts["missing"] == 1


@pytest.mark.usefixtures("short_runs")
def test_runs_leave_no_temporary_files(store: Store, tmp_path: Path):
    scratch = tmp_path / "scratch"
    for name, rows in (("1", plain_rows(3)), ("2", [*plain_rows(2, first=9), (9, "a", "s", 5.0)])):
        source = write(tmp_path / f"{name}.parquet", rows)
        store.ingest(source, temp_directory=str(scratch))
        assert [path for path in scratch.iterdir() if path.is_dir()] == []


WIDE = pa.schema(
    [("time", pa.timestamp("us", "UTC")), ("b", pa.float64()), ("device", pa.string()), ("a", pa.float64())]
)
# A cell may be empty, which is no reading.
WIDE_FILES = st.lists(st.lists(st.tuples(MINUTES, VALUES, IDS, VALUES), max_size=6), min_size=1, max_size=3)


def write_wide(path: Path, rows: list[tuple]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    times = [None if row[0] is None else START + timedelta(minutes=row[0]) for row in rows]
    columns = [times, *([row[n] for row in rows] for n in (1, 2, 3))]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, WIDE, strict=True)]
    pq.write_table(pa.Table.from_arrays(arrays, schema=WIDE), path, row_group_size=2)
    return path


@few_examples
@given(files=WIDE_FILES)
def test_wide_rows_are_those_of_the_other_way(files):
    assert_both_ways_agree(files, write_wide)


@few_examples
@given(files=WIDE_FILES)
def test_wide_rows_of_many_chunks_are_those_of_the_other_way(files):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wide_pieces, "CHUNK_ROWS", 2)
        assert_both_ways_agree(files, write_wide)


@pytest.mark.usefixtures("without_duckdb")
def test_wide_files_are_read_some_row_groups_and_columns_at_a_time(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(wide_pieces, "CHUNK_ROWS", 2)
    monkeypatch.setattr(plain_files, "MAX_ROWS", 2)
    rows = [(600.0 * n, float(n), device, -float(n)) for n in range(9) for device in "yx"]
    assert store.ingest(write_wide(tmp_path / "a.parquet", rows))["stored"] == 36
    whole = Store(tmp_path / "whole")
    monkeypatch.setattr(wide_pieces, "CHUNK_ROWS", 1000)
    whole.ingest(tmp_path / "a.parquet")
    assert store.readings() == whole.readings()
    for file in store.readings_set.load().files():
        stored = [pa.Table.to_pylist(part) for part in store.readings_set.load().batches(file)]
        keys = [(row["sensor"], row["device"], row["timestamp"]) for part in stored for row in part]
        assert keys == sorted(keys)


def test_wide_row_groups_that_are_of_one_time_and_device_are_compared(store: Store, tmp_path: Path):
    rows = [(5.0, 1.0, "x", 1.0), (1.0, 1.0, "x", 1.0), (5.0, 2.0, "x", 1.0), (2.0, 1.0, "x", 1.0)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wide_pieces, "CHUNK_ROWS", 2)
        counts = store.ingest(write_wide(tmp_path / "a.parquet", rows))
    assert (counts["stored"], counts["refused"]) == (6, {"conflict": 1, "duplicate": 1})


@pytest.mark.usefixtures("without_duckdb")
def test_nan_in_a_wide_file_is_no_value_and_is_counted(store: Store, tmp_path: Path):
    counts = store.ingest(
        write_wide(tmp_path / "a.parquet", [(0, float("nan"), "x", 1.0), (1, None, "x", 2.0)])
    )
    assert (counts["rows"], counts["stored"], counts["missing"]) == (3, 2, 1)
    (source,) = store.sources()
    assert (source["rows"], source["accepted"], source["missing"]) == (3, 2, 1)


@pytest.mark.parametrize("text", [pa.large_string(), pa.dictionary(pa.int8(), pa.string())])
@pytest.mark.parametrize("number", [pa.float32(), pa.int16(), pa.float64()])
@pytest.mark.usefixtures("without_duckdb")
def test_wide_files_of_polars_and_pandas_are_plain_too(text, number, store: Store, tmp_path: Path):
    columns = {
        "time": pa.array([START, START + timedelta(hours=1)]),
        "device": pa.array(["x", "ü"]).cast(text),
        "a": pa.array([1, 2]).cast(number),
        "b": pa.array([3, None]).cast(number),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    store.ingest(tmp_path / "a.parquet")
    assert [row[1:] for row in store.readings()] == [("x", "a", 1.0), ("ü", "a", 2.0), ("x", "b", 3.0)]


@pytest.mark.usefixtures("without_duckdb")
def test_a_wide_file_of_one_device_is_plain(store: Store, tmp_path: Path):
    for name in ("p1", "p2"):
        (tmp_path / "raw").mkdir(exist_ok=True)
        table = pa.table({"time": pa.array([START]), "a": [1.5], "b": [2.5]})
        pq.write_table(table, tmp_path / "raw" / f"{name}.parquet")
    store.ingest(tmp_path / "raw", group={"path": "{device}.parquet"})
    assert [row[1:] for row in store.readings()] == [
        ("p1", "a", 1.5),
        ("p2", "a", 1.5),
        ("p1", "b", 2.5),
        ("p2", "b", 2.5),
    ]


@pytest.mark.usefixtures("without_duckdb")
def test_wide_rows_with_times_of_their_own_are_added_without_a_comparison(store: Store, tmp_path: Path):
    for first in (0, 2):
        rows = [(first + n, 1.0, device, 2.0) for n in range(2) for device in "xy"]
        store.ingest(write_wide(tmp_path / f"{first}.parquet", rows))
    assert len(store.readings()) == 16


def test_wide_rows_that_are_stored_already_are_not_stored_again(store: Store, tmp_path: Path):
    rows = [(n, float(n), "x", 2.0) for n in range(3)]
    store.ingest(write_wide(tmp_path / "1.parquet", rows[:2]))
    counts = store.ingest(write_wide(tmp_path / "2.parquet", rows[1:]))
    assert (counts["stored"], counts["already_stored"]) == (2, 2)


@pytest.mark.usefixtures("without_duckdb")
def test_plain_wide_files_are_read_without_duckdb(store: Store, tmp_path: Path):
    rows = [
        (minute, None if minute == 1 else 1.5, device, float(minute))
        for minute in range(3)
        for device in "yx"
    ]
    counts = store.ingest(write_wide(tmp_path / "a.parquet", rows))
    assert (counts["rows"], counts["stored"], counts["refused"]) == (10, 10, {})
    keys = [
        (row["sensor"], row["device"], row["timestamp"])
        for row in store.readings_set.load().read().to_pylist()
    ]
    assert len(keys) == 10
    assert keys == sorted(keys)
    assert {row[1:] for row in store.readings() if row[2] == "b"} == {("x", "b", 1.5), ("y", "b", 1.5)}


@pytest.mark.usefixtures("without_duckdb")
def test_plain_files_are_read_without_duckdb(store: Store, tmp_path: Path):
    raw = tmp_path / "raw"
    write(raw / "1.parquet", plain_rows(3, first=2))
    write(raw / "2.parquet", plain_rows(2))
    counts = store.ingest(raw)
    assert (counts["rows"], counts["stored"], counts["refused"]) == (10, 10, {})
    (file,) = store.readings_set.load().files()
    stored = store.readings_set.load().read().to_pylist()
    keys = [(row["sensor"], row["device"], row["timestamp"]) for row in stored]
    assert (file.rows, keys) == (10, sorted(keys))
    assert all(one < other for one, other in pairwise(keys))
    assert [source["accepted"] for source in store.sources()] == [6, 4]


@pytest.mark.usefixtures("without_duckdb")
def test_late_rows_of_the_same_times_are_new_where_their_series_is_another(store: Store, tmp_path: Path):
    store.ingest(write(tmp_path / "1.parquet", plain_rows(3)))
    late = [(minute, "c", "s", 1.0) for minute in range(3)]
    assert store.ingest(write(tmp_path / "2.parquet", late))["stored"] == 3


@pytest.mark.parametrize("in_runs", [False, True])
@pytest.mark.usefixtures("without_duckdb")
def test_of_an_hour_with_a_late_reading_the_hours_between_are_not_read(
    in_runs: bool, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request
):
    for hour in range(4):
        store.ingest(write(tmp_path / f"{hour}.parquet", plain_rows(3, 60 * hour)))
    oldest = store.readings_set.load().files()[0].name
    if in_runs:
        request.getfixturevalue("short_runs")
    opened, plain = [], RowTable.open

    def noted(table, file, *more):
        opened.extend([file.name] if table.time else [])
        return plain(table, file, *more)

    monkeypatch.setattr(RowTable, "open", noted)
    new = [*plain_rows(3, 240), (1, "c", "s", 1.0)]
    assert store.ingest(write(tmp_path / "late.parquet", new))["stored"] == 7
    assert set(opened) == {oldest}


@pytest.mark.parametrize(
    "kind", [pa.timestamp("ms", "UTC"), pa.timestamp("us", "Europe/Berlin"), pa.timestamp("us")]
)
@pytest.mark.usefixtures("without_duckdb")
def test_other_types_of_the_same_moment_are_plain_too(kind, store: Store, tmp_path: Path):
    schema = SCHEMA.set(0, pa.field("time", kind))
    rows = [(START.replace(tzinfo=None) if kind.tz is None else START, "a", "s", 1.0)]
    table = pa.Table.from_arrays(
        [pa.array([row[n] for row in rows], schema.field(n).type) for n in range(4)], schema=schema
    )
    pq.write_table(table, tmp_path / "a.parquet")
    store.ingest(tmp_path / "a.parquet")
    assert store.readings() == [("2026-01-05T00:00:00.000000", "a", "s", 1.0)]


def test_what_another_run_has_stored_meanwhile_is_not_stored_again(store: Store, tmp_path: Path):
    source = write(tmp_path / "a.parquet", plain_rows(3))
    chunks = ingest_readings(RawReadings(str(source)).load(), {}, None, None, AT)
    *looks, _ = next(chunks)
    for dataset, look in zip(
        (store.readings_set, store.quarantine_set, store.sources_set), looks, strict=True
    ):
        dataset.save(look)
    update, *_ = next(chunks)
    store.ingest(source)
    before = store.readings()
    store.readings_set.save(update)
    counts = {}
    for _, quarantine, sources, counts in chunks:  # noqa: B007 (the last ones)
        for dataset, one in ((store.quarantine_set, quarantine), (store.sources_set, sources)):
            if one is not no_change:
                dataset.save(one)
    assert store.readings() == before
    assert (counts["stored"], counts["already_stored"]) == (0, 6)
