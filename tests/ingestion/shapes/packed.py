"""Packed text, and formats that are no text."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from datetime import datetime

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq

from tests.ingestion.shapes.delimited import long_csv
from tests.ingestion.shapes.fleet import (
    DEVICES,
    TIMES,
    Files,
    Reading,
    iso,
    lines,
    readings,
    renamed,
    shape,
    value,
)


def long_table(unit: str = "us", zone: str | None = "UTC") -> pa.Table:
    times, devices, sensors, values = zip(*readings(), strict=True)
    stamps = pa.array([at.replace(tzinfo=None) for at in times], pa.timestamp(unit))
    return pa.table(
        {
            "timestamp": stamps if zone is None else stamps.cast(pa.timestamp(unit, zone)),
            "device": list(devices),
            "sensor": list(sensors),
            "value": list(values),
        }
    )


def wide_table() -> pa.Table:
    rows = [(at, device, step) for step, at in enumerate(TIMES) for device in range(2)]
    return pa.table(
        {
            "time": pa.array([at for at, *_ in rows], pa.timestamp("ms", "UTC")),
            "device": [DEVICES[device] for _, device, _ in rows],
            "temp": [value(step, device, 0) for _, device, step in rows],
            "hum": pa.array([value(step, device, 1) for _, device, step in rows], pa.float64()),
        }
    )


def written(table: pa.Table, write: object) -> bytes:
    sink = io.BytesIO()
    write(table, sink)  # type: ignore[operator]
    return sink.getvalue()


def zipped(**files: str | bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return sink.getvalue()


def workbook(sheets: Mapping[str, Sequence[Sequence[object]]]) -> bytes:
    """A workbook, as its parts; times are serial days."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    relations = "application/vnd.openxmlformats-package.relationships+xml"
    excel = "application/vnd.openxmlformats-officedocument.spreadsheetml"

    def cell(content: object) -> str:
        if isinstance(content, datetime):
            return f'<c s="1"><v>{content.timestamp() / 86400 + 25569!r}</v></c>'
        if isinstance(content, float):
            return f"<c><v>{content!r}</v></c>"
        return f'<c t="inlineStr"><is><t>{content}</t></is></c>'

    parts = {
        f"xl/worksheets/sheet{n}.xml": f'<worksheet xmlns="{main}"><sheetData>'
        + "".join(f"<row>{''.join(map(cell, row))}</row>" for row in some)
        + "</sheetData></worksheet>"
        for n, some in enumerate(sheets.values(), 1)
    }
    styles = (  # 22: a date and a time of day
        "<fonts><font/></fonts><fills><fill/></fills><borders><border/></borders><cellStyleXfs><xf/></cellStyleXfs>"
        '<cellXfs><xf/><xf numFmtId="22" applyNumberFormat="1"/></cellXfs>'
    )
    return zipped(
        **{
            "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
            f'<Default Extension="rels" ContentType="{relations}"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{excel}.sheet.main+xml"/>'
            + "".join(f'<Override PartName="/{part}" ContentType="{excel}.worksheet+xml"/>' for part in parts)
            + f'<Override PartName="/xl/styles.xml" ContentType="{excel}.styles+xml"/></Types>',
            "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" '
            f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
            "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
            + "".join(f'<sheet name="{one}" sheetId="{n}" r:id="rId{n}"/>' for n, one in enumerate(sheets, 1))
            + "</sheets></workbook>",
            "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
            + "".join(
                f'<Relationship Id="rId{n}" Type="{office}/worksheet" Target="worksheets/sheet{n}.xml"/>'
                for n in range(1, len(parts) + 1)
            )
            + f'<Relationship Id="rId9" Type="{office}/styles" Target="styles.xml"/></Relationships>',
            "xl/styles.xml": f'<styleSheet xmlns="{main}">{styles}</styleSheet>',
            **parts,
        }
    )


@shape("packed with gzip (.csv.gz)", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"a.csv.gz": gzip.compress(long_csv().encode())}, readings()


@shape("packed with Zstandard (.csv.zst)", 1)
def _() -> tuple[Files, list[Reading]]:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(long_csv().encode())
    return {"a.csv.zst": sink.getvalue().to_pybytes()}, readings()


@shape("packed with bzip2 (.csv.bz2)", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"a.csv.bz2": bz2.compress(long_csv().encode())}, readings()


@shape("packed with xz (.csv.xz)", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"a.csv.xz": lzma.compress(long_csv().encode())}, readings()


@shape("packed with gzip, without its suffix (.csv)", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"a.csv": gzip.compress(long_csv().encode())}, readings()


@shape("unpacked on the way, and named as before (.csv.gz)", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"a.csv.gz": long_csv()}, readings()


@shape("JSON lines in a .txt", 1)
def _() -> tuple[Files, list[Reading]]:
    rows = ({"ts": iso(at), "device": d, "sensor": s, "value": n} for at, d, s, n in readings())
    return {"a.txt": "".join(json.dumps(row) + "\n" for row in rows)}, readings()


@shape("CSV in a .json", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"a.json": long_csv()}, readings()


@shape("a zip of one file", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"a.zip": zipped(**{"a.csv": long_csv()})}, readings()


@shape("Parquet, long", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"a.parquet": written(long_table(), pq.write_table)}, readings()


@shape("Parquet of pandas: nanoseconds with a zone", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"a.parquet": written(long_table("ns"), pq.write_table)}, readings()


@shape("Parquet, wide with a device column", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"a.parquet": written(wide_table(), pq.write_table)}, readings()


@shape("Feather", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"a.feather": written(long_table("ms", None), feather.write_feather)}, readings()


@shape("Excel workbook (.xlsx)", 1)
def _() -> tuple[Files, list[Reading]]:
    rows: list[Sequence[object]] = [("timestamp", "device", "sensor", "value"), *readings()]
    return {"a.xlsx": workbook({"Data": rows})}, readings()


@shape("PI DataLink workbook: a title, tags, units, words for missing", 2)
def _() -> tuple[Files, list[Reading]]:
    rows: list[Sequence[object]] = [
        ("PI DataLink report", "", "", ""),
        ("Server:", "PISRV01", "", ""),
        ("", "", "", ""),
        ("Timestamp", "SINUSOID", "CDT158", "BA:TEMP.1"),
        ("", "", "°C", "°C"),
    ]
    rows += [
        (at, value(n, 0, 0), "Bad Input" if n == 5 else value(n, 0, 1), value(n, 1, 1))
        for n, at in enumerate(TIMES)
    ]
    names = {"temp": "SINUSOID", "hum": "CDT158 °C"}
    expected = renamed([row for row in readings([0]) if row[0] != TIMES[5] or row[2] == "temp"], "", names)
    expected += renamed(readings([1], [1]), "", {"hum": "BA:TEMP.1 °C"})
    return {"trend.xlsx": workbook({"Data": rows})}, renamed(expected, "trend")


@shape("Excel workbook, wide", 1)
def _() -> tuple[Files, list[Reading]]:
    rows: list[Sequence[object]] = [("Time", "Device", "temp", "hum")]
    rows += [
        (at, name, value(step, device, 0), value(step, device, 1))
        for step, at in enumerate(TIMES)
        for device, name in enumerate(DEVICES)
    ]
    return {"a.xlsx": workbook({"Data": rows})}, renamed(readings())


@shape("Excel workbook: a sheet of notes before the readings", 2)
def _() -> tuple[Files, list[Reading]]:
    rows: list[Sequence[object]] = [("timestamp", "device", "sensor", "value"), *readings()]
    return {"a.xlsx": workbook({"Notes": [("Export of plant 7",), ("by night",)], "Data": rows})}, readings()


@shape("Parquet with objects in a column", 1)
def _() -> tuple[Files, list[Reading]]:
    wide = wide_table()
    measured = pa.StructArray.from_arrays(
        [wide["temp"].combine_chunks(), wide["hum"].combine_chunks()], ["temp", "hum"]
    )
    sent = pa.StructArray.from_arrays([wide["device"].combine_chunks()], ["device_id"])
    table = pa.table(
        {"time": wide["time"], "sent_by": sent, "body": pa.StructArray.from_arrays([measured], ["m"])}
    )
    return {"a.parquet": written(table, pq.write_table)}, readings()


@shape("Excel workbook: a sheet a device, and one of notes", 2)
def _() -> tuple[Files, list[Reading]]:
    sheets: dict[str, Sequence[Sequence[object]]] = {"Notes": [("Export of plant 7",), ("by night",)]}
    for device, name in enumerate(DEVICES):
        rows = [(at, value(step, device, 0), value(step, device, 1)) for step, at in enumerate(TIMES)]
        sheets[name] = [("Time", "temp", "hum"), *rows]
    return {"a.xlsx": workbook(sheets)}, readings()


@shape("Excel workbook: a sheet a sensor", 2)
def _() -> tuple[Files, list[Reading]]:
    sheets = {
        name: [("Time", "Value"), *((at, value(step, 0, sensor)) for step, at in enumerate(TIMES))]
        for sensor, name in enumerate(("Temperature", "Humidity"))
    }
    names = {"temp": "Temperature", "hum": "Humidity"}
    return {"pump.xlsx": workbook(sheets)}, renamed(readings([0]), "pump", names)


@shape("Excel workbook: a sheet a month, no device", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = [(at, value(step, 0, 0), value(step, 0, 1)) for step, at in enumerate(TIMES)]
    sheets = {name: [("Time", "temp", "hum"), *rows[n::2]] for n, name in enumerate(("März", "April"))}
    return {"pump.xlsx": workbook(sheets)}, renamed(readings([0]), "pump")


@shape("Excel workbook: a sheet a month", 2)
def _() -> tuple[Files, list[Reading]]:
    header = ("timestamp", "device", "sensor", "value")
    half = len(readings()) // 2
    sheets = {"March": [header, *readings()[:half]], "April": [header, *readings()[half:]]}
    return {"a.xlsx": workbook(sheets)}, readings()


@shape("a zip of several files: a row a measurement", 1)
def _() -> tuple[Files, list[Reading]]:
    rows = [f"{iso(at)},{device},{sensor},{number}" for at, device, sensor, number in readings()]
    header, half = "timestamp,device,sensor,value", len(rows) // 2
    files = {"a.csv": lines(header, rows[:half]), "b.csv": lines(header, rows[half:])}
    return {"a.zip": zipped(**files)}, readings()


@shape("a zip of a file a device", 2)
def _() -> tuple[Files, list[Reading]]:
    files = {
        f"export/{name}.csv": lines(
            "Time,temp,hum",
            [f"{iso(at)},{value(n, device, 0)},{value(n, device, 1)}" for n, at in enumerate(TIMES)],
        )
        for device, name in enumerate(DEVICES)
    }
    return {"a.zip": zipped(**files)}, readings()


def tarred(mode: str) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode=mode) as archive:  # type: ignore[call-overload]
        for name, some in (("a.csv", [0]), ("b.csv", [1])):
            rows = [",".join([iso(at), *map(str, rest)]) for at, *rest in readings(some)]
            content = lines("timestamp,device,sensor,value", rows).encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return sink.getvalue()


@shape("a packed tar of several files (.tar.gz)", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"a.tar.gz": tarred("w:gz")}, readings()


@shape("a packed tar of several files (.tar.xz)", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"a.tar.xz": tarred("w:xz")}, readings()


@shape("7-Zip archive (.7z)", 0)
def _() -> tuple[Files, str]:
    return {
        "a.7z": b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(90)
    }, "unpack an archive of another kind, such as .7z"


@shape("MATLAB file (.mat)", 0)
def _() -> tuple[Files, str]:
    return {"a.mat": b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + bytes(120)}, "a.mat"
