"""Files in the shapes that people bring, each read with the settings that it needs and no more."""

from __future__ import annotations

import json
import re
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from kedro.io import DatasetError

from batch_scoring.core.errors import InputError
from tests.pipelines.ingest.ingestion import Store, write_csv, write_json_lines, write_lines, write_parquet

pytestmark = pytest.mark.slow

T0, T1 = "2026-03-02T00:00:00Z", "2026-03-02T00:10:00Z"
# The readings of every file here: two devices with two sensors, at two times.
ROWS = [
    (T0, "unit-a", 19.76, 20.77),
    (T0, "unit-b", 22.13, 22.54),
    (T1, "unit-a", 20.1, 20.68),
    (T1, "unit-b", 22.35, 23.17),
]
AT = "2026-03-03T00:00Z"
STORED = sorted(
    (f"{time[:-1]}.000000", device, sensor, value)
    for time, device, *values in ROWS
    for sensor, value in zip(("temp", "hum"), values, strict=True)
)


def long_lines() -> list[str]:
    return [
        f"{time},{device},{s},{v}"
        for time, device, *two in ROWS
        for s, v in zip(("temp", "hum"), two, strict=True)
    ]


def wide_lines(mark: str = ",") -> list[str]:
    return [mark.join(map(str, row)) for row in ROWS]


def write_workbook(path: Path, sheets: dict[str, list[list[Any]]]) -> Path:
    """A workbook as spreadsheets write it: numbers, texts in the cells, and times as serial days."""
    folder = "xl/worksheets"
    names = list(sheets)
    relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    styles = '<cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="22"/></cellXfs>'
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{kind}.styles+xml"/>'
        + "".join(
            f'<Override PartName="/{folder}/s{n}.xml" ContentType="{kind}.worksheet+xml"/>'
            for n in range(len(names))
        )
        + "</Types>",
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r" '
        f'Type="{relation}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook {main} xmlns:r="{relation}"><sheets>'
        + "".join(f'<sheet name="{name}" sheetId="{n + 1}" r:id="r{n}"/>' for n, name in enumerate(names))
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        + "".join(
            f'<Relationship Id="r{n}" Type="{relation}/worksheet" Target="worksheets/s{n}.xml"/>'
            for n in range(len(names))
        )
        + f'<Relationship Id="rs" Type="{relation}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": f"<styleSheet {main}>{styles}</styleSheet>",
    }
    for n, rows in enumerate(sheets.values()):
        lines = "".join(
            f'<row r="{at}">'
            + "".join(_cell(f"{chr(65 + place)}{at}", cell) for place, cell in enumerate(row))
            + "</row>"
            for at, row in enumerate(rows, 1)
        )
        parts[f"{folder}/s{n}.xml"] = f"<worksheet {main}><sheetData>{lines}</sheetData></worksheet>"
    with zipfile.ZipFile(path, "w") as file:
        for name, content in parts.items():
            file.writestr(name, '<?xml version="1.0" encoding="UTF-8"?>' + content)
    return path


def _cell(place: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        days = (value - datetime(1899, 12, 30)).total_seconds() / 86400
        return f'<c r="{place}" s="1"><v>{days!r}</v></c>'
    if isinstance(value, str):
        return f'<c r="{place}" t="inlineStr"><is><t>{value}</t></is></c>'
    return f'<c r="{place}"><v>{value}</v></c>'


def ingest(store: Store, source: Path, **settings: Any) -> list[tuple[Any, ...]]:
    """Ingest and return the readings, in order."""
    counts = store.ingest(source, at=AT, group=settings)
    assert (counts["refused"], counts["shortfalls"]) == ({}, [])
    return sorted(store.readings())


def proposed(error: InputError) -> dict[str, Any]:
    """The settings under ``ingest`` that an error proposes, as the command line reads them."""
    from batch_scoring.core.run_params import split_params

    text = str(error).partition('--params "')[2].partition('"')[0]
    found: dict[str, Any] = split_params(None, None, text)["ingest"]  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("mark", [",", ";", "\t", " "])
def test_a_column_a_sensor_is_found_in_text(store: Store, tmp_path: Path, mark: str):
    source = write_csv(
        tmp_path / "a.csv", *wide_lines(mark), header=mark.join(["time", "device", "temp", "hum"])
    )
    assert ingest(store, source) == STORED


@pytest.mark.parametrize("text", [False, True])
def test_a_column_a_sensor_is_found_in_parquet(store: Store, tmp_path: Path, text: bool):
    times, devices, temp, hum = map(list, zip(*ROWS, strict=True))
    columns = {"temp": temp, "hum": [str(one) for one in hum] if text else hum}
    source = write_parquet(tmp_path / "a.parquet", time=times, device=devices, **columns)
    assert ingest(store, source) == STORED


def test_an_empty_cell_is_no_reading_and_a_bad_one_is_refused_by_itself(store: Store, tmp_path: Path):
    rows = [f"{T0},d,1.5,", f"{T1},d,x,2.5", f"{T1},d,1", f"{T1},d,3,inf"]
    source = write_csv(tmp_path / "a.csv", *rows, header="time,device,a,b")
    counts = store.ingest(source, at=AT, wide={"sensors": ["a", "b"]})
    assert sorted(row[1:] for row in store.readings()) == [("d", "a", 1.5), ("d", "a", 3.0), ("d", "b", 2.5)]
    assert counts["rows"] == 6
    refused = [(row["row"], row["sensor"], row["reason"]) for row in store.quarantine()]
    assert refused == [(3, "a", "not_a_number"), (4, None, "malformed_row"), (5, "b", "infinite")]


def test_rows_of_one_time_conflict_by_sensor(store: Store, tmp_path: Path):
    rows = [f"{T0},d,1,1", f"{T0},d,1,2"]
    store.ingest(write_csv(tmp_path / "a.csv", *rows, header="time,device,a,b"), at=AT)
    assert sorted(row[2:] for row in store.readings()) == [("a", 1.0), ("b", 1.0)]
    assert [(row["row"], row["sensor"], row["reason"]) for row in store.quarantine()] == [
        (3, "a", "duplicate"),
        (3, "b", "conflict"),
    ]


def test_sensors_are_chosen_by_pattern_and_text_is_none(store: Store, tmp_path: Path):
    header = "time,device,No,Temp [°C],temp in,note,,hum"
    source = write_csv(tmp_path / "a.csv", f"{T0},d,1,1.5,2.5,ok,,3.5", header=header)
    assert [row[2] for row in ingest(store, source)] == ["Temp [°C]", "hum", "temp in"]
    other = Store(tmp_path / "other")
    chosen = {"sensors": ["Temp [°C]", "h*"], "not_sensors": ["hu?"]}
    assert [row[2] for row in ingest(other, source, wide=chosen)] == ["Temp [°C]"]


def test_one_column_of_numbers_beside_text_is_in_doubt(store: Store, tmp_path: Path):
    source = write_csv(tmp_path / "a.csv", f"{T0},unit-a,temp,19.76", header="time,device,kind,measured")
    with pytest.raises(InputError, match="no column for the sensor and the value") as caught:
        store.ingest(source, at=AT)
    assert ingest(store, source, **proposed(caught.value)) == [(f"{T0[:-1]}.000000", "unit-a", "temp", 19.76)]


def series_files(folder: Path, header: str = "timestamp,value") -> Path:
    for at, sensor in enumerate(("temp", "hum"), 2):
        for device in ("unit-a", "unit-b"):
            rows = [f"{row[0]},{row[at]}" for row in ROWS if row[1] == device]
            write_csv(folder / device / f"{sensor}.csv", *rows, header=header)
    return folder


def test_one_series_a_file_has_its_names_in_the_path(store: Store, tmp_path: Path):
    source = series_files(tmp_path / "files")
    with pytest.raises(InputError, match="no column for the device and the sensor") as caught:
        store.ingest(source, at=AT)
    assert proposed(caught.value) == {"path": "{device}/{sensor}.csv"}
    assert ingest(store, source, **proposed(caught.value)) == STORED


def test_the_only_column_of_numbers_is_the_value_of_a_named_sensor(store: Store, tmp_path: Path):
    source = series_files(tmp_path / "files", header="time,measured")
    assert ingest(store, source, path="{device}/{sensor}") == STORED


def test_device_and_sensor_may_be_named(store: Store, tmp_path: Path):
    source = write_csv(tmp_path / "a.csv", f"{T0},1.5", header="time,value")
    assert ingest(store, source, device=7, sensor="s")[0][1:] == ("7", "s", 1.5)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_device_that_is_named_stands_for_the_column_of_the_file(store: Store, tmp_path: Path, suffix: str):
    source = tmp_path / f"a.{suffix}"
    if suffix == "csv":
        write_csv(source, f"{T0},own,s,1.5")
    elif suffix == "jsonl":
        write_json_lines(source, {"timestamp": T0, "device": "own", "sensor": "s", "value": 1.5})
    else:
        write_parquet(source, timestamp=[T0], device=["own"], sensor=["s"], value=[1.5])
    assert [row[1:] for row in ingest(store, source, device=7)] == [("7", "s", 1.5)]


@pytest.mark.parametrize("name", ["source", "row", "filename", "raw_value", "malformed"])
@pytest.mark.parametrize("n_files", [1, 2])
def test_columns_of_parquet_may_have_names_that_the_reading_of_files_uses(
    store: Store, tmp_path: Path, name: str, n_files: int
):
    for n in range(n_files):
        columns = {name: ["own", "own"], "sensor": ["s", "s"], "value": [1.5 + n, float("inf")]}
        write_parquet(
            tmp_path / "in" / f"{n}.parquet", time=[T0.replace("03-02", f"03-0{2 + n}"), T1], **columns
        )
    # A refused reading has files read by SQL.
    store.ingest(tmp_path / "in", at=AT, columns={"device": name})
    assert [row[1:] for row in sorted(store.readings())] == [("own", "s", 1.5 + n) for n in range(n_files)]


def test_parts_of_a_machine_in_the_path_of_wide_files_are_told_apart(store: Store, tmp_path: Path):
    time = "2026-03-02T00:00:00Z"
    write_csv(tmp_path / "in" / "unit-a" / "motor" / "1.csv", f"{time},1,2", header="time,rpm,temp")
    write_json_lines(tmp_path / "in" / "unit-a" / "bearing" / "1.jsonl", {"time": time, "temp": 3, "vib": 4})
    write_parquet(tmp_path / "in" / "unit-b" / "motor" / "1.parquet", time=[time], temp=[5.0])
    assert [row[1:] for row in ingest(store, tmp_path / "in", path="{device}/{sensor}/*", shape="wide")] == [
        ("unit-a", "bearing temp", 3.0),
        ("unit-a", "bearing vib", 4.0),
        ("unit-a", "motor rpm", 1.0),
        ("unit-a", "motor temp", 2.0),
        ("unit-b", "motor temp", 5.0),
    ]


def test_a_wide_file_without_a_device_proposes_one(store: Store, tmp_path: Path):
    source = write_csv(tmp_path / "valve1.csv", "2026-03-02 00:00:00;1.5;2", header="datetime;a;b")
    with pytest.raises(InputError, match="no column for the device") as caught:
        store.ingest(source, at=AT)
    assert [row[1:] for row in ingest(store, source, **proposed(caught.value))] == [
        ("valve1", "a", 1.5),
        ("valve1", "b", 2.0),
    ]


def test_folders_may_name_device_and_sensor(store: Store, tmp_path: Path):
    folder = tmp_path / "device=unit%20a" / "sensor=temp"
    write_parquet(folder / "0.parquet", ts=[T0], value=[1.5])
    write_csv(folder / "1.csv", f"{T1},2.5,own", header="ts,value,device")
    assert [row[1:] for row in ingest(store, tmp_path)] == [("unit a", "temp", 1.5), ("own", "temp", 2.5)]


def test_a_file_that_does_not_fit_the_path_is_an_error(store: Store, tmp_path: Path):
    source = write_csv(tmp_path / "temp.txt", f"{T0},1", header="time,value")
    with pytest.raises(InputError, match=r"temp\.txt: does not fit ingest\.path"):
        store.ingest(source, path="{device}/{sensor}.csv")


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_all_missing_columns_are_named_at_once_with_what_to_copy(store: Store, tmp_path: Path, suffix: str):
    names = ["last_changed", "entity", "quantity", "state"]
    records = [dict(zip(names, line.split(","), strict=True)) for line in long_lines()]
    source = tmp_path / f"other.{suffix}"
    if suffix == "csv":
        write_csv(source, *long_lines(), header=",".join(names))
    elif suffix == "jsonl":
        write_json_lines(source, *records)
    else:
        write_parquet(source, **{name: [record[name] for record in records] for name in names})
    with pytest.raises(InputError, match="the timestamp, the device, the sensor and the value") as caught:
        store.ingest(source, at=AT)
    assert ingest(store, source, **proposed(caught.value)) == STORED


@pytest.mark.parametrize("mark", [",", ";"])
def test_titles_comments_and_empty_lines_above_the_header_are_skipped(
    store: Store, tmp_path: Path, mark: str
):
    above = ["Plant 7; report", "", "# logger v2", "Sensor,all"]
    lines = [line.replace(",", mark) for line in ["time,device,sensor,value", *long_lines()]]
    source = write_lines(tmp_path / "a.csv", [*above, *lines, "# end"])
    assert ingest(store, source) == STORED


def test_a_header_may_be_a_comment(store: Store, tmp_path: Path):
    source = write_lines(tmp_path / "a.csv", ["# export", "# time,device,sensor,value", *long_lines()])
    assert ingest(store, source) == STORED


def test_lines_may_be_skipped(store: Store, tmp_path: Path):
    source = write_lines(
        tmp_path / "a.csv", ["time,device,sensor,value", "x", *["time,device,temp,hum", *wide_lines()]]
    )
    assert ingest(store, source, skip_lines=2) == STORED


def test_annotated_csv_is_read(store: Store, tmp_path: Path):
    columns = {"device": "sensor_id"}
    temp = [f",,0,{time},{value},temp,{device}" for time, device, value, _ in ROWS]
    hum = [f",,1,{device},{time},hum,{value}" for time, device, _, value in ROWS]
    lines = [
        "#group,false,false,false,false,true,true",
        "#datatype,string,long,dateTime:RFC3339,double,string,string",
        "#default,_result,,,,,",
        ",result,table,_time,_value,_field,sensor_id",
        *temp,
        "",
        "#group,false,false,true,false,true,false",
        "#datatype,string,long,string,dateTime:RFC3339,string,double",
        "#default,_result,,,,,",
        ",result,table,sensor_id,_time,_field,_value",
        *hum,
        "",
    ]
    assert ingest(store, write_lines(tmp_path / "a.csv", lines, end="\r\n"), columns=columns) == STORED


def test_a_file_may_have_no_header(store: Store, tmp_path: Path):
    source = write_lines(tmp_path / "a.txt", [line.replace(",", "  ") + "  " for line in wide_lines()])
    columns = {"timestamp": "column_1", "device": "column_2"}
    stored = [
        (time, device, {"column_3": "temp", "column_4": "hum"}[s], v)
        for time, device, s, v in ingest(store, source, header="none", columns=columns)
    ]
    assert sorted(stored) == STORED


def test_a_header_may_have_several_lines(store: Store, tmp_path: Path):
    lines = ["Time;Device;Pump 1;;Pump 2", ";;temp;hum;temp", f"{T0};d;1;2;3"]
    source = write_lines(tmp_path / "a.csv", lines)
    assert [
        row[2:]
        for row in ingest(store, source, header=2, columns={"device": "Device"}, wide={"sensors": ["Pump*"]})
    ] == [("Pump 1 hum", 2.0), ("Pump 1 temp", 1.0), ("Pump 2 temp", 3.0)]


@pytest.mark.parametrize(
    ("header", "time", "settings"),
    [
        ("Date;Time", "2026-03-02;00:10:00", {}),
        ("at;clock", "2026-03-02;00:10:00", {"columns": {"timestamp": "{at} {clock}"}}),
        ("year;month;day;hour", "2026;3;2;0", {}),
        ("y;m;d;h", "2026;3;2;0", {"columns": {"timestamp": "{y}-{m}-{d}T{h}:10"}}),
    ],
)
def test_a_time_may_lie_in_several_columns(store: Store, tmp_path: Path, header, time, settings):
    source = write_csv(tmp_path / "a.csv", f"{time};d;1.5", header=f"{header};device;temp")
    minute = "00" if "year" in header else "10"
    assert ingest(store, source, **settings) == [(f"2026-03-02T00:{minute}:00.000000", "d", "temp", 1.5)]


def test_a_quoted_field_may_hold_line_breaks(store: Store, tmp_path: Path):
    lines = [f'{line},"ok"' for line in long_lines()]
    lines[0] = lines[0].replace('"ok"', '"checked\nby hand,\n\n"')
    lines[5] = lines[5].replace('"ok"', '"say ""5"" twice\r\nand go"')
    source = write_csv(tmp_path / "a.csv", *lines, f'{T1},x,y,bad,""', header="time,device,sensor,value,note")
    store.ingest(source, at=AT)
    assert sorted(store.readings()) == STORED
    assert store.reasons() == [(len(lines) + 2 + 4, "not_a_number")]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-8-sig"])
def test_a_byte_order_mark_names_the_encoding(store: Store, tmp_path: Path, encoding: str):
    text = "\n".join(["time,device,sensor,value", *long_lines(), ""])
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    (tmp_path / "a.csv").write_bytes((mark + text).encode(encoding))
    assert ingest(store, tmp_path / "a.csv") == STORED


@pytest.mark.parametrize(("suffix", "codec"), [(".zst", "zstd"), (".bz2", "bz2"), (".gz", "gzip")])
def test_a_packed_file_is_read_as_what_is_in_it(store: Store, tmp_path: Path, suffix: str, codec: str):
    source = tmp_path / f"a.csv{suffix}"
    with pa.output_stream(str(source), compression=codec) as file:
        file.write("\n".join(["time,device,sensor,value", *long_lines()]).encode())
    assert ingest(store, source) == STORED


def wide_records() -> list[dict[str, Any]]:
    return [{"time": time, "device": device, "temp": temp, "hum": hum} for time, device, temp, hum in ROWS]


@pytest.mark.parametrize("suffix", ["jsonl", "json"])
def test_a_key_a_sensor_is_found_in_json(store: Store, tmp_path: Path, suffix: str):
    source = tmp_path / f"a.{suffix}"
    records = [record | {"note": "ok"} for record in wide_records()]
    if suffix == "jsonl":
        write_json_lines(source, *records)
    else:
        source.write_text(json.dumps(records, indent=1))
    assert ingest(store, source) == STORED


def test_sensors_that_a_sample_does_not_show_are_read_too(store: Store, tmp_path: Path):
    first = [{"time": 1772409600 + n, "device": "d", "a": n} for n in range(1100)]
    source = write_json_lines(tmp_path / "a.jsonl", *first, {"time": T0, "device": "e", "b": 7, "c": None})
    assert [row for row in ingest(store, source) if row[1] == "e"] == [
        ("2026-03-02T00:00:00.000000", "e", "b", 7.0)
    ]


def test_json_columns_may_be_paths(store: Store, tmp_path: Path):
    records = [
        {
            "at": {"utc": time},
            "ids": {"unit": device, "name": "x"},
            "up": {"decoded": {"temp": temp, "hum": hum}},
        }
        for time, device, temp, hum in ROWS
    ]
    columns = {"timestamp": "at.utc", "device": "ids.unit"}
    assert ingest(store, write_json_lines(tmp_path / "a.jsonl", *records), columns=columns) == STORED
    temp = columns | {"value": "up.decoded.temp"}
    other = Store(tmp_path / "other")
    found = ingest(other, write_json_lines(tmp_path / "b.jsonl", *records), columns=temp, sensor="temp")
    assert found == [row for row in STORED if row[2] == "temp"]


def test_nested_names_need_no_path_where_there_is_one_of_them(store: Store, tmp_path: Path):
    records = [
        {"meta": {"device_id": device, "ts": time}, "data": {"temp": temp, "hum": hum}}
        for time, device, temp, hum in ROWS
    ]
    assert ingest(store, write_json_lines(tmp_path / "a.jsonl", *records)) == STORED


def packs() -> list[dict[str, Any]]:
    """A record a time with the readings in a list."""
    return [
        {
            "ts": time,
            "device": device,
            "readings": [{"sensor": "temp", "value": temp}, {"sensor": "hum", "value": hum}],
        }
        for time, device, temp, hum in ROWS
    ]


@pytest.mark.parametrize("columns", [{}, {"sensor": "readings[].sensor", "value": "readings[].value"}])
def test_readings_may_lie_in_a_list(store: Store, tmp_path: Path, columns: dict[str, str]):
    assert ingest(store, write_json_lines(tmp_path / "a.jsonl", *packs()), columns=columns) == STORED


def test_a_bad_item_and_a_bad_line_are_refused_by_themselves(store: Store, tmp_path: Path):
    first, *rest = packs()
    first["readings"].append({"sensor": "odd", "value": "x"})
    lines = [json.dumps(first), "{oops", json.dumps(rest[0] | {"readings": []}), *map(json.dumps, rest)]
    store.ingest(write_lines(tmp_path / "a.jsonl", lines), at=AT)
    assert sorted(store.readings()) == STORED
    assert store.reasons() == [(1, "not_a_number"), (2, "malformed_row"), (3, "missing_sensor")]


def test_a_document_may_wrap_a_list(store: Store, tmp_path: Path):
    feeds = [
        {"created_at": time, "entry_id": n, "field1": str(temp)}
        for n, (time, _, temp, _) in enumerate(ROWS[::2])
    ]
    document = {"channel": {"id": 9, "name": "x", "field1": "Temp"}, "feeds": feeds}
    (tmp_path / "a.json").write_text(json.dumps(document, indent=2))
    assert [row[1:] for row in ingest(store, tmp_path / "a.json", device="unit-a")] == [
        ("unit-a", "field1", 19.76),
        ("unit-a", "field1", 20.1),
    ]


def test_ids_that_are_objects_are_refused(store: Store, tmp_path: Path):
    base = {"time": T0, "device": "d", "sensor": "s", "value": 1}
    records = [base | {"device": {"id": 7}}, base | {"sensor": ["s"]}, base, base | {"device": "{d}"}]
    store.ingest(write_json_lines(tmp_path / "a.jsonl", *records), at=AT)
    assert [row[1] for row in store.readings()] == ["d", "{d}"]
    assert store.reasons() == [(1, "malformed_row"), (2, "malformed_row")]
    assert json.loads(store.quarantine()[0]["value"]) == records[0]


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name.replace("__", "."), content)
    return path


def text_of(lines: list[str]) -> bytes:
    return "\n".join(["time,device,sensor,value", *lines]).encode()


def test_a_zip_of_one_file_is_read(store: Store, tmp_path: Path):
    assert ingest(store, archive(tmp_path / "a.zip", a__csv=text_of(long_lines()))) == STORED


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, "holds no file of readings"),
        ({"a__mat": b"x"}, r"such as 'a\.mat'; expected \.csv, "),
        ({"a__csv": b"when,x\n1,2\n"}, "no column for"),
    ],
)
def test_another_zip_is_one_sentence_that_names_it(store: Store, tmp_path: Path, members, expected):
    source = archive(tmp_path / "a.zip", **members)
    with pytest.raises(InputError, match=expected) as caught:
        store.ingest(source)
    assert str(caught.value).startswith(f"{source}: ")
    assert "scratch" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["a.zip", "a.csv.zst", "a.csv.bz2", "a.parquet.gz", "a.xlsx", "a.feather", "a.avro"]
)
@pytest.mark.parametrize("content", [b"", b"no such file, but text\n" * 9])
def test_a_broken_file_is_one_sentence_that_names_it(store: Store, tmp_path: Path, name: str, content: bytes):
    source = tmp_path / name
    source.write_bytes(content or (b"" if name != "a.csv.zst" else b"\x28\xb5"))
    with pytest.raises(InputError) as caught:
        store.ingest(source)
    assert str(caught.value).startswith(f"{source}: ")
    assert "scratch" not in str(caught.value)


def test_a_workbook_is_read(store: Store, tmp_path: Path):
    times = [datetime.fromisoformat(row[0]).replace(tzinfo=None) for row in ROWS]
    rows = [["Report", None, None, None], [None] * 4, ["Time", "Device", "temp", "hum"]]
    rows += [[time, *row[1:]] for time, row in zip(times, ROWS, strict=True)]
    write_workbook(tmp_path / "a.xlsx", {"first": rows, "other": [["time", "device", "x"], [times[0], 7, 1]]})
    assert ingest(store, tmp_path / "a.xlsx") == STORED
    other = Store(tmp_path / "other")
    assert [row[1:] for row in ingest(other, tmp_path / "a.xlsx", sheet="other")] == [("7", "x", 1.0)]
    with pytest.raises(InputError, match="no sheet 'none'; expected one of 'first', 'other'"):
        Store(tmp_path / "third").ingest(tmp_path / "a.xlsx", sheet="none")


@pytest.mark.parametrize("compression", [None, "zstd"])
def test_files_of_arrow_are_read(store: Store, tmp_path: Path, compression: str | None):
    times, devices, temp, hum = map(list, zip(*ROWS, strict=True))
    moments = pa.array([datetime.fromisoformat(time) for time in times], pa.timestamp("us", "Europe/Berlin"))
    table = pa.table(
        {"time": moments, "device": pa.array(devices).dictionary_encode(), "temp": temp, "hum": hum}
    )
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_file(str(tmp_path / "a.feather"), table.schema, options=options) as out:
        out.write_table(table)
    assert ingest(store, tmp_path / "a.feather") == STORED
    with pa.ipc.new_stream(str(tmp_path / "a.arrow"), table.schema, options=options) as out:
        out.write_table(table)
    assert ingest(Store(tmp_path / "other"), tmp_path / "a.arrow") == STORED


def test_any_avro_is_read(store: Store, tmp_path: Path):
    stamp = {"type": "long", "logicalType": "timestamp-micros"}
    fields = [("time", stamp), ("device", "string"), ("temp", "double"), ("hum", ["null", "double"])]
    schema = {
        "type": "record",
        "name": "r",
        "fields": [{"name": name, "type": kind} for name, kind in fields],
    }
    records = [record | {"time": datetime.fromisoformat(record["time"])} for record in wide_records()]
    with (tmp_path / "a.avro").open("wb") as out:
        fastavro.writer(out, schema, records)
    assert ingest(store, tmp_path / "a.avro") == STORED


def test_a_packed_parquet_file_is_read(store: Store, tmp_path: Path):
    times, devices, temp, hum = map(list, zip(*ROWS, strict=True))
    plain = write_parquet(tmp_path / "plain" / "a.parquet", time=times, device=devices, temp=temp, hum=hum)
    with pa.output_stream(str(tmp_path / "a.parquet.zst"), compression="zstd") as file:
        file.write(plain.read_bytes())
    assert ingest(store, tmp_path / "a.parquet.zst") == STORED


def test_an_unknown_format_is_named_with_what_to_do(store: Store, tmp_path: Path):
    (tmp_path / "a.mat").write_bytes(b"MATLAB 5.0" + bytes(8))
    with pytest.raises(DatasetError) as caught:
        store.ingest(tmp_path / "a.mat")
    expected = r"a\.mat.* name a file.*\.csv.*save any other file as CSV or Parquet"
    assert re.search(expected, str(caught.value.__cause__))


def test_ids_that_are_too_long_are_refused(store: Store, tmp_path: Path):
    source = write_csv(tmp_path / "a.csv", f"{T0},{'d' * 513},s,1", f"{T0},{'d' * 512},s,1")
    store.ingest(source, at=AT)
    assert [len(row[1]) for row in store.readings()] == [512]
    assert store.reasons() == [(2, "device_id_too_long")]


def test_deep_json_is_read_for_what_is_on_its_surface(store: Store, tmp_path: Path):
    deep = "[" * 100_000 + "]" * 100_000
    base = f'"time": "{T0}", "device": "d"'
    lines = [f'{{{base}, "x": 1}}', f'{{{base}, "y": 2, "deep": {deep}}}', '{"a":' * 100_000]
    store.ingest(write_lines(tmp_path / "a.jsonl", lines), at=AT)
    assert [row[1:] for row in store.readings()] == [("d", "x", 1.0)]
    assert store.reasons() == [(2, "malformed_row"), (3, "malformed_row")]
    (tmp_path / "b.json").write_text('{"a":\n' * 20_000 + "1" + "}" * 20_000)
    with pytest.raises(InputError, match=r"b\.json: objects lie too deep in each other"):
        Store(tmp_path / "other").ingest(tmp_path / "b.json")


@pytest.mark.parametrize("mark", ["x", ",", '"'])
def test_an_endless_header_is_one_sentence(store: Store, tmp_path: Path, mark: str):
    write_lines(tmp_path / "a.csv", [mark * 131_073, "1,2"])
    with pytest.raises(InputError, match=r"^[^ ]*a\.csv: ") as caught:
        store.ingest(tmp_path / "a.csv")
    assert len(str(caught.value)) < 3000


def test_words_and_units_of_a_column_are_numbers_where_settings_say_so(store: Store, tmp_path: Path):
    source = write_csv(tmp_path / "a.csv", f"{T0},d,ON,5 %,3 bar", header="time,device,state,load,pressure")
    found = ingest(store, source, words={"ON": 1}, unit_suffix=["%", "bar"])
    assert [row[2:] for row in found] == [("load", 5.0), ("pressure", 3.0), ("state", 1.0)]
