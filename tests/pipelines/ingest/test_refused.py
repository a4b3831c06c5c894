"""What is refused, for which reason, and that its text is kept."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from batch_scoring.ingestion.quarantine import REFUSED_DEVICES, count_refused_devices
from tests.pipelines.ingest.ingestion import (
    Store,
    row,
    write_csv,
    write_parquet,
)

pytestmark = pytest.mark.slow


def test_every_reason_is_found_and_the_raw_text_kept(store: Store, tmp_path: Path):
    time, too_long = "2026-01-05T00:00:00Z", "№" * 23
    cases = {
        f"{time},d,s": "malformed_row",
        f"{time},d,s,1,5": "malformed_row",
        f'{time},d,"s,1': "malformed_row",
        ",d,s,1": "missing_timestamp",
        f"{time},,s,1": "missing_device",
        f"{time},d, ,1": "missing_sensor",
        "yesterday,d,s,1": "bad_timestamp",
        "2026-02-30,d,s,1": "bad_timestamp",
        "infinity,d,s,1": "bad_timestamp",
        "99999-01-01,d,s,1": "bad_timestamp",
        "2099-02-01T01:00:01Z,d,s,1": "future_timestamp",
        "0001-01-01T00:00:00,d,s,1": "implausible_time",
        "1989-12-31T23:59:59.999999Z,d,s,1": "implausible_time",
        f"{time},d,{too_long},1": "sensor_id_too_long",
        f"{time},d,{'x' * 201},1": "sensor_id_too_long",
        f"{time},d,.{'x' * 198},1": "sensor_id_too_long",
        f"{time},d,s,high": "not_a_number",
        f"{time},d,s,1_000": "not_a_number",
        f"{time},d,s,-inf": "infinite",
        f"{time},d,s,1e999": "infinite",
        f"{time},d,s,1e150": "infinite",
        f"{time},d,s,-1.7e308": "infinite",
        f"{time},d,t,-40.1": "out_of_range",
        f"{time},d,t,150.1": "out_of_range",
    }
    good = [
        "2026-02-01T01:00:00Z,d,s,-9.9e149",
        f"{time},d,t,150",
        f"{time},d,t2,151",
        f"{time},d,{'№' * 22},1",
    ]
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
        (2, None, "1.0", "missing_timestamp"),
        (4, "2026-01-05 00:00:00", "2.0", "missing_device"),
    ]


def test_a_device_of_nothing_but_nan_has_no_values_among_good_ones(store: Store, tmp_path: Path):
    # Parquet's minimum and maximum leave NaN out, and DuckDB 2.0 concludes that there is none.
    n = 50
    write_parquet(
        tmp_path / "raw.parquet",
        timestamp=pa.array([1767571200_000_000 + i for i in range(2 * n)], pa.timestamp("us")),
        device=["all-nan"] * n + ["good"] * n,
        sensor=["s"] * 2 * n,
        value=[float("nan")] * n + [float(i) for i in range(n)],
    )
    counts = store.ingest(tmp_path / "raw.parquet")
    assert (counts["missing"], counts["refused"]) == (0, {"no_value": n})
    assert {row["device"] for row in store.quarantine()} == {"all-nan"}
    (source,) = store.sources()
    assert [source[name] for name in ("rows", "accepted", "refused", "missing")] == [2 * n, n, n, 0]
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


def test_duplicates_of_typed_rows_are_quarantined_as_iso_text(store: Store, tmp_path: Path):
    time = pa.array([1767571200_000_000] * 2, pa.timestamp("us", tz="UTC"))
    write_parquet(
        tmp_path / "raw.parquet", timestamp=time, device=["d"] * 2, sensor=["s"] * 2, value=[0.1] * 2
    )
    store.ingest(tmp_path / "raw.parquet")
    (refused,) = store.quarantine()
    assert (refused["timestamp"], refused["value"]) == ("2026-01-05T00:00:00.000000Z", "0.1")


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


def test_refused_rows_are_counted_by_device_sensor_and_reason(store: Store, tmp_path: Path):
    bad = [row(minute, "d2", value="x") for minute in range(3)]
    write_csv(tmp_path / "raw" / "1.csv", *bad, row(0, "d1", value="inf"), row(0, "", value="x"), "broken")
    write_csv(tmp_path / "raw" / "2.csv", *bad, row(0, "d2", "t", "low"))
    store.ingest(tmp_path / "raw")
    refused = count_refused_devices(store.quarantine_set.load())
    assert refused.schema == REFUSED_DEVICES
    assert [tuple(r.values()) for r in refused.to_pylist()] == [
        ("d1", "s", "infinite", 1),
        ("d2", "s", "not_a_number", 6),
        ("d2", "t", "not_a_number", 1),
    ]


def test_nothing_refused_is_an_empty_table(store: Store):
    assert count_refused_devices(store.quarantine_set.load()).equals(REFUSED_DEVICES.empty_table())


def test_the_earliest_plausible_time_is_a_setting(store: Store, tmp_path: Path):
    source = write_csv(tmp_path / "a.csv", "1950-01-01T00:00:00Z,d,s,1", "1949-12-31T23:59:59Z,d,s,1")
    store.ingest(source, min_time="1950-01-01")
    assert store.reasons() == [(3, "implausible_time")]


def test_readings_refused_as_future_are_stored_when_their_time_has_come(store: Store, tmp_path: Path):
    source = write_csv(tmp_path / "a.csv", row(0), "2099-01-01T10:00Z,d1,s,2", "2099-01-01T11:00Z,d1,s,3")
    list(store.ingest_stepwise(source))
    assert store.reasons() == [(3, "future_timestamp"), (4, "future_timestamp")]
    before = store.files()
    assert store.ingest(source)["sources"] == 0, "not read again while the times are still to come"
    assert store.files() == before

    counts = list(store.ingest_stepwise(source, at="2099-01-01T09:30Z"))[-1]
    assert (counts["stored"], counts["already_stored"]) == (1, 1)
    assert store.reasons() == [(4, "future_timestamp")]
    counts = list(store.ingest_stepwise(source, at="2099-01-01T10:30Z"))[-1]
    assert (counts["stored"], counts["already_stored"]) == (1, 2)
    assert store.reasons() == []
    assert [value for *_, value in store.readings()] == [1.0, 2.0, 3.0]


def test_a_file_nearly_all_in_the_future_ends_the_run_with_its_name_after_the_others(
    store: Store, tmp_path: Path
):
    write_csv(tmp_path / "raw" / "clock.csv", *(f"2099-01-01T10:{m:02}Z,d1,s,1" for m in range(20)))
    write_csv(tmp_path / "raw" / "good.csv", row(0), row(1), "2099-01-01T10:00Z,d1,s,1")
    counts = store.ingest(tmp_path / "raw")
    (shortfall,) = counts["shortfalls"]
    assert "clock.csv" in shortfall
    assert "20 of 20" in shortfall
    assert len(store.readings()) == 2
