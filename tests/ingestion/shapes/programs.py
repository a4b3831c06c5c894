"""What programs write otherwise than most: their JSON, their times, and lines beside the table."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta

from tests.ingestion.shapes.fleet import (
    DEVICES,
    SENSORS,
    TIMES,
    Files,
    Reading,
    comma,
    iso,
    lines,
    readings,
    renamed,
    shape,
    value,
)
from tests.ingestion.shapes.wrapped import json_lines, per_device

SERIES = [(d, device, s, sensor) for d, device in enumerate(DEVICES) for s, sensor in enumerate(SENSORS)]
HOUR = timedelta(hours=1)


def seconds(at: datetime) -> int:
    return int(at.timestamp())


def values_of(d: int, s: int) -> list[float]:
    return [value(n, d, s) for n in range(len(TIMES))]


def wide(head: str, time: Callable[[datetime], str], mark: str = ",", end: str = "") -> str:
    """A table of one device; with semicolons, numbers have a decimal comma."""
    number = comma if mark == ";" else str
    rows = (
        mark.join([time(at), number(value(n, 0, 0)), number(value(n, 0, 1))]) + end
        for n, at in enumerate(TIMES)
    )
    return lines(head, rows)


def of_one(device: str = "log", temp: str = "temp", hum: str = "hum") -> list[Reading]:
    return renamed(readings([0]), device, {"temp": temp, "hum": hum})


def written(name: str, tries: int, time: Callable[[datetime], str], mark: str = ",") -> None:
    """Add a table of one device with times of a form."""

    @shape(name, tries)
    def _() -> tuple[Files, list[Reading]]:
        return {"log.csv": wide(f"time{mark}temp{mark}hum", time, mark)}, of_one()


@shape("Grafana: data frames of a query, JSON", 2)
def _() -> tuple[Files, list[Reading]]:
    frames = [
        {
            "schema": {
                "refId": "A",
                "name": f"{sensor} {device}",
                "fields": [
                    {"name": "Time", "type": "time"},
                    {"name": "Value", "type": "number", "labels": {"__name__": sensor, "instance": device}},
                ],
            },
            "data": {"values": [[1000 * seconds(at) for at in TIMES], values_of(d, s)]},
        }
        for d, device, s, sensor in SERIES
    ]
    return {"query.json": json.dumps({"results": {"A": {"status": 200, "frames": frames}}})}, readings()


@shape("Grafana: data frames without labels, JSON", 2)
def _() -> tuple[Files, list[Reading]]:
    fields = [{"name": "time", "type": "time"}, *({"name": name, "type": "number"} for name in SENSORS)]
    values = [[1000 * seconds(at) for at in TIMES], values_of(0, 0), values_of(0, 1)]
    frame = {"schema": {"fields": fields}, "data": {"values": values}}
    return {"board.json": json.dumps({"results": {"A": {"frames": [frame]}}})}, of_one("board")


@shape("Graphite: render, JSON", 2)
def _() -> tuple[Files, list[Reading]]:
    found = [
        {
            "target": f"plant.{device}.{sensor}",
            "tags": {},
            "datapoints": [[v, seconds(at)] for v, at in zip(values_of(d, s), TIMES, strict=True)],
        }
        for d, device, s, sensor in SERIES
    ]
    expected = [(at, "render", f"plant.{device}.{sensor}", v) for at, device, sensor, v in readings()]
    return {"render.json": json.dumps(found)}, expected


@shape("OpenTSDB: values by their times, JSON", 2)
def _() -> tuple[Files, list[Reading]]:
    found = [
        {"metric": sensor, "tags": {"host": device}, "aggregateTags": []}
        | {"dps": {str(seconds(at)): v for at, v in zip(TIMES, values_of(d, s), strict=True)}}
        for d, device, s, sensor in SERIES
    ]
    return {"query.json": json.dumps(found)}, readings()


@shape("KairosDB: pairs of time and value, JSON", 2)
def _() -> tuple[Files, list[Reading]]:
    results = [
        {"name": sensor, "tags": {"host": [device]}}
        | {"values": [[1000 * seconds(at), v] for at, v in zip(TIMES, values_of(d, s), strict=True)]}
        for d, device, s, sensor in SERIES
    ]
    return {"query.json": json.dumps({"queries": [{"sample_size": 120, "results": results}]})}, readings()


@shape("VictoriaMetrics: export, lines of JSON", 2)
def _() -> tuple[Files, list[Reading]]:
    records = (
        {"metric": {"__name__": sensor, "instance": device, "job": "plant"}, "values": values_of(d, s)}
        | {"timestamps": [1000 * seconds(at) for at in TIMES]}
        for d, device, s, sensor in SERIES
    )
    return {"export.jsonl": json_lines(records)}, readings()


@shape("Amazon CloudWatch: get-metric-data, JSON", 2)
def _() -> tuple[Files, list[Reading]]:
    results = [
        {"Id": f"m{s}", "Label": sensor, "StatusCode": "Complete"}
        | {"Timestamps": [at.isoformat() for at in TIMES], "Values": values_of(0, s)}
        for s, sensor in enumerate(SENSORS)
    ]
    return {"pump.json": json.dumps({"MetricDataResults": results, "Messages": []})}, of_one("pump")


@shape("QuestDB: answer of a query, JSON", 2)
def _() -> tuple[Files, list[Reading]]:
    columns = [{"name": name, "type": "DOUBLE"} for name in ("timestamp", "device", *SENSORS)]
    rows = [[iso(at), device, one["temp"], one["hum"]] for at, device, one in per_device()]
    found = {"query": "select", "columns": columns, "timestamp": 0, "dataset": rows, "count": 60}
    return {"query.json": json.dumps(found)}, readings()


@shape("Home Assistant: history of its API, JSON, entities named once", 2)
def _() -> tuple[Files, list[Reading]]:
    found, expected = [], []
    for d, device, s, sensor in SERIES:
        entity = f"sensor.{device}_{sensor}"
        states = [
            {"state": str(v), "last_changed": at.isoformat()}
            for at, v in zip(TIMES, values_of(d, s), strict=True)
        ]
        states[0] |= {"entity_id": entity, "attributes": {"unit_of_measurement": "°C"}}  # type: ignore[dict-item]
        found.append(states)
        expected += [(at, entity, "state", v) for at, v in zip(TIMES, values_of(d, s), strict=True)]
    return {"history.json": json.dumps(found)}, expected


@shape("Sparkplug: metrics in a list, JSON", 2)
def _() -> tuple[Files, list[Reading]]:
    records = (
        {"topic": {"namespace": "spBv1.0", "type": "DDATA", "deviceId": device}}
        | {
            "payload": {
                "timestamp": 1000 * seconds(at),
                "metrics": [{"name": name, "dataType": "Double", "value": v} for name, v in one.items()],
                "seq": 3,
            }
        }
        for at, device, one in per_device()
    )
    return {"sparkplug.jsonl": json_lines(records)}, readings()


@shape("Azure IoT Central: telemetry as a list of names and values", 2)
def _() -> tuple[Files, list[Reading]]:
    records = (
        {"applicationId": "1d", "device": {"id": device, "name": f"Pump {device}"}, "enqueuedTime": iso(at)}
        | {"telemetry": [{"name": name, "value": v} for name, v in one.items()]}
        for at, device, one in per_device()
    )
    return {"export.jsonl": json_lines(records)}, readings()


@shape("FIWARE: a value in an object each, JSON", 2)
def _() -> tuple[Files, list[Reading]]:
    records = (
        {"id": device, "type": "Device", "TimeInstant": {"type": "DateTime", "value": iso(at)}}
        | {name: {"type": "Number", "value": v} for name, v in one.items()}
        for at, device, one in per_device()
    )
    names = {name: f"{name}.value" for name in SENSORS}
    expected = [(at, device, names[sensor], v) for at, device, sensor, v in readings()]
    return {"entities.jsonl": json_lines(records)}, expected


@shape("Particle: events, lines of JSON", 2)
def _() -> tuple[Files, list[Reading]]:
    records = (
        {"event": sensor, "data": str(v), "ttl": 60, "published_at": iso(at), "coreid": device}
        for at, device, sensor, v in readings()
    )
    return {"events.jsonl": json_lines(records)}, readings()


@shape("Tasmota: an object for each sensor, the unit beside it", 2)
def _() -> tuple[Files, list[Reading]]:
    records = (
        {"Time": f"{at:%Y-%m-%dT%H:%M:%S}", "AM2301": {"temp": value(n, 0, 0), "hum": value(n, 0, 1)}}
        | {"TempUnit": "C"}
        for n, at in enumerate(TIMES)
    )
    return {"plug.jsonl": json_lines(records)}, of_one("plug")


@shape("Ignition: tables of its history, tags by number", 2)
def _() -> tuple[Files, list[Reading]]:
    tags = {"temp": "11", "hum": "12"}
    rows = (f"{tags[sensor]},,{v},,,192,{1000 * seconds(at)}" for at, _, sensor, v in readings([0]))
    head = "tagid,intvalue,floatvalue,stringvalue,datevalue,dataintegrity,t_stamp"
    return {"history.csv": lines(head, rows)}, renamed(readings([0]), "history", tags)


@shape("FactoryTalk: date, time and milliseconds in three columns, tags by number", 2)
def _() -> tuple[Files, list[Reading]]:
    tags = {"temp": "0", "hum": "1"}
    rows = (
        f"{at.month}/{at.day}/{at:%Y},{at:%H:%M:%S},{7 if n % 2 else 120},{tags[sensor]},{v},,,0"
        for n, (at, _, sensor, v) in enumerate(readings([0]))
    )
    expected = [
        (at + timedelta(milliseconds=7 if n % 2 else 120), "float", tags[sensor], v)
        for n, (at, _, sensor, v) in enumerate(readings([0]))
    ]
    return {"float.csv": lines("Date,Time,Millitm,TagIndex,Value,Status,Marker,Internal", rows)}, expected


@shape("Fluke: a row number named Reading, four times in a row, units behind numbers", 2)
def _() -> tuple[Files, list[Reading]]:
    def at_tenth(at: datetime, tenth: int) -> str:
        return f"{at:%m/%d/%Y %H:%M:%S}.{tenth}"

    rows = (
        f"{n + 1},{value(n, 0, 0)} °C,{at_tenth(at, 0)},00:10:00,{at_tenth(at, 1)},{value(n, 0, 1)} °C,"
        f"Interval,{at_tenth(at + HOUR / 6, 0)}"
        for n, at in enumerate(TIMES)
    )
    head = "Model,FLUKE 289\n\nReading,Sample,Start Time,Duration,Max Time,Max,Description,Stop Time"
    return {"fluke.csv": lines(head, rows)}, of_one("fluke", "Sample", "Max")


@shape("Keysight: 3/12/2026 20:00:00:120", 2)
def _() -> tuple[Files, list[Reading]]:
    head = "Name:,run 1\nAcquisition Date:,3/12/2026 20:00:00\n\nScan,Time,101 (C),102 (C)"
    rows = (
        f"{n + 1},{at.month}/{at.day}/{at:%Y %H:%M:%S}:120,{value(n, 0, 0)},{value(n, 0, 1)}"
        for n, at in enumerate(TIMES)
    )
    expected = [
        (at + timedelta(milliseconds=120), *rest) for at, *rest in of_one("run", "101 (C)", "102 (C)")
    ]
    return {"run.csv": lines(head, rows)}, expected


@shape("Davis: two lines of header, 8:00p", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        f"{at.month}/{at.day:02d}/{at:%y}\t{int(f'{at:%I}')}:{at:%M}{f'{at:%p}'[0].lower()}"
        f"\t{value(n, 0, 0)}\t{value(n, 0, 1)}"
        for n, at in enumerate(TIMES)
    )
    return {"davis.txt": lines(" \t \tTemp\tOut\nDate\tTime\tOut\tHum", rows)}, of_one(
        "davis", "Temp Out", "Out Hum"
    )


@shape("Niagara: 12-Mar-26 4:00:00 PM EDT, a line above the header", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        f"{at - 4 * HOUR:%d-%b-%y %I:%M:%S %p} EDT,{{ }},{{ok}},{value(n, 0, 0)}"
        for n, at in enumerate(TIMES)
    )
    head = "history:/station/temp\n\nTimestamp,Trend Flags,Status,Value (°C)"
    return {"niagara.csv": lines(head, rows)}, renamed(readings([0], [0]), "niagara", {"temp": "Value (°C)"})


@shape("USGS: tabs, comment lines, a column of zones", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        f"USGS\t0164650{DEVICES.index(d)}\t{at - 5 * HOUR:%Y-%m-%d %H:%M}\tEST\t{one['temp']}\tP"
        for at, d, one in per_device()
    )
    text = lines("# retrieved: today\nagency_cd\tsite_no\tdatetime\ttz_cd\ttemp\ttemp_cd", rows)
    expected = [
        (at, f"0164650{DEVICES.index(device)}", "temp", v) for at, device, _, v in readings(sensors=[0])
    ]
    return {"usgs.txt": text}, expected


@shape("SensorPush: the zone in the name of the column", 2)
def _() -> tuple[Files, list[Reading]]:
    text = wide("Timestamp (America/New_York),temp,hum", lambda at: f"{at - 4 * HOUR:%Y-%m-%d %H:%M}")
    return {"log.csv": text}, of_one()


@shape("local times, and those of UTC behind them", 2)
def _() -> tuple[Files, list[Reading]]:
    text = wide("time_local,time_utc,temp,hum", lambda at: f"{at + HOUR:%Y-%m-%d %H:%M},{at:%Y-%m-%d %H:%M}")
    return {"log.csv": text}, of_one()


@shape("ENTSO-E: intervals of time", 2)
def _() -> tuple[Files, list[Reading]]:
    text = wide('"MTU (UTC)",temp,hum', lambda at: f"{at:%d.%m.%Y %H:%M} - {at + HOUR / 6:%d.%m.%Y %H:%M}")
    return {"log.csv": text}, of_one()


written("Java: Thu Mar 12 20:00:00 UTC 2026", 2, lambda at: f"{at:%a %b %d %H:%M:%S} UTC {at:%Y}")
written("Java: Thu Mar 12 21:00:00 CET 2026", 2, lambda at: f"{at + HOUR:%a %b %d %H:%M:%S} CET {at:%Y}")
written(
    "Java: 2026-03-12T21:00:00+01:00[Europe/Berlin]",
    2,
    lambda at: f"{at + HOUR:%Y-%m-%dT%H:%M:%S}+01:00[Europe/Berlin]",
)
written(
    "JavaScript: Thu Mar 12 2026 21:00:00 GMT+0100 (Central European Standard Time)",
    2,
    lambda at: f"{at + HOUR:%a %b %d %Y %H:%M:%S} GMT+0100 (Central European Standard Time)",
)
written("12/03/2026 21:00:00 GMT+1", 2, lambda at: f"{at + HOUR:%d/%m/%Y %H:%M:%S} GMT+1")
written("2026-03-12 15:00:00 EST", 2, lambda at: f"{at - 5 * HOUR:%Y-%m-%d %H:%M:%S} EST")
written("SQL Server: 2026-03-12 21:00:00.0000000 +01:00", 2, lambda at: f"{at + HOUR:%F %T}.0000000 +01:00")
written(
    "Oracle: 12-MAR-26 08.00.00.000000 PM", 2, lambda at: f"{at:%d-%b-%y %I.%M.%S}.000000 {at:%p}".upper()
)
written("SAS: 12MAR2026:20:00:00", 2, lambda at: f"{at:%d%b%Y:%H:%M:%S}".upper())
written("Kibana: Mar 12, 2026 @ 20:00:00.000", 2, lambda at: f'"{at:%b %d, %Y @ %H:%M:%S}.000"')
written(
    "Spanish: 12/03/2026 08:00:00 p. m.",
    2,
    lambda at: f"{at:%d/%m/%Y %I:%M:%S} {at:%p}".lower()[:-1] + ". m.",
    ";",
)
written("German: 12. März 2026 20:00", 2, lambda at: f"{at.day}. März {at:%Y %H:%M}", ";")
written("French: 12 mars 2026 20:00", 2, lambda at: f"{at.day} mars {at:%Y %H:%M}", ";")
written(
    "midnight as 24:00 of the day before",
    2,
    lambda at: f"{at - HOUR:%d.%m.%Y} 24:00" if f"{at:%H%M}" == "0000" else f"{at:%d.%m.%Y %H:%M}",
    ";",
)
written(
    "midnight without a time of day",
    2,
    lambda at: f"{at:%d.%m.%Y}" if f"{at:%H%M}" == "0000" else f"{at:%d.%m.%Y %H:%M:%S}",
    ";",
)
written("seconds since 1970 with a decimal comma", 2, lambda at: f"{seconds(at)},0", ";")
written(
    "serial days of a spreadsheet with a decimal comma",
    2,
    lambda at: comma(round(at.timestamp() / 86400 + 25569, 9)),
    ";",
)


@shape("a delimiter behind each row, and none behind the header", 2)
def _() -> tuple[Files, list[Reading]]:
    return {"log.csv": wide("time;temp;hum", lambda at: f"{at:%Y-%m-%d %H:%M:%S}", ";", ";")}, of_one()


@shape("a line sep=; for spreadsheets above the header", 2)
def _() -> tuple[Files, list[Reading]]:
    return {"log.csv": "sep=;\n" + wide("time;temp;hum", lambda at: f"{at:%Y-%m-%d %H:%M}", ";")}, of_one()


@shape("the header again between the rows, totals and a note below them", 2)
def _() -> tuple[Files, list[Reading]]:
    head, *rows = wide("time,temp,hum", iso).splitlines()
    text = lines(head, [*rows[:10], head, *rows[10:], "", ",,", "Average,20.5,40.5", "End of report"])
    return {"log.csv": text}, of_one()


@shape("bytes of zero where the power failed", 2)
def _() -> tuple[Files, list[Reading]]:
    return {"log.csv": wide("time,temp,hum", iso).encode() + b"\0" * 512}, of_one()


@shape("errors of a spreadsheet and of C as values: #DIV/0!, 1.#QNAN", 2)
def _() -> tuple[Files, list[Reading]]:
    words = {3: "#DIV/0!", 4: "1.#QNAN", 5: "-1.#IND", 6: "#REF!"}
    rows = (f"{iso(at)},{words.get(n, value(n, 0, 0))},{value(n, 0, 1)}" for n, at in enumerate(TIMES))
    expected = [row for row in of_one() if row[2] == "hum" or TIMES.index(row[0]) not in words]
    return {"log.csv": lines("time,temp,hum", rows)}, expected


@shape("DWD: 202603122000, blanks before numbers, -999, a column of quality", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        f"       3987;{at:%Y%m%d%H%M};    3;{-999 if n in (4, 9) else value(n, 0, 0):>7};"
        f"{value(n, 0, 1):>7};eor"
        for n, at in enumerate(TIMES)
    )
    expected = [row for row in of_one("3987") if row[2] == "hum" or TIMES.index(row[0]) not in (4, 9)]
    return {"dwd.txt": lines("STATIONS_ID;MESS_DATUM;  QN;temp;hum;eor", rows)}, expected


@shape("psql: a table with bars, a line below the header, the number of rows", 1)
def _() -> tuple[Files, list[Reading]]:
    rows = (f" {at:%Y-%m-%d %H:%M:%S}+00 | {d:<6} | {s:<6} | {v:>6}" for at, d, s, v in readings())
    head = "          time          | device | sensor | value\n" + "-" * 24 + "+--------+--------+-------"
    return {"psql.txt": lines(head, [*rows, "(120 rows)"])}, readings()


@shape("text with tabs, named .xls", 2)
def _() -> tuple[Files, list[Reading]]:
    return {"log.xls": wide("time\ttemp\thum", iso, "\t")}, of_one()


@shape("UTF-16 without a byte order mark", 2)
def _() -> tuple[Files, list[Reading]]:
    return {"log.txt": wide("time\ttemp\thum", iso, "\t").encode("utf-16-le")}, of_one()


def not_read(name: str, said: str, file: str, text: str) -> None:
    """Add a file that is refused with a sentence."""

    @shape(name, 0)
    def _() -> tuple[Files, str]:
        return {file: text}, said


not_read(
    "ticks of .NET",
    "no column is a time",
    "log.csv",
    wide("time,temp,hum", lambda at: str(621_355_968_000_000_000 + 10_000_000 * seconds(at))),
)
not_read(
    "milliseconds since the start (Time [ms])",
    "no column is a time",
    "log.csv",
    wide("Time [ms],temp,hum", lambda at: str(40_000 + (seconds(at) - seconds(TIMES[0])) // 60)),
)
not_read(
    "LabVIEW measurement file (.lvm)",
    "counts the times from the Date and Time in its head",
    "run.lvm",
    "LabVIEW Measurement\t\nSeparator\tTab\nDate\t2026/03/12\n***End_of_Header***\nX_Value\ttemp\n0\t20.0\n",
)
not_read(
    "XML", "holds XML or HTML", "log.xml", f"<?xml version='1.0'?>\n<log><row t='{iso(TIMES[0])}'/></log>\n"
)
not_read(
    "line ends of CR alone", "end with CR alone", "log.csv", wide("time,temp,hum", iso).replace("\n", "\r")
)
not_read(
    "times of their own for each column of values",
    "times of its own",
    "log.csv",
    lines(
        "temp,,hum,\nTimestamp,Value,Timestamp,Value",
        (f"{iso(at)},{value(n, 0, 0)},{iso(at + HOUR)},{value(n, 0, 1)}" for n, at in enumerate(TIMES)),
    ),
)
not_read(
    "°C and °F in one column",
    "would be refused",
    "log.csv",
    lines("time,temp", (f"{iso(at)},{value(n, 0, 0)} °{'FC'[n % 2]}" for n, at in enumerate(TIMES))),
)
not_read(
    "a second header with the columns in another order",
    "columns in another order",
    "log.csv",
    lines(
        "time,device,temp,hum",
        [
            *(f"{iso(at)},a,{value(n, 0, 0)},{value(n, 0, 1)}" for n, at in enumerate(TIMES[:15])),
            "time,device,hum,temp",
            *(f"{iso(at)},a,{value(n, 0, 1)},{value(n, 0, 0)}" for n, at in enumerate(TIMES[15:])),
        ],
    ),
)
not_read(
    "times of BST, which is British or of Bangladesh",
    "no column is a time",
    "log.csv",
    lines("time,device,sensor,value", (f"{at:%F %T} BST,{d},{s},{v}" for at, d, s, v in readings())),
)


def twelve(at: datetime) -> int:
    return at.hour % 12 or 12


written("Czech: 12. 3. 2026 20:00", 2, lambda at: f"{at.day}. {at.month}. {at:%Y %H:%M}", ";")
written("Hungarian: 2026. 03. 12. 20:00", 2, lambda at: f"{at:%Y. %m. %d. %H:%M}", ";")
written("Finnish: 12.3.2026 klo 20.00", 2, lambda at: f"{at.day}.{at.month}.{at:%Y} klo {at:%H.%M}", ";")
written("German: 12.03.2026 20:00 Uhr", 2, lambda at: f"{at:%d.%m.%Y %H:%M} Uhr", ";")
written("Croatian: 12.03.2026. 20:00", 2, lambda at: f"{at:%d.%m.%Y. %H:%M}", ";")
written("Bulgarian: 12.03.2026 г. 20:00:00", 2, lambda at: f"{at:%d.%m.%Y} г. {at:%H:%M:%S}", ";")
written("Swedish: 2026-03-12 kl. 20:00", 2, lambda at: f"{at:%Y-%m-%d kl. %H:%M}", ";")
written("Japanese: 2026年3月12日 20時00分", 2, lambda at: f"{at.year}年{at.month}月{at.day}日 {at:%H時%M分}")
written(
    "Korean: 2026-03-12 오후 8:00:00",
    2,
    lambda at: f"{at:%Y-%m-%d} {'오후' if at.hour > 11 else '오전'} {twelve(at)}:{at:%M:%S}",
)
written(
    "Greek: 12/3/2026 8:00 μμ",
    2,
    lambda at: f"{at.day}/{at.month}/{at.year} {twelve(at)}:{at:%M} {'μμ' if at.hour > 11 else 'πμ'}",
    ";",
)


@shape("Hubitat events: attribute, value, unit, a sentence on each", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        f"{at:%Y-%m-%d %H:%M:%S}.000 UTC,{device},temp,{number},°C,{device} is {number}°C"
        for at, device, _, number in readings(sensors=[0])
    )
    return {"hub.csv": lines("date,deviceName,attribute,value,unit,descriptionText", rows)}, readings(
        sensors=[0]
    )


@shape("Cosmos DB: documents with the time of their writing (_ts)", 2)
def _() -> tuple[Files, list[Reading]]:
    documents = [
        {
            "id": f"g{n}",
            "deviceId": device,
            "time": iso(at),
            "temp": number,
            "_etag": "e",
            "_ts": seconds(at) + 3,
        }
        for n, (at, device, _, number) in enumerate(readings(sensors=[0]))
    ]
    return {"cosmos.json": json.dumps({"_rid": "x", "Documents": documents, "_count": 60})}, readings(
        sensors=[0]
    )


@shape("load profile: a row a day, a column a quarter of an hour", 0)
def _() -> tuple[Files, str]:
    head = ";".join(["Datum", *(f"{n // 4:02}:{n % 4 * 15:02}" for n in range(96))])
    rows = (f"{day}.03.2026;" + ";".join(comma(value(n, day, 0)) for n in range(96)) for day in range(10, 20))
    return {"load.csv": lines(head, rows)}, "times of a day, from 00:00 to 23:45, and no sensors; write a row"


@shape("market prices: a date, and hours such as 20 - 21", 0)
def _() -> tuple[Files, str]:
    rows = (f"{at:%d-%m-%Y};{at.hour:02} - {at.hour + 1:02};{comma(value(n, 0, 0))}" for n, at in hourly())
    return {"prices.csv": lines("Date;Hours;SE1", rows)}, "Hours: '20 - 21' is not a known time of day"


def hourly() -> list[tuple[int, datetime]]:
    return [(n, TIMES[0] + n * HOUR) for n in range(30)]


@shape("Fronius: an archive with seconds since its start as keys, JSON", 0)
def _() -> tuple[Files, str]:
    values = {str(600 * n): value(n, 0, 0) for n in range(len(TIMES))}
    data = {"Start": iso(TIMES[0]), "Data": {"Energy": {"Unit": "Wh", "Values": values}}}
    found = {"Body": {"Data": {"inverter/1": data}}, "Head": {"Timestamp": iso(TIMES[-1])}}
    return {"archive.json": json.dumps(found)}, "the keys are numbers, such as seconds since a start"


@shape("Firebase: an object a reading, by a key", 0)
def _() -> tuple[Files, str]:
    readings_of = {f"-N{n}": {"ts": 1000 * seconds(at), "temp": value(n, 0, 0)} for n, at in enumerate(TIMES)}
    return {"export.json": json.dumps({"sensors": {"u1": readings_of}})}, "have times of their own; write an"


@shape("NGSI-LD: a list of values and times for each property", 0)
def _() -> tuple[Files, str]:
    found = {"id": "urn:a"} | {
        sensor: [{"value": value(n, 0, s), "observedAt": iso(at)} for n, at in enumerate(TIMES)]
        for s, sensor in enumerate(SENSORS)
    }
    return {"entity.json": json.dumps([found])}, "temp and hum have times of their own; write an object"


@shape("rrdtool xport: rows of values, and a start and a step", 0)
def _() -> tuple[Files, str]:
    meta = {"start": seconds(TIMES[0]), "end": seconds(TIMES[-1]), "step": 300, "legend": SENSORS}
    rows = [[value(n, 0, s) for s in range(len(SENSORS))] for n in range(len(TIMES))]
    return {"xport.json": json.dumps({"meta": meta, "data": rows})}, "counted from meta.start by meta.step"
