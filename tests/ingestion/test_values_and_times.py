"""Files as people have them: marks of numbers, missing values, words, units; times in any form."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.ingestion.numbers import value_of
from batch_scoring.ingestion.second_look import _marks
from batch_scoring.ingestion.settings import read_settings
from batch_scoring.ingestion.time_formats import formats_of
from batch_scoring.ingestion.times import time_of
from tests.examples import few_examples
from tests.pipelines.ingest.ingestion import Store, row, write_csv, write_lines, write_parquet

pytestmark = pytest.mark.slow

START = datetime(2026, 3, 2, tzinfo=UTC)


def times(store: Store) -> list[str]:
    return sorted(one[0][:19] for one in store.readings())


def values(store: Store) -> list[float]:
    return [one[3] for one in sorted(store.readings())]


def csv_of(
    path: Path, *fields: tuple[str, str], device: str = "d", sensor: str = "s", mark: str = ";"
) -> Path:
    """A file of (time, value)."""
    header = mark.join(["time", "device", "sensor", "value"])
    return write_lines(path, [header, *(mark.join([time, device, sensor, value]) for time, value in fields)])


@pytest.fixture(scope="module")
def sql() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


# --- Times ---


@pytest.mark.parametrize(
    ("unit", "zone"), [("ns", "UTC"), ("ns", None), ("s", "UTC"), ("ms", "Europe/Berlin"), ("us", None)]
)
def test_times_of_parquet_in_every_unit_and_zone_are_read(
    store: Store, tmp_path: Path, unit: str, zone: str | None
):
    moments = [START, START + timedelta(seconds=1)]
    column = pa.array([moment.replace(tzinfo=UTC) for moment in moments], pa.timestamp("us", "UTC"))
    write_parquet(
        tmp_path / "raw.parquet",
        time=column.cast(pa.timestamp(unit, "UTC")).cast(pa.timestamp(unit, zone)),
        device=["d"] * 2,
        sensor=["s"] * 2,
        value=[1.0, 2.0],
    )
    assert store.ingest(tmp_path / "raw.parquet")["stored"] == 2
    assert times(store) == ["2026-03-02T00:00:00", "2026-03-02T00:00:01"]


def test_nanoseconds_with_a_zone_beside_a_refused_row_are_read(store: Store, tmp_path: Path):
    moment = 1_772_409_600_000_000_000
    write_parquet(
        tmp_path / "raw.parquet",
        time=pa.array([moment, moment + 60_000_000_000], pa.timestamp("ns", "UTC")),
        device=["d"] * 2,
        sensor=["s"] * 2,
        value=["1", "x"],
    )
    assert store.ingest(tmp_path / "raw.parquet")["refused"] == {"not_a_number": 1}
    assert times(store) == ["2026-03-02T00:00:00"]


def test_days_of_parquet_are_midnights_of_the_zone(store: Store, tmp_path: Path):
    write_parquet(
        tmp_path / "raw.parquet", time=pa.array([START.date()]), device=["d"], sensor=["s"], value=[1.0]
    )
    store.ingest(tmp_path / "raw.parquet", timezone="Europe/Berlin")
    assert times(store) == ["2026-03-01T23:00:00"]


def test_a_german_export_is_read_as_it_is(store: Store, tmp_path: Path):
    fields = [("02.03.2026 00:00:00", "19,76"), ("24.03.2026 07:05:00", "-0,5"), ("3.3.2026 7:05:00", "20")]
    counts = store.ingest(csv_of(tmp_path / "de.csv", *fields))
    assert (counts["stored"], counts["shortfalls"]) == (3, [])
    assert times(store) == ["2026-03-02T00:00:00", "2026-03-03T07:05:00", "2026-03-24T07:05:00"]
    assert values(store) == [19.76, 20.0, -0.5]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("11/24/2026 07:05 PM", "2026-11-24T19:05:00"),
        ("24/11/2026 7:05", "2026-11-24T07:05:00"),
        ("10/13/2004 18.00.00", "2004-10-13T18:00:00"),
        ("2026/11/24 07:05:03", "2026-11-24T07:05:03"),
        ("2010-1-2 3", "2010-01-02T03:00:00"),
        ("24-Nov-2026 07:05", "2026-11-24T07:05:00"),
        ("Nov 24, 2026 7:05 am", "2026-11-24T07:05:00"),
        ("Tue Nov 24 07:05:03 2026", "2026-11-24T07:05:03"),
        ("Tue, 24 Nov 2026 07:05:03 +0100", "2026-11-24T06:05:03"),
        ("24/Nov/2026:07:05:03 +0100", "2026-11-24T06:05:03"),
        ("24.11.2026T07:05:03Z", "2026-11-24T07:05:03"),
        ("20261124070503", "2026-11-24T07:05:03"),
        ("20261124T07:05:03", "2026-11-24T07:05:03"),
        ("20261124T07:05:03Z", "2026-11-24T07:05:03"),
        ("20261124 070503", "2026-11-24T07:05:03"),
        ("2026-11-24-07:05:03", "2026-11-24T07:05:03"),
        ("2026-11-24-07.05.03", "2026-11-24T07:05:03"),
        ("2026-11-24_07-05-03", "2026-11-24T07:05:03"),
        ("202611240705", "2026-11-24T07:05:00"),
        ("20261124", "2026-11-24T00:00:00"),
    ],
)
def test_a_time_that_can_be_only_one_is_read(store: Store, tmp_path: Path, text: str, expected: str):
    store.ingest(csv_of(tmp_path / "a.csv", (text, "1")))
    assert times(store) == [expected]


def test_day_or_month_first_in_doubt_is_refused_with_the_setting_to_copy(store: Store, tmp_path: Path):
    write_csv(tmp_path / "raw" / "a.csv", row(0))
    csv_of(tmp_path / "raw" / "b.csv", ("05/06/2026 07:00", "1"), ("05/07/2026 08:00", "2"))
    counts = store.ingest(tmp_path / "raw")
    assert counts["stored"] == 1
    (sentence,) = counts["shortfalls"]
    assert "'05/06/2026 07:00'" in sentence
    assert "ingest.time_format to '%d/%m/%Y %H:%M' or '%m/%d/%Y %H:%M'" in sentence
    assert [one["state"] for one in store.sources()] == ["read", "refused"]
    store.ingest(tmp_path / "raw", time_format=["auto", "%m/%d/%Y %H:%M"])
    assert times(store) == ["2026-01-05T00:00:00", "2026-05-06T07:00:00", "2026-05-07T08:00:00"]


def test_files_of_other_days_show_which_part_is_the_day(store: Store, tmp_path: Path):
    csv_of(tmp_path / "raw" / "a.csv", ("05/06/2026 07:00", "1"))
    csv_of(tmp_path / "raw" / "b.csv", ("13/06/2026 07:00", "1"))
    store.ingest(tmp_path / "raw")
    assert times(store) == ["2026-06-05T07:00:00", "2026-06-13T07:00:00"]


def test_rows_that_contradict_each_other_leave_a_doubt(store: Store, tmp_path: Path):
    write_csv(tmp_path / "raw" / "a.csv", row(0))
    fields = [("13/06/2026", "1"), ("06/13/2026", "1"), *((f"05/0{n}/2026", "1") for n in range(1, 9))]
    csv_of(tmp_path / "raw" / "b.csv", *fields)
    (sentence,) = store.ingest(tmp_path / "raw")["shortfalls"]
    assert "is in doubt" in sentence


@pytest.mark.parametrize(
    ("text", "how", "expected"),
    [
        ("1772409600", "epoch_s", "2026-03-02T00:00:00.000000"),
        ("1772409600.25", "epoch_s", "2026-03-02T00:00:00.250000"),
        ("1772409600123", "epoch_ms", "2026-03-02T00:00:00.123000"),
        ("1772409600123456", "epoch_us", "2026-03-02T00:00:00.123456"),
        ("1772409600123456000", "epoch_ns", "2026-03-02T00:00:00.123456"),
        ("46083.25", "excel", "2026-03-02T06:00:00.000000"),
        ("02.03.26 um 06:00 Uhr", "%d.%m.%y um %H:%M Uhr", "2026-03-02T06:00:00.000000"),
        ("2026-061 06:00", "%Y-%j %H:%M", "2026-03-02T06:00:00.000000"),
    ],
)
def test_times_are_read_by_a_declared_format(
    store: Store, tmp_path: Path, text: str, how: str, expected: str
):
    store.ingest(csv_of(tmp_path / "a.csv", (text, "1")), time_format=how)
    assert [one[0] for one in store.readings()] == [expected]


def test_declared_formats_of_typed_columns(store: Store, tmp_path: Path):
    write_parquet(tmp_path / "a.parquet", time=[46083.25], device=["d"], sensor=["s"], value=[1.0])
    write_parquet(tmp_path / "b.parquet", time=[20260303], device=["d"], sensor=["s"], value=[1.0])
    store.ingest(tmp_path / "a.parquet", time_format="excel", timezone="Europe/Berlin")
    store.ingest(tmp_path / "b.parquet", time_format="%Y%m%d")
    assert times(store) == ["2026-03-02T05:00:00", "2026-03-03T00:00:00"]


def test_a_time_that_does_not_fit_its_format_is_refused(store: Store, tmp_path: Path):
    fields = [("1e300", "1"), ("9e18", "1"), ("-", "1"), ("1772409600", "1")]
    store.ingest(csv_of(tmp_path / "a.csv", *fields), time_format="epoch_s")
    assert [reason for _, reason in store.reasons()] == ["bad_timestamp"] * 3


_FORMATS = ("%d.%m.%Y %H:%M:%S", "%Y/%m/%d %H:%M:%S.%f", "%d-%b-%Y %I:%M:%S %p", "%Y%m%d%H%M%S")


@given(moment=st.datetimes(datetime(1990, 1, 1), datetime(2099, 1, 1)), format_=st.sampled_from(_FORMATS))
def test_what_strftime_writes_is_read_back(sql: duckdb.DuckDBPyConnection, moment: datetime, format_: str):
    text = moment.strftime(format_)
    found = formats_of(text)
    assert [format_ in formats for formats in found.values()] == [True]
    expected = datetime.strptime(text, format_).replace(tzinfo=UTC)
    query = "SELECT " + time_of("$1", "VARCHAR", "UTC", (format_,))
    assert sql.execute(query, [text]).fetchall() == [(expected,)]


@given(text=st.text(alphabet="0123456789/-.: TZAPMapmNov,+", max_size=24))
def test_any_text_has_formats_that_read_it_or_none(sql: duckdb.DuckDBPyConnection, text: str):
    for formats in formats_of(text.strip()).values():
        for one in formats:
            sql.execute("SELECT " + time_of("$1", "VARCHAR", "Europe/Berlin", (one,)), [text]).fetchall()


# --- The hour that comes twice ---


def berlin_night(*minutes: int) -> list[str]:
    """Local times of Berlin so many minutes after 2025-10-25T23:30Z, 01:30 of summer time."""
    return [
        (datetime(2025, 10, 26, 1, 30) + timedelta(minutes=m if m < 90 else m - 60)).strftime(
            "%Y-%m-%d %H:%M"
        )
        for m in minutes
    ]


def utc_night(*minutes: int) -> list[str]:
    start = datetime(2025, 10, 25, 23, 30)
    return [(start + timedelta(minutes=m)).strftime("%Y-%m-%dT%H:%M:00") for m in minutes]


@pytest.mark.parametrize("is_newest_first", [False, True])
def test_the_repeated_hour_is_told_apart_by_the_order_of_rows(
    store: Store, tmp_path: Path, is_newest_first: bool
):
    minutes = list(range(0, 240, 20))
    fields = [(time, f"{n}") for n, time in enumerate(berlin_night(*minutes))]
    file = csv_of(tmp_path / "a.csv", *(reversed(fields) if is_newest_first else fields))
    assert store.ingest(file, timezone="Europe/Berlin")["refused"] == {}
    assert times(store) == utc_night(*minutes)
    assert values(store) == list(map(float, range(len(minutes))))


def test_equal_local_times_side_by_side_are_the_first_and_the_second_hour(store: Store, tmp_path: Path):
    fields = [("2025-10-26 02:00", "1"), ("2025-10-26 02:00", "2"), ("2025-10-26 02:30", "3")]
    fields += [("2025-10-26 02:30", "4"), ("2025-10-26 03:00", "5")]
    store.ingest(csv_of(tmp_path / "a.csv", *fields), timezone="Europe/Berlin")
    assert times(store) == [
        f"2025-10-26T{clock}:00" for clock in ("00:00", "00:30", "01:00", "01:30", "02:00")
    ]
    assert values(store) == [1, 3, 2, 4, 5]


def test_a_repeated_hour_that_cannot_be_told_apart_is_said(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    fields = [("2025-10-26 01:30", "1"), ("2025-10-26 02:10", "2"), ("2025-10-26 03:30", "3")]
    store.ingest(csv_of(tmp_path / "a.csv", *fields), timezone="Europe/Berlin")
    assert times(store)[1] == "2025-10-26T01:10:00"
    (said,) = [one for one in caplog.records if one.levelname == "WARNING"]
    assert said.args is not None
    assert tuple(said.args)[:2] == ("1", "Europe/Berlin")  # type: ignore[arg-type]


def hour(start: int, value: float, minutes: range = range(0, 60, 20)) -> list[tuple[str, str]]:
    return [(f"2025-10-26 {start:02d}:{m:02d}", f"{value + m}") for m in minutes]


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        pytest.param(hour(2, 1), hour(2, 100), "ab", id="by the names of files"),
        pytest.param([*hour(1, 0), *hour(2, 1)], hour(2, 100), "ba", id="the one with the hour before"),
        pytest.param(hour(2, 1), [*hour(2, 100), *hour(3, 0)], "ba", id="the one with the hour after"),
    ],
)
def test_the_two_passes_of_the_repeated_hour_may_be_in_two_files(
    store: Store, tmp_path: Path, first: list, second: list, names: str
):
    for name, fields in zip(names, (first, second), strict=True):
        csv_of(tmp_path / "raw" / f"{name}.csv", *fields)
    counts = store.ingest(tmp_path / "raw", timezone="Europe/Berlin")
    assert counts["refused"] == {}
    stored = dict(zip(times(store), values(store), strict=True))
    assert [stored[f"2025-10-26T0{h}:20:00"] for h in (0, 1)] == [21, 120]


def test_an_hour_that_is_sent_again_in_another_file_is_no_second_pass(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    for name in "ab":
        csv_of(tmp_path / "raw" / f"{name}.csv", *hour(2, 1))
    counts = store.ingest(tmp_path / "raw", timezone="Europe/Berlin")
    assert (counts["stored"], counts["already_stored"]) == (3, 3)
    (said,) = [one for one in caplog.records if one.levelname == "WARNING"]
    assert said.args is not None
    assert tuple(said.args)[:1] == ("6",)  # type: ignore[arg-type]


def test_a_file_that_was_written_before_the_second_hour_is_of_the_first(store: Store, tmp_path: Path):
    file = csv_of(tmp_path / "a.csv", ("2035-10-28 02:10", "1"), ("2035-10-28 02:40", "2"))
    store.ingest(file, timezone="Europe/Berlin", at="2035-10-28T00:50Z")
    assert times(store) == ["2035-10-28T00:10:00", "2035-10-28T00:40:00"]


def test_times_with_an_offset_are_left_alone_in_the_repeated_hour(store: Store, tmp_path: Path):
    fields = [("2025-10-26T02:30+01:00", "1"), ("2025-10-26T02:30+02:00", "2"), ("2025-10-26T01:00Z", "3")]
    store.ingest(csv_of(tmp_path / "a.csv", *fields), timezone="Europe/Berlin")
    assert times(store) == ["2025-10-26T00:30:00", "2025-10-26T01:00:00", "2025-10-26T01:30:00"]


# --- Clocks that were not set ---


def series(start: datetime, n: int, device: str = "d", hours: float = 1) -> list[str]:
    return [f"{(start + timedelta(hours=hours * k)).isoformat()},{device},s,{k}" for k in range(n)]


def test_readings_of_a_clock_that_was_not_set_are_refused(store: Store, tmp_path: Path):
    unset = series(datetime(2000, 1, 1, tzinfo=UTC), 3)
    file = write_csv(tmp_path / "a.csv", *unset, *series(START, 100), *series(START, 100, "e"))
    assert store.ingest(file)["refused"] == {"implausible_time": 3}
    assert len(store.readings()) == 200


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(series(datetime(2012, 1, 1, tzinfo=UTC), 20, "old") + series(START, 500), id="archive"),
        pytest.param(series(datetime(2005, 5, 1, tzinfo=UTC), 15, hours=24 * 366), id="yearly"),
        pytest.param(
            series(datetime(2010, 5, 1, tzinfo=UTC), 60, hours=24 * 70) + series(START, 200, "e"), id="long"
        ),
        pytest.param(series(datetime(2022, 5, 1, tzinfo=UTC), 100) + series(START, 100), id="two campaigns"),
    ],
)
def test_old_readings_that_a_device_has_of_its_own_are_kept(store: Store, tmp_path: Path, lines: list[str]):
    counts = store.ingest(write_csv(tmp_path / "a.csv", *lines))
    assert counts["refused"] == {}
    assert counts["stored"] == len(lines)


def test_a_device_whose_clock_was_never_set_is_refused_by_what_the_others_say(store: Store, tmp_path: Path):
    others = [line for n in range(6) for line in series(START, 10, f"e{n}")]
    unset = series(datetime(2000, 1, 1, 5, tzinfo=UTC), 10)
    write_csv(tmp_path / "a.csv", *unset, *others)
    assert store.ingest(tmp_path / "a.csv")["refused"] == {"implausible_time": 10}
    few = Store(tmp_path / "few")
    assert few.ingest(write_csv(tmp_path / "b.csv", *unset, *others[:20]))["refused"] == {}


def test_plain_parquet_with_a_clock_that_was_not_set_is_refused_as_well(store: Store, tmp_path: Path):
    moments = [datetime(2000, 1, 1, tzinfo=UTC), *(START + timedelta(hours=k) for k in range(100))]
    write_parquet(
        tmp_path / "a.parquet",
        time=pa.array(moments, pa.timestamp("us", "UTC")),
        device=["d"] * 101,
        sensor=["s"] * 101,
        value=[float(n) for n in range(101)],
    )
    assert store.ingest(tmp_path / "a.parquet")["refused"] == {"implausible_time": 1}


# --- Values ---


def read(store: Store, tmp_path: Path, *texts: str, sensor: str = "s", **settings: Any) -> list[float]:
    fields = [(f"2026-03-02T00:{n:02d}Z", text) for n, text in enumerate(texts)]
    store.ingest(csv_of(tmp_path / "a.csv", *fields, sensor=sensor), **settings)
    return values(store)


def test_numbers_by_declared_marks(store: Store, tmp_path: Path):
    texts = ["1.234,5", "1.234.567", "0,5", "-3", "1,5e3", "12.34", "1.5"]
    assert read(store, tmp_path, *texts, decimal=",", thousands=".") == [1234.5, 1234567, 0.5, -3, 1500]
    assert [one["value"] for one in store.quarantine()] == ["12.34", "1.5"]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1,5", "2", "1,234"], [1.5, 2, 1.234]),
        (["1.234,5", "1.234"], [1234.5, 1234]),
        (["1,234,567", "1,234", "0.5"], [1234567, 1234, 0.5]),
        (["1 234,5", "12,25"], [1234.5, 12.25]),
        (["1'234.5", "1.5"], [1234.5, 1.5]),
        (["1\u00a0234", "5"], [1234, 5]),
    ],
)
def test_marks_of_numbers_that_leave_no_doubt_are_found(
    store: Store, tmp_path: Path, texts: list[str], expected: list[float]
):
    assert read(store, tmp_path, *texts) == expected


@pytest.mark.parametrize("texts", [["1,234", "2,345"], ["1,5", "1.5"], ["1,5", "1.234"], ["1,234", "0.5"]])
def test_marks_of_numbers_in_doubt_are_not_guessed(store: Store, tmp_path: Path, texts: list[str]):
    read(store, tmp_path, *texts, "7")
    commas = [text for text in texts if "," in text]
    assert [one["value"] for one in store.quarantine()] == commas


def test_missing_values_are_counted_and_not_refused(store: Store, tmp_path: Path):
    texts = ["1", "-200", "-200.0", "9999", "?", "", "NA", "null", "NaN", "-", "Unavailable", "err", "2"]
    assert read(store, tmp_path, *texts, missing=[-200, 9999, "ERR"]) == [1, 2]
    (source,) = store.sources()
    assert (source["missing"], source["refused"]) == (11, 0)


def test_a_series_without_any_value_is_refused_and_the_others_are_not(store: Store, tmp_path: Path):
    rows = ["time,device,sensor,value"]
    for minute in range(4):
        time = f"2026-03-02 00:0{minute}"
        rows += [f"{time},alive,s,{'' if minute else 1}", f"{time},dead,s,", f"{time},alive,t,NaN"]
    counts = store.ingest(write_lines(tmp_path / "a.csv", rows))
    assert (counts["stored"], counts["missing"], counts["refused"]) == (1, 3, {"no_value": 8})
    assert counts["shortfalls"] == []
    refused = {(row["device"], row["sensor"]) for row in store.quarantine()}
    assert refused == {("dead", "s"), ("alive", "t")}


def test_an_empty_column_of_a_wide_file_is_no_series(store: Store, tmp_path: Path):
    rows = ["time,device,s,t", "2026-03-02 00:00,a,1,", "2026-03-02 00:00,b,,2"]
    counts = store.ingest(write_lines(tmp_path / "a.csv", rows))
    assert (counts["stored"], counts["refused"]) == (2, {})


def test_missing_values_by_sensor(store: Store, tmp_path: Path):
    rows = [row(0, sensor="t", value=-1), row(0, sensor="u", value=-1), row(0, sensor="u", value=-9)]
    store.ingest(write_csv(tmp_path / "a.csv", *rows), missing={"t": [-1], "*": [-9]})
    assert [one[2:] for one in store.readings()] == [("u", -1.0)]


def test_missing_values_of_plain_parquet(store: Store, tmp_path: Path):
    moments = [START + timedelta(hours=k) for k in range(3)]
    write_parquet(
        tmp_path / "a.parquet",
        time=pa.array(moments, pa.timestamp("us", "UTC")),
        device=["d"] * 3,
        sensor=["s"] * 3,
        value=[1.0, -200.0, 3.0],
    )
    assert store.ingest(tmp_path / "a.parquet", missing=[-200])["missing"] == 1
    assert values(store) == [1, 3]


def test_words_stand_for_numbers(store: Store, tmp_path: Path):
    # YAML reads ON and OFF without quotes as true and false.
    words = {True: 1, False: 0, "Open": 2, "unavailable": -1}
    texts = ["ON", "off", "open", "true", "False", "unavailable", "ajar", "3"]
    assert read(store, tmp_path, *texts, words=words) == [1, 0, 2, 1, 0, -1, 3]
    assert [one["value"] for one in store.quarantine()] == ["ajar"]


def test_units_behind_numbers_are_taken_off(store: Store, tmp_path: Path):
    assert read(store, tmp_path, "45 %", "45,5%", "21 °C", "7", unit_suffix=["%", "°C"]) == [45, 45.5, 21, 7]


def test_values_are_converted_by_sensor_and_ranges_hold_afterwards(store: Store, tmp_path: Path):
    rows = [row(n, sensor="t", value=value) for n, value in enumerate([212, 32, 500])]
    rows += [row(0, sensor="p", value=2), row(0, sensor="q", value=2)]
    store.ingest(
        write_csv(tmp_path / "a.csv", *rows),
        convert={"t": "°F → °C", "p": "bar -> kPa", "q": [10, -1]},
        ranges={"t": [-50, 150]},
    )
    found = {(sensor, value) for _, _, sensor, value in store.readings()}
    assert found == {("t", 100.0), ("t", 0.0), ("p", 200.0), ("q", 19.0)}
    assert store.reasons() == [(4, "out_of_range")]


@given(
    number=st.decimals(-(10**12), 10**12, allow_nan=False, allow_infinity=False, places=3),
    decimal=st.sampled_from([".", ","]),
    thousands=st.sampled_from([None, " ", "'", ".", ","]),
)
def test_a_number_is_read_back_however_it_is_written(
    sql: duckdb.DuckDBPyConnection, number: Any, decimal: str, thousands: str | None
):
    if decimal == thousands:
        return
    written = f"{number:,.3f}".translate({ord(","): thousands or "", ord("."): decimal})
    settings = read_settings({"decimal": decimal, "thousands": thousands})
    query = "SELECT " + value_of("$1", "VARCHAR", settings)
    assert sql.execute(query, [written]).fetchall() == [(float(number),)]


@given(text=st.text(alphabet="0123456789.,'+-eE %\u00a0_", max_size=12))
def test_a_number_by_declared_marks_is_never_another_number(sql: duckdb.DuckDBPyConnection, text: str):
    settings = read_settings({"decimal": ",", "thousands": "."})
    (found,) = sql.execute("SELECT " + value_of("$1", "VARCHAR", settings), [text]).fetchall()[0]
    if found is not None:
        assert float(text.strip().replace(".", "").replace(",", ".")) == found


@given(counts=st.dictionaries(st.sampled_from(["comma", "point"]), st.integers(1, 9), min_size=2))
def test_points_and_commas_as_decimal_marks_are_a_doubt(counts: dict[str, int]):
    kinds = ("maybe_comma", "comma_groups", "maybe_point", "point_groups", "space_groups", "space_comma")
    assert _marks(dict.fromkeys([*kinds, "quote_groups", "quote_comma"], 0) | counts) == {}


# --- Several readings of one time ---


@pytest.mark.parametrize(("how", "expected"), [("mean", [1.5, 7.0]), ("last", [2.0, 7.0])])
def test_readings_of_one_stamp_are_joined(store: Store, tmp_path: Path, how: str, expected: list[float]):
    file = write_csv(tmp_path / "a.csv", row(0, value=1), row(0, value=2), row(1, value=7))
    counts = store.ingest(file, same_time=how)
    assert values(store) == expected
    assert (counts["rows"], counts["stored"], counts["merged"], counts["refused"]) == (3, 2, 1, {})


def test_joined_readings_are_the_same_when_they_are_read_again(store: Store, tmp_path: Path):
    rows = [row(n // 10 / 60, value=0.1 * n) for n in range(600)]
    store.ingest(write_csv(tmp_path / "a.csv", *rows), same_time="mean")
    before = store.readings()
    counts = store.ingest(write_csv(tmp_path / "a.csv", *rows, row(90)), same_time="mean")
    assert (counts["already_stored"], counts["stored"], counts["refused"]) == (60, 1, {})
    assert store.readings()[:60] == before


def test_most_of_a_file_at_equal_times_is_no_success(store: Store, tmp_path: Path):
    rows = [row(n // 10 / 60, value=n) for n in range(60)]
    counts = store.ingest(write_csv(tmp_path / "a.csv", *rows))
    assert counts["refused"] == {"conflict": 54}
    (sentence,) = counts["shortfalls"]
    assert "ingest.same_time=mean" in sentence


def test_rounded_readings_that_are_sent_again_are_the_same(store: Store, tmp_path: Path):
    write_csv(tmp_path / "raw" / "a.csv", row(0, value=21.53), row(1, value=5))
    store.ingest(tmp_path / "raw", rounding={"s": 0.05})
    write_csv(tmp_path / "raw" / "b.csv", row(0, value=21.5), row(1, value=5.06))
    counts = store.ingest(tmp_path / "raw", rounding={"s": 0.05})
    assert (counts["already_stored"], counts["refused"]) == (1, {"conflict": 1})
    assert values(store) == [21.53, 5]


# --- Nothing is lost, whatever a file says ---

_TIMES = st.sampled_from(
    [
        "2026-03-02T00:00Z",
        "02.03.2026 01:00",
        "13/03/2026",
        "03/04/2026",
        "1772409600",
        "20260302",
        "soon",
        "",
    ]
)
_VALUES = st.sampled_from(
    ["1", "1,5", "1.5", "1.234", "1.234,5", "45 %", "ON", "?", "", "NaN", "-200", "inf"]
)
_SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "time_format": st.sampled_from(["auto", "%d.%m.%Y %H:%M", ["auto", "%d/%m/%Y"], "epoch_s", "excel"]),
        "decimal": st.sampled_from(["auto", ".", ","]),
        "thousands": st.sampled_from([" ", "'"]),
        "missing": st.sampled_from([[-200], {"s": [-200], "*": ["ON"]}]),
        "words": st.just({True: 1}),
        "unit_suffix": st.just("%"),
        "convert": st.just({"s": "°F -> °C"}),
        "same_time": st.sampled_from(["refuse", "mean", "last"]),
        "rounding": st.just(0.1),
        "on_conflict": st.sampled_from(["refuse", "newest"]),
        "timezone": st.sampled_from(["UTC", "Europe/Berlin"]),
    },
)


@few_examples
@given(
    files=st.lists(st.lists(st.tuples(_TIMES, _VALUES), min_size=1, max_size=8), min_size=1, max_size=2),
    settings=_SETTINGS,
)
def test_every_row_is_stored_or_refused_or_counted(
    files: list[list[tuple[str, str]]], settings: dict[str, Any]
):
    with TemporaryDirectory() as folder:
        raw, store = Path(folder) / "raw", Store(Path(folder) / "store")
        write_csv(raw / "0.csv", row(0, "other"))
        store.ingest(raw, **settings)
        for number, fields in enumerate(files, start=1):
            csv_of(raw / f"{number}.csv", *fields)
        counts = store.ingest(raw, **settings)
        of_files = {one["source"]: one for one in store.sources()}
        whole = [
            number for number in range(1, len(files) + 1) if of_files[f"{number}.csv"]["state"] == "refused"
        ]
        n = sum(len(fields) for number, fields in enumerate(files, start=1) if number not in whole)
        refused = sum(counts["refused"].values())
        assert counts["rows"] == n
        kept = [counts[name] for name in ("stored", "already_stored", "missing", "merged", "superseded")]
        assert sum(kept) + refused == n
        assert len([one for one in store.quarantine() if one["source"] != "0.csv"]) == refused
        assert len(store.readings()) == len({one[:3] for one in store.readings()})
        assert len(counts["shortfalls"]) >= len(whole)
        if refused and refused == n - counts["missing"]:
            assert counts["shortfalls"] or set(counts["refused"]) == {"duplicate"}


@pytest.mark.parametrize("time", ["2026-01-05 20:00:00 BST", "639028656000000000", "2026-01-05T20:00:00 IST"])
def test_a_time_that_is_another_one_elsewhere_is_refused(time, tmp_path):
    store = Store(tmp_path / "store")
    place = write_csv(tmp_path / "a.csv", row(0), f"{time},d1,s,2.0", row(10), row(20))
    store.ingest(place)
    assert store.reasons() == [(3, "bad_timestamp")]


def test_midnight_may_be_the_end_of_a_day(tmp_path):
    store = Store(tmp_path / "store")
    place = write_csv(tmp_path / "a.csv", "31.12.2025 24:00,d1,s,1.0", "01.01.2026 01:00,d1,s,2.0")
    store.ingest(place)
    assert [time for time, *_ in store.readings()] == [
        "2026-01-01T00:00:00.000000",
        "2026-01-01T01:00:00.000000",
    ]


def test_milliseconds_of_a_column_of_their_own_are_three_digits(tmp_path):
    store = Store(tmp_path / "store")
    place = write_csv(tmp_path / "a.csv", "2026-01-05 20:00:00,7,d1,s,1.0", header="t,ms,device,sensor,value")
    store.ingest(place, columns={"timestamp": "{t}.{ms}"})
    assert [time for time, *_ in store.readings()] == ["2026-01-05T20:00:00.007000"]
