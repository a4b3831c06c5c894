"""What is read from files of every kind, and the sentence that a file gets which cannot be read."""

from __future__ import annotations

import gzip
import json
import zipfile
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from batch_scoring.core.errors import InputError
from tests.pipelines.ingest.ingestion import (
    Store,
    row,
    write_csv,
    write_json_lines,
    write_lines,
    write_parquet,
)

pytestmark = pytest.mark.slow

ROW = ("2026-01-05T00:00:00.000000", "d", "s", 1.5)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(store: Store, tmp_path: Path, delimiter: str):
    header = delimiter.join(["Value", "note", "TS", "Device", "Tag"])
    line = delimiter.join(["1.5", "x", "2026-01-05", "d", "s"])
    store.ingest(write_csv(tmp_path / "a.txt", line, header=header))
    assert store.readings() == [ROW]


def test_quotes_crlf_a_byte_order_mark_and_empty_lines_are_understood(store: Store, tmp_path: Path):
    lines = ['"ts","device","sensor","value"', "", '2026-01-05,"a,""b""","s","1.5"', '"2026-01-05",,s,', ""]
    write_lines(tmp_path / "a.csv", lines, end="\r\n", encoding="utf-8-sig")
    assert store.ingest(tmp_path / "a.csv")["rows"] == 2
    assert store.readings() == [(ROW[0], 'a,"b"', "s", 1.5)]
    assert store.reasons() == [(4, "missing_device")]


def test_each_of_two_columns_of_one_name_has_its_own_values(store: Store, tmp_path: Path):
    lines = ["ts,device,s,s", "2026-01-05,d,1.5,7"]
    store.ingest(write_lines(tmp_path / "a.csv", lines))
    assert [row[2:] for row in store.readings()] == [("s", 1.5), ("s.1", 7.0)]


def test_line_ends_may_be_mixed_and_the_last_one_missing(store: Store, tmp_path: Path):
    content = "ts,device,sensor,value\r\n2026-01-05,a,s,1\n2026-01-05,b,s,1\r\n2026-01-05,c,s,1"
    (tmp_path / "a.csv").write_bytes(content.encode())
    store.ingest(tmp_path / "a.csv")
    assert [r[1] for r in store.readings()] == ["a", "b", "c"]


def test_an_open_quote_spoils_its_own_line_only(store: Store, tmp_path: Path):
    store.ingest(write_csv(tmp_path / "a.csv", row(0), '2026-01-05,"d,s,1', '2026-01-05,5" pipe,s,1', row(1)))
    assert len(store.readings()) == 2
    assert store.reasons() == [(3, "malformed_row"), (4, "malformed_row")]


def test_gzip_is_read_as_what_is_in_it(store: Store, tmp_path: Path):
    record = {"ts": "2026-01-05", "device": "d", "sensor": "s", "value": 1.5}
    write_csv(tmp_path / "raw" / "a.csv.gz", row(0))
    write_lines(tmp_path / "raw" / "b.jsonl.gz", [json.dumps(record)])
    write_lines(tmp_path / "raw" / "c.json.gz", [json.dumps([record | {"device": "e"}])])
    store.ingest(tmp_path / "raw")
    assert [r[1] for r in store.readings()] == ["d", "d1", "e"]


def test_text_ids_stay_as_they_are_written(store: Store, tmp_path: Path):
    devices = ["7", "007", "7.0", "../../etc/x", "Pumpe №7/Süd", "NULL", "a b"]
    store.ingest(write_csv(tmp_path / "a.csv", *(row(0, device, device) for device in devices)))
    assert sorted(r[1] for r in store.readings()) == sorted(devices)
    assert all(r[1] == r[2] for r in store.readings())


def test_json_ids_are_written_as_json_writes_them(store: Store, tmp_path: Path):
    base = {"ts": 1767571200, "sensor": "s", "value": 1}
    lines = [json.dumps(base | {"device": device}) for device in (7, "007", 7.0, "7")]
    store.ingest(write_lines(tmp_path / "a.jsonl", lines))
    assert [r[1] for r in store.readings()] == ["007", "7", "7.0"]
    assert store.reasons() == [(4, "duplicate")]


def test_integer_ids_of_parquet_are_decimal_text(store: Store, tmp_path: Path):
    time = pa.array([1767571200_000], pa.timestamp("ms", "UTC"))
    ids = {"device": pa.array([7]).cast(pa.int16()), "sensor": pa.array(["s"]).dictionary_encode()}
    store.ingest(write_parquet(tmp_path / "a.parquet", timestamp=time, value=[1.5], **ids))
    assert store.readings() == [(ROW[0], "7", "s", 1.5)]


def test_broken_json_lines_are_refused_with_their_text(store: Store, tmp_path: Path):
    good = {"ts": "2026-01-05", "device": "d", "sensor": "s"}
    lines = [
        json.dumps(good | {"value": 1.5}),
        "{oops",
        "[1]",
        "",
        json.dumps(good | {"value": "x", "y": {}}),
    ]
    counts = store.ingest(write_lines(tmp_path / "a.jsonl", [*lines, json.dumps(good)]))
    assert counts["missing"] == 1
    assert store.readings() == [ROW]
    assert store.reasons() == [
        (2, "malformed_row"),
        (3, "malformed_row"),
        (5, "not_a_number"),
    ]
    assert store.quarantine()[0]["value"] == "{oops"


@pytest.mark.parametrize("value", [1e150, -1.7e308, float("inf")])
@pytest.mark.parametrize("wide", [False, True])
def test_of_parquet_what_is_too_large_to_compute_with_is_refused(
    store: Store, tmp_path: Path, value: float, wide: bool
):
    times = [f"2026-01-05T00:0{n}:00Z" for n in range(4)]
    values = [1.0, value, 9e149, float("nan")]
    more = {"s": values} if wide else {"sensor": ["s"] * 4, "value": values}
    moments = pa.array([datetime.fromisoformat(time) for time in times])
    store.ingest(write_parquet(tmp_path / "a.parquet", timestamp=moments, device=["d"] * 4, **more))
    assert [row[3] for row in sorted(store.readings())] == [1.0, 9e149]
    assert [reason for _, reason in store.reasons()] == ["infinite"]


def test_of_json_nan_is_missing_and_infinity_is_refused(store: Store, tmp_path: Path):
    base = {"ts": "2026-01-05", "device": "d", "sensor": "s"}
    counts = store.ingest(
        write_json_lines(tmp_path / "a.jsonl", base | {"value": float("nan")}, base | {"value": float("inf")})
    )
    assert store.reasons() == [(2, "infinite")]
    assert counts["missing"] == 1


def test_a_json_array_may_lie_on_many_lines(store: Store, tmp_path: Path):
    records = [{"ts": "2026-01-05", 'de"v': device, "sensor": "s", "value": 1.5} for device in "ab"]
    (tmp_path / "a.json").write_text(json.dumps([*records, {"ts": 1}], indent=2))
    store.ingest(tmp_path / "a.json", columns={"device": 'de"v'})
    assert [r[1] for r in store.readings()] == ["a", "b"]
    assert store.reasons() == [(3, "missing_device")]


def test_a_broken_json_array_is_an_error(store: Store, tmp_path: Path):
    (tmp_path / "a.json").write_text('[{"ts": 1, "device": "d", "sensor": "s", "value": 1}, {"ts"')
    with pytest.raises(InputError, match=r"a\.json: cannot be read"):
        store.ingest(tmp_path / "a.json")


@pytest.mark.parametrize(
    "times",
    [
        pa.array([1767571200], pa.timestamp("s")),
        pa.array([1767571200_000_000_000], pa.timestamp("ns")),
        pa.array([1767571200_000], pa.timestamp("ms", "Europe/Berlin")),
        pa.array([20458], pa.date32()),
        pa.array([1767571200], pa.uint32()),
        pa.array([1767571200_000_000], pa.int64()),
        pa.array([1767571200.0]),
        pa.array(["2026-01-05T01:00+01:00"]),
        pa.array(["1767571200000"]).cast(pa.large_string()),
        pa.array([b"2026-01-05 00:00:00"]),
    ],
    ids=lambda array: str(array.type),
)
def test_parquet_times_of_every_type_are_read(store: Store, tmp_path: Path, times: pa.Array):
    store.ingest(
        write_parquet(tmp_path / "a.parquet", timestamp=times, device=["d"], sensor=["s"], value=[1.5])
    )
    assert store.readings() == [ROW]


@pytest.mark.parametrize(
    "values",
    [
        pa.array([2], pa.int8()),
        pa.array([2.0], pa.float32()),
        pa.array(["2"]),
        pa.array([Decimal(2)], pa.decimal128(5, 2)),
    ],
    ids=lambda array: str(array.type),
)
def test_parquet_values_of_every_type_are_read(store: Store, tmp_path: Path, values: pa.Array):
    others = {"timestamp": ["2026-01-05"], "device": ["d"], "sensor": ["s"]}
    store.ingest(write_parquet(tmp_path / "a.parquet", value=values, **others))
    assert [r[3] for r in store.readings()] == [2.0]


def test_a_glob_in_a_file_name_is_only_a_name(store: Store, tmp_path: Path):
    columns: dict[str, Any] = {"device": ["d"], "sensor": ["s"], "value": [1.5]}
    for name in ("a[1].parquet", "a1.parquet"):
        write_parquet(tmp_path / name, timestamp=["2026-01-05"], **columns)
    assert store.ingest(tmp_path / "a[1].parquet")["rows"] == 1


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.jsonl", "a.json"])
def test_a_missing_column_is_named_with_those_there_are(store: Store, tmp_path: Path, name: str):
    columns = {"ts": ["2026-01-05"], "unit": ["s"], "device": ["d"], "value": ["1"]}
    if name == "a.csv":
        write_csv(tmp_path / name, "2026-01-05,s,d,1", header=",".join(columns))
    elif name == "a.parquet":
        write_parquet(tmp_path / name, **columns)
    else:
        record = json.dumps({key: value[0] for key, value in columns.items()})
        (tmp_path / name).write_text(f"[{record}]" if name == "a.json" else record)
    expected = (
        rf"{name}: no column for the sensor; .*'ts', 'unit', 'device', 'value'.*ingest\.columns\.sensor=unit"
    )
    with pytest.raises(InputError, match=expected):
        store.ingest(tmp_path / name)
    assert store.ingest(tmp_path / name, columns={"sensor": "Unit"})["stored"] == 1


def test_an_unheard_of_delimiter_is_a_missing_column(store: Store, tmp_path: Path):
    write_csv(tmp_path / "a.csv", "2026-01-05:d:s:1", header="ts:device:sensor:value")
    with pytest.raises(InputError, match=r"the file has 'ts:device:sensor:value'; .* set ingest\.delimiter"):
        store.ingest(tmp_path / "a.csv")


def test_text_that_is_not_utf8_is_named_by_line_and_byte(store: Store, tmp_path: Path):
    write_csv(tmp_path / "a.csv", row(0), row(1, "Süd"), encoding="latin-1")
    with pytest.raises(InputError, match=r"a\.csv: line 3, byte 23 of the line \(0xfc\) is not UTF-8"):
        store.ingest(tmp_path / "a.csv")
    assert store.ingest(tmp_path / "a.csv", encoding="latin-1")["stored"] == 2
    assert [r[1] for r in store.readings()] == ["Süd", "d1"]


def test_half_a_gzip_file_is_an_error(store: Store, tmp_path: Path):
    whole = gzip.compress("\n".join(["ts,device,sensor,value", *(row(i) for i in range(500))]).encode())
    (tmp_path / "a.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"a\.csv\.gz"):
        store.ingest(tmp_path / "a.csv.gz")


def test_a_parquet_file_of_another_kind_is_an_error(store: Store, tmp_path: Path):
    (tmp_path / "a.parquet").write_text("ts,device\n")
    with pytest.raises(InputError, match=r"a\.parquet: cannot be read"):
        store.ingest(tmp_path / "a.parquet")


def test_lines_without_end_are_an_error(store: Store, tmp_path: Path):
    (tmp_path / "a.csv").write_text("ts,device,sensor,value\n" + "x" * 1_100_000)
    with pytest.raises(InputError, match="a line is longer than a megabyte"):
        store.ingest(tmp_path / "a.csv")


def test_naive_times_are_in_the_configured_zone_and_others_in_their_own(store: Store, tmp_path: Path):
    times = {
        "2026-01-05 12:00:00": "11:00",
        "2026-01-05T12:00": "11:00",
        "2026-01-06": "23:00",
        "2026-01-05T12:00:00Z": "12:00",
        "2026-01-05t12:00:00z": "12:00",
        "2026-01-05 12:00:00+02": "10:00",
        "2026-01-05T12:00:00.5-0330": "15:30",
        "2026-01-05 12:00:00 UTC": "12:00",
        "2026-01-05 12:00:00 America/New_York": "17:00",
        "20260105T120000Z": "12:00",
        "20260105T120000.5": "11:00",
        " 1767614400 ": "12:00",
        "1767614400.5": "12:00",
        "1767614400000": "12:00",
        "1767614400000000": "12:00",
        "1767614400000000000": "12:00",
    }
    rows = [f"{time},{i:02d},s,1" for i, time in enumerate(times)]
    store.ingest(write_csv(tmp_path / "a.csv", *rows), timezone="Europe/Berlin")
    assert store.quarantine() == []
    assert {r[1]: r[0][11:16] for r in store.readings()} == {
        f"{i:02d}": clock for i, clock in enumerate(times.values())
    }


def test_summer_time_counts_in_a_configured_zone(store: Store, tmp_path: Path):
    write_csv(tmp_path / "a.csv", "2025-07-01 12:00:00,d,s,1", "2025-12-01 12:00:00,d,s,1")
    store.ingest(tmp_path / "a.csv", timezone="Europe/Berlin")
    assert [r[0][11:16] for r in store.readings()] == ["10:00", "11:00"]


def test_what_files_of_several_forms_show_alike_is_said_once(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    with zipfile.ZipFile(tmp_path / "plant.zip", "w") as archive:
        for sensor in ("temp", "flow", "power"):
            days = "\n".join(f"{day}.01.2026 10:00;{day}" for day in range(10, 28))
            archive.writestr(f"press-{sensor}.csv", f"time;{sensor}\n{days}\n")
    with caplog.at_level("INFO"):
        store.ingest(tmp_path / "plant.zip", device=None, sensor=None, path="{device}-*.csv")
    said = [record.getMessage() for record in caplog.records if "time_format" in record.getMessage()]
    assert len(said) == 1
    assert "and 2 more" in said[0]
    assert len(store.readings()) == 3 * 18
