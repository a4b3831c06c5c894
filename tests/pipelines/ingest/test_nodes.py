"""Ingest as a whole: what is stored, what is refused, and that neither depends on how it came about."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch_scoring.fleet.errors import InputError
from batch_scoring.pipelines.ingest.nodes import REFUSED_DEVICES, count_refused_devices
from tests.pipelines.ingest.ingestion import (
    Store,
    row,
    write_csv,
    write_json_lines,
    write_lines,
    write_parquet,
)
from tests.real_data import ASD, REFERENCE

REFERENCE_READINGS = REFERENCE / "sensor_data.csv"
ASD_READINGS = ASD / "readings.parquet"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_readings_are_stored_by_sensor_and_day_sorted_by_device_and_time(store: Store, tmp_path: Path):
    rows = [row(1, "d2"), row(1440, "d1"), row(0, "d2"), row(0, "d1", "a/b", 2.5), row(0, "d1", value=-3)]
    counts = store.ingest(write_csv(tmp_path / "raw.csv", *rows))
    assert sorted(store.readings_set.load()) == ["a%2Fb/2026-01-05", "s/2026-01-05", "s/2026-01-06"]
    assert store.readings() == [
        ("2026-01-05T00:00:00.000000", "d1", "a/b", 2.5),
        ("2026-01-05T00:00:00.000000", "d1", "s", -3.0),
        ("2026-01-05T00:00:00.000000", "d2", "s", 1.0),
        ("2026-01-05T00:01:00.000000", "d2", "s", 1.0),
        ("2026-01-06T00:00:00.000000", "d1", "s", 1.0),
    ]
    assert counts == {"sources": 1, "rows": 5, "stored": 5, "already_stored": 0, "refused": {}}


def test_devices_are_sorted_as_utf8_bytes(store: Store, tmp_path: Path):
    devices = ["Z", "a", "ä", "€", "😀", "d10", "d2"]
    store.ingest(write_csv(tmp_path / "raw.csv", *(row(0, device) for device in devices)))
    assert [r[1] for r in store.readings()] == sorted(devices, key=str.encode)


def test_every_reason_is_found_and_the_raw_text_kept(store: Store, tmp_path: Path):
    time, too_long = "2026-01-05T00:00:00Z", "№" * 23
    cases = {
        f"{time},d,s": "malformed_row",
        f"{time},d,s,1,5": "malformed_row",
        f'{time},d,"s,1': "malformed_row",
        ",d,s,1": "missing_timestamp",
        f"{time},,s,1": "missing_device",
        f"{time},d, ,1": "missing_sensor",
        f"{time},d,s,": "missing_value",
        "yesterday,d,s,1": "bad_timestamp",
        "2026-02-30,d,s,1": "bad_timestamp",
        "infinity,d,s,1": "bad_timestamp",
        "99999-01-01,d,s,1": "bad_timestamp",
        "2099-02-01T01:00:01Z,d,s,1": "future_timestamp",
        f"{time},d,{too_long},1": "sensor_id_too_long",
        f"{time},d,{'x' * 201},1": "sensor_id_too_long",
        f"{time},d,.{'x' * 198},1": "sensor_id_too_long",
        f"{time},d,s,n/a": "not_a_number",
        f"{time},d,s,NaN": "not_a_number",
        f"{time},d,s,1_000": "not_a_number",
        f"{time},d,s,-inf": "infinite",
        f"{time},d,s,1e999": "infinite",
        f"{time},d,t,-40.1": "out_of_range",
        f"{time},d,t,150.1": "out_of_range",
    }
    good = ["2026-02-01T01:00:00Z,d,s,1", f"{time},d,t,150", f"{time},d,t2,151", f"{time},d,{'№' * 22},1"]
    good += [f"{time},d,{'x' * 200},1", f"{time},d,.{'x' * 197},1"]
    counts = store.ingest(write_csv(tmp_path / "raw.csv", *cases, *good), ranges={"t": [-40, 150]})
    found = store.quarantine()
    assert [refused["reason"] for refused in found] == list(cases.values())
    assert [refused["row"] for refused in found] == list(range(2, 2 + len(cases)))
    for refused, line in zip(found, cases, strict=True):
        fields = [refused[name] for name in ("timestamp", "device", "sensor", "value")]
        expected: list[str | None] = (
            [None, None, None, line] if refused["reason"] == "malformed_row" else [*line.split(",")]
        )
        assert fields == expected
        assert refused["source"] == "raw.csv"
    assert counts["rows"] == len(cases) + len(good)
    assert counts["stored"] == len(good)
    assert sum(counts["refused"].values()) == len(cases)


def test_refused_values_of_typed_columns_are_written_as_text(store: Store, tmp_path: Path):
    start = pa.scalar(1767571200_000_000, pa.timestamp("us"))
    write_parquet(
        tmp_path / "raw.parquet",
        timestamp=pa.array([start.as_py(), None, start.as_py(), start.as_py()], pa.timestamp("us")),
        device=["d", "d", "d", None],
        sensor=["s", "s", "s", "s"],
        value=[float("nan"), 1.0, None, 2.0],
    )
    store.ingest(tmp_path / "raw.parquet")
    assert [(r["row"], r["timestamp"], r["value"], r["reason"]) for r in store.quarantine()] == [
        (1, "2026-01-05 00:00:00", "nan", "not_a_number"),
        (2, None, "1.0", "missing_timestamp"),
        (3, "2026-01-05 00:00:00", None, "missing_value"),
        (4, "2026-01-05 00:00:00", "2.0", "missing_device"),
    ]


def test_a_device_of_nothing_but_nan_is_refused_among_good_ones(store: Store, tmp_path: Path):
    # Parquet's minimum and maximum leave NaN out, and DuckDB 2.0 concludes that there is none.
    n = 50
    write_parquet(
        tmp_path / "raw.parquet",
        timestamp=pa.array([1767571200_000_000 + i for i in range(2 * n)], pa.timestamp("us")),
        device=["all-nan"] * n + ["good"] * n,
        sensor=["s"] * 2 * n,
        value=[float("nan")] * n + [float(i) for i in range(n)],
    )
    store.ingest(tmp_path / "raw.parquet")
    assert {r["device"] for r in store.quarantine()} == {"all-nan"}
    assert [reason for _, reason in store.reasons()] == ["not_a_number"] * n
    assert {r[1] for r in store.readings()} == {"good"}


def test_the_first_of_repeated_rows_is_stored_and_the_others_are_refused(store: Store, tmp_path: Path):
    store.ingest(
        write_csv(tmp_path / "raw.csv", row(0), row(0, value="1.00"), row(0, value=2), row(0, value=2))
    )
    assert store.readings() == [("2026-01-05T00:00:00.000000", "d1", "s", 1.0)]
    assert store.reasons() == [(3, "duplicate"), (4, "conflict"), (5, "conflict")]
    assert store.quarantine()[0]["value"] == "1.00"
    assert store.quarantine()[0]["timestamp"] == "2026-01-05T00:00:00Z"


def test_of_contradicting_files_the_first_by_name_wins_whatever_the_row(store: Store, tmp_path: Path):
    write_csv(tmp_path / "raw" / "1.csv", row(1), row(0, value=1))
    write_csv(tmp_path / "raw" / "2.csv", row(0, value=2))
    store.ingest(tmp_path / "raw")
    assert [r[3] for r in store.readings()] == [1.0, 1.0]
    assert [(r["source"], r["reason"]) for r in store.quarantine()] == [("2.csv", "conflict")]


def test_a_replayed_file_is_harmless_and_a_contradicting_one_is_quarantined(store: Store, tmp_path: Path):
    store.ingest(write_csv(tmp_path / "1.csv", row(0), row(1)))
    before = store.files()
    replay = store.ingest(write_csv(tmp_path / "2.csv", row(1), row(0)))
    assert (replay["stored"], replay["already_stored"], replay["refused"]) == (0, 2, {})
    store.ingest(write_csv(tmp_path / "3.csv", row(0, value=9), row(2)))
    assert [r[3] for r in store.readings()] == [1.0, 1.0, 1.0]
    assert store.reasons() == [(2, "conflict")]
    assert {key: store.files()[key] for key in before if not key.startswith("readings")} == {
        key: content for key, content in before.items() if not key.startswith("readings")
    }


def test_duplicates_of_typed_rows_are_quarantined_as_iso_text(store: Store, tmp_path: Path):
    time = pa.array([1767571200_000_000] * 2, pa.timestamp("us", tz="UTC"))
    write_parquet(
        tmp_path / "raw.parquet", timestamp=time, device=["d"] * 2, sensor=["s"] * 2, value=[0.1] * 2
    )
    store.ingest(tmp_path / "raw.parquet")
    (refused,) = store.quarantine()
    assert (refused["timestamp"], refused["value"]) == ("2026-01-05T00:00:00.000000Z", "0.1")


def test_a_second_run_reads_nothing_and_changes_nothing(store: Store, tmp_path: Path):
    source = write_csv(tmp_path / "raw" / "a.csv", row(0), row(1, value="x"))
    store.ingest(source)
    before = store.files()
    assert store.ingest(source)["sources"] == 0
    source.touch()
    assert store.ingest(source)["sources"] == 0
    assert store.files() == before


def test_an_untouched_file_is_not_even_opened(store: Store, tmp_path: Path):
    source = write_csv(tmp_path / "a.csv", row(0))
    store.ingest(source)
    page = next((store.root / "ledger").iterdir())
    later = page.stat().st_mtime_ns + 10_000_000_000
    source.write_bytes(source.read_bytes().replace(b"1.0", b"9.9"))
    os.utime(page, ns=(later, later))
    assert store.ingest(source)["sources"] == 0


def test_a_changed_file_is_read_again_and_its_quarantine_replaced(store: Store, tmp_path: Path):
    source = write_csv(tmp_path / "a.csv", row(0), row(1, value="x"))
    store.ingest(source)
    write_csv(source, row(0), row(1, value="3"))
    counts = store.ingest(source)
    assert (counts["stored"], counts["already_stored"]) == (1, 1)
    assert store.quarantine() == []
    assert [r[3] for r in store.readings()] == [1.0, 3.0]


def test_changed_settings_read_the_files_again(store: Store, tmp_path: Path):
    source = write_csv(tmp_path / "a.csv", row(0, value=500))
    store.ingest(source, ranges={"s": [0, 100]})
    assert store.readings() == []
    assert store.ingest(source)["stored"] == 1
    assert store.quarantine() == []


def test_only_partitions_that_gain_rows_are_written(store: Store, tmp_path: Path):
    store.ingest(write_csv(tmp_path / "1.csv", row(0), row(1440)))
    old = {file: file.stat().st_ino for file in (store.root / "readings").rglob("*.parquet")}
    store.ingest(write_csv(tmp_path / "2.csv", row(0), row(1441)))
    assert [file.stem for file in old if file.stat().st_ino != old[file]] == ["2026-01-06"]


def test_the_digest_in_the_footer_tells_rows_apart_and_nothing_else(tmp_path: Path):
    whole, split, other, moved = (Store(tmp_path / name) for name in ("whole", "split", "other", "moved"))
    rows = [row(0, "ab"), row(0, "c"), row(1, "ab")]
    whole.ingest(write_csv(tmp_path / "w.csv", *rows))
    for number, line in enumerate(rows):
        split.ingest(write_csv(tmp_path / f"s{number}.csv", line))
    other.ingest(write_csv(tmp_path / "o.csv", *rows[:2], row(1, "ab", value=1.5)))
    moved.ingest(write_csv(tmp_path / "m.csv", row(0, "a"), row(0, "bc"), row(1, "a")))
    digests = [
        store.readings_set.load()["s/2026-01-05"]().metadata.metadata[b"digest"]
        for store in (whole, split, other, moved)
    ]
    assert len(digests[0]) == 64
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
    assert whole.files()["readings/s/2026-01-05.parquet"] == split.files()["readings/s/2026-01-05.parquet"]


@pytest.mark.slow
def test_a_run_killed_after_any_save_and_repeated_ends_in_the_same_files(tmp_path: Path):
    raw = tmp_path / "raw"
    write_csv(raw / "1.csv", row(0), row(0), row(1, value=2), row(2, value="x"))
    write_csv(raw / "2.csv", row(0), row(1, value=3), row(1440), row(1440), "broken")
    write_csv(raw / "3.csv", row(5, sensor="t"), row(1, value=2), row(1, value=2))
    undisturbed = Store(tmp_path / "undisturbed")
    n_saves = len(list(undisturbed.ingest_stepwise(raw)))
    assert n_saves == 3 * (3 + 3 + 1)
    for killed_after in range(n_saves):
        killed = Store(tmp_path / f"killed{killed_after}")
        steps = killed.ingest_stepwise(raw)
        for _ in itertools.islice(steps, killed_after):
            pass
        del steps
        killed.ingest(raw)
        assert killed.files() == undisturbed.files()
        shutil.rmtree(killed.root, ignore_errors=True)


def test_a_selection_takes_its_rows_and_leaves_the_others_for_later(store: Store, tmp_path: Path):
    rows = [
        row(0, "7"),
        row(0, "007"),
        row(0, "7.0"),
        row(0, "7", "t"),
        row(1, "7", value="x"),
        ",7,,",
        "broken",
    ]
    source = write_csv(tmp_path / "a.csv", *rows, row(1, "007", value="x"))
    assert store.ingest(source, device=7)["rows"] == 4
    assert {r[1] for r in store.readings()} == {"7"}
    assert store.ingest(source, device="7")["sources"] == 0
    assert store.ingest(source, device="7", sensor="s")["sources"] == 0
    store.ingest(source, device="007", sensor="s")
    assert {r[1] for r in store.readings()} == {"7", "007"}
    assert store.reasons() == [(6, "not_a_number"), (7, "missing_timestamp"), (9, "not_a_number")]
    store.ingest(source)
    once = Store(tmp_path / "once")
    once.ingest(source)
    assert store.files() == once.files()
    assert store.ingest(source, device="007")["sources"] == 0


def test_a_changed_file_is_read_for_all_that_was_ever_taken_of_it(store: Store, tmp_path: Path):
    source = write_csv(tmp_path / "a.csv", row(0, "7"), row(0, "8", value="x"))
    store.ingest(source)
    write_csv(source, row(0, "7"), row(0, "8", value="x"), row(1, "7"))
    store.ingest(source, device="7")
    assert store.reasons() == [(3, "not_a_number")]
    assert len(store.readings()) == 2


def test_an_unknown_id_is_an_error_with_suggestions_and_nothing_is_ingested(store: Store, tmp_path: Path):
    source = write_csv(tmp_path / "a.csv", row(0, "pump-1", "vibration"))
    with pytest.raises(InputError, match="did you mean 'vibration'"):
        store.ingest(source, sensor="vibraton")
    with pytest.raises(InputError, match="did you mean 'pump-1'"):
        store.ingest(source, device="pump-2")
    assert store.files() == {}
    store.ingest(source)
    with pytest.raises(InputError, match="did you mean 'vibration'"):
        store.ingest(source, sensor="vibraton")
    with pytest.raises(InputError, match="did you mean 'pump-1'"):
        store.ingest(source, device="pump-2")


def test_an_id_is_known_from_earlier_runs_and_from_the_quarantine(store: Store, tmp_path: Path):
    store.ingest(write_csv(tmp_path / "1.csv", row(0, "old"), row(0, "broken", "t", "x")))
    source = write_csv(tmp_path / "2.csv", row(0, "new"))
    assert store.ingest(source, device=["old"])["stored"] == 0
    assert store.ingest(source, device=["broken"], sensor="t")["stored"] == 0
    assert store.ingest(source, device=["new"], sensor="t")["stored"] == 0
    assert store.ingest(source, device=["new"])["stored"] == 1


def test_one_broken_file_is_named_and_nothing_is_recorded(store: Store, tmp_path: Path):
    write_csv(tmp_path / "raw" / "a.csv", row(0))
    whole = write_parquet(
        tmp_path / "raw" / "b.parquet", timestamp=[1], device=["d"], sensor=["s"], value=[1.0]
    )
    whole.write_bytes(whole.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"b\.parquet: cannot be read .*mend the file"):
        store.ingest(tmp_path / "raw")
    assert store.files() == {}


def test_a_file_that_is_written_to_meanwhile_is_not_recorded(store: Store, tmp_path: Path):
    source = write_csv(tmp_path / "a.csv", row(0))
    steps = store.ingest_stepwise(source)
    next(steps)
    write_csv(source, row(0), row(1))
    with pytest.raises(InputError, match="changed while it was being read"):
        list(steps)
    assert store.ledger() == []
    assert store.ingest(source)["stored"] == 1


@pytest.mark.parametrize("lines", [[], ["timestamp,device,sensor,value"]], ids=["empty", "header only"])
def test_a_file_without_rows_is_recorded_with_none(store: Store, tmp_path: Path, lines: list[str]):
    source = write_lines(tmp_path / "a.csv", lines)
    assert store.ingest(source)["rows"] == 0
    assert store.ledger()[0]["rows"] == 0
    assert store.ingest(source)["sources"] == 0


def test_the_ledger_counts_what_became_of_a_file(store: Store, tmp_path: Path):
    store.ingest(write_csv(tmp_path / "a.csv", row(0), row(0), row(1), row(2, value="x")))
    (page,) = store.ledger()
    assert (page["source"], page["rows"], page["accepted"], page["refused"]) == ("a.csv", 4, 2, 2)


def test_a_reading_is_in_the_future_of_the_scheduled_time_and_of_now(store: Store, tmp_path: Path):
    source = write_csv(tmp_path / "a.csv", "2090-01-01T01:00Z,d,s,1", "2090-01-01T01:01Z,d,s,1")
    list(store.ingest_stepwise(source, at="2090-01-01T00:00Z", max_future="1h"))
    assert store.reasons() == [(3, "future_timestamp")]
    now = Store(tmp_path / "now")
    list(now.ingest_stepwise(source, at=None))
    assert now.reasons() == [(2, "future_timestamp"), (3, "future_timestamp")]


def test_a_run_that_is_late_for_its_time_loses_no_reading(store: Store, tmp_path: Path):
    source = write_csv(tmp_path / "a.csv", row(0), row(300))
    list(store.ingest_stepwise(source, at="2026-01-05T00:00Z", max_future="1h"))
    assert store.reasons() == []


def test_the_2018_reference_is_taken_unchanged(store: Store):
    if not REFERENCE_READINGS.exists():
        pytest.skip(f"{REFERENCE_READINGS} is not here")
    counts = store.ingest(REFERENCE_READINGS)
    assert (counts["rows"], counts["stored"]) == (17_768, 17_768)
    assert store.readings()[0] == ("2018-08-28T23:00:05.000000", "1", "1", 10.16)


@pytest.mark.slow
def test_the_application_server_dataset_is_taken_unchanged(store: Store):
    if not ASD_READINGS.exists():
        pytest.skip(f"{ASD_READINGS} is not here")
    counts = store.ingest(ASD_READINGS)
    assert counts["stored"] == counts["rows"] == pq.read_metadata(ASD_READINGS).num_rows


def test_refused_rows_are_counted_by_device_sensor_and_reason(store: Store, tmp_path: Path):
    bad = [row(minute, "d2", value="x") for minute in range(3)]
    write_csv(tmp_path / "raw" / "1.csv", *bad, row(0, "d1", value="inf"), row(0, "", value="x"), "broken")
    write_csv(tmp_path / "raw" / "2.csv", *bad, row(0, "d2", "t", ""))
    store.ingest(tmp_path / "raw")
    refused = count_refused_devices(store.quarantine_set.load())
    assert refused.schema == REFUSED_DEVICES
    assert [tuple(r.values()) for r in refused.to_pylist()] == [
        ("d1", "s", "infinite", 1),
        ("d2", "s", "not_a_number", 6),
        ("d2", "t", "missing_value", 1),
    ]


def test_nothing_refused_is_an_empty_table():
    assert count_refused_devices({}).schema == REFUSED_DEVICES


READING = st.tuples(st.integers(0, 3000), st.sampled_from(["d1", "d2"]), st.sampled_from(["s", "t"]))
VALUE = st.sampled_from(["1", "2.5", "x", "", "inf"])


@st.composite
def files_and_runs(draw: st.DrawFn) -> tuple[list[list[str]], list[int]]:
    """Rows in the order of arrival, cut into files, and how many files each run finds."""
    readings = draw(st.lists(st.tuples(READING, VALUE), max_size=12))
    rows = [row(*reading, value) for reading, value in readings]
    rows += [rows[i] for i in draw(st.lists(st.integers(0, len(rows) - 1), max_size=4))] if rows else []
    cuts = sorted(draw(st.lists(st.integers(0, len(rows)), max_size=3)))
    files = [rows[a:b] for a, b in itertools.pairwise([0, *cuts, len(rows)])]
    runs = sorted({*draw(st.lists(st.integers(1, len(files)), max_size=2)), len(files)})
    return files, runs


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=files_and_runs())
def test_files_and_runs_may_be_cut_anyhow(case: tuple[list[list[str]], list[int]], tmp_path: Path):
    files, runs = case
    for place in ("one", "many"):
        shutil.rmtree(tmp_path / place, ignore_errors=True)
    one, many = Store(tmp_path / "one" / "store"), Store(tmp_path / "many" / "store")
    whole = write_csv(tmp_path / "one" / "raw" / "0.csv", *itertools.chain(*files))
    assert_all_rows_accounted_for(one.ingest(whole), sum(map(len, files)))
    raw = tmp_path / "many" / "raw"
    there = 0
    for n_files in runs:
        new = files[there:n_files]
        for number, rows in enumerate(new, start=there):
            write_csv(raw / f"{number}.csv", *rows)
        there = n_files
        assert_all_rows_accounted_for(many.ingest(raw), sum(map(len, new)))
    stored = {key: content for key, content in many.files().items() if key.startswith("readings")}
    assert stored == {key: content for key, content in one.files().items() if key.startswith("readings")}
    pages = many.ledger()
    assert sum(page["accepted"] + page["refused"] for page in pages) == sum(map(len, files))
    at_once = Store(tmp_path / "many" / "at_once")
    at_once.ingest(raw)
    assert at_once.files() == many.files()


def assert_all_rows_accounted_for(counts: dict[str, Any], n_rows: int) -> None:
    assert counts["rows"] == n_rows
    assert counts["stored"] + counts["already_stored"] + sum(counts["refused"].values()) == n_rows


def test_json_and_parquet_and_csv_may_lie_in_one_folder(store: Store, tmp_path: Path):
    raw = tmp_path / "raw"
    write_csv(raw / "a.csv", row(0))
    write_json_lines(raw / "b.jsonl", {"ts": "2026-01-05T00:01:00Z", "Device": "d1", "tag": "s", "VALUE": 1})
    time = pa.array([1767571320], pa.int64())
    write_parquet(raw / "deep" / "c.parquet", time=time, device_id=["d1"], metric=["s"], reading=[1])
    assert store.ingest(raw)["stored"] == 3
    assert [r[0][14:16] for r in store.readings()] == ["00", "01", "02"]
