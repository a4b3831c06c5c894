"""What loggers, brokers, databases and public sets write beside the readings."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from tests.ingestion.shapes.fleet import (
    DEVICES,
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
from tests.ingestion.shapes.programs import HOUR, SERIES, of_one, seconds


@shape("HOBO logger: columns of events that are nearly empty", 2)
def _() -> tuple[Files, list[Reading]]:
    names = (
        '"#","Date Time, GMT+01:00","temp","hum","Coupler Attached (LGR S/N: 1)",'
        '"Host Connected (LGR S/N: 1)","End Of File (LGR S/N: 1)"'
    )
    first = "Logged"
    rows = [
        f"{n + 1},{at + HOUR:%m/%d/%y %I:%M:%S %p},{value(n, 0, 0)},{value(n, 0, 1)},{'' if n else first},,"
        for n, at in enumerate(TIMES)
    ]
    last = f"31,{TIMES[-1] + HOUR + timedelta(minutes=5):%m/%d/%y %I:%M:%S %p},,,,Logged,Logged"
    return {"log.csv": lines(f'"Plot Title: 10347386"\n{names}', [*rows, last])}, of_one()


@shape("two digits of a year between points, beside a time of day", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        f"{at:%d.%m.%y};{at:%H:%M};{comma(value(n, 0, 0))};{comma(value(n, 0, 1))}"
        for n, at in enumerate(TIMES)
    )
    return {"log.csv": lines("Datum;Uhrzeit;temp;hum", rows)}, of_one()


@shape("Home Assistant: its table of states, with keys of other tables", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        f"{2 * n + d},sensor.{name}_temp,{value(n, d, 0)},{seconds(at)}.0,{d + 4}"
        for n, at in enumerate(TIMES)
        for d, name in enumerate(("a", "b"))
    )
    names = {"unit-a": "sensor.a_temp", "unit-b": "sensor.b_temp"}
    expected = renamed(readings(sensors=[0]), names, {"temp": "state"})
    return {"states.csv": lines("state_id,entity_id,state,last_updated_ts,attributes_id", rows)}, expected


@shape("Modbus dump: slave, register, bytes beside the value", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        f"{iso(at)};{d + 1};{4000 + s};0x{int(10 * value(n, d, s)):04X};{value(n, d, s)}"
        for n, at in enumerate(TIMES)
        for d, _, s, _ in SERIES
    )
    expected = renamed(readings(), {"unit-a": "1", "unit-b": "2"}, {"temp": "4000", "hum": "4001"})
    return {"dump.csv": lines("timestamp;slave;register;raw_hex;value", rows)}, expected


@shape("MQTT Explorer: length of the payload beside it", 2)
def _() -> tuple[Files, list[Reading]]:
    records = (
        {
            "tst": f"{at:%Y-%m-%dT%H:%M:%S}.000000+0000",
            "topic": f"plant/{name}",
            "qos": 0,
            "payloadlen": 30 + n % 2,
            "payload": {"temp": value(n, d, 0), "hum": value(n, d, 1)},
        }
        for n, at in enumerate(TIMES)
        for d, name in enumerate(DEVICES)
    )
    expected = renamed(readings(), {name: f"plant/{name}" for name in DEVICES})
    return {"mq.jsonl": lines("", map(json.dumps, records))}, expected


@shape("GECCO: names of rows without a name, NA, a label in words", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        f'"{n + 1}",{at:%Y-%m-%d %H:%M:%S},{value(n, 0, 0)},{value(n, 0, 1)},{"TRUE" if n > 25 else "FALSE"}'
        for n, at in enumerate(TIMES)
    )
    return {"log.csv": lines('"",Time,temp,hum,EVENT', rows)}, of_one()


@shape("a table in Markdown", 1)
def _() -> tuple[Files, list[Reading]]:
    rows = (f"| {iso(at)} | {device:<7} | {sensor:<6} | {n} |" for at, device, sensor, n in readings())
    head = (
        "| time                 | device  | sensor | value |\n|----------------------|---------|--------|---|"
    )
    return {"a.txt": lines(head, rows)}, readings()


@shape("blanks behind the commas of the rows, and none in the header", 1)
def _() -> tuple[Files, list[Reading]]:
    rows = (f"{iso(at)}, {device}, {sensor}, {n}" for at, device, sensor, n in readings())
    return {"a.csv": lines("time,device,sensor,value", rows)}, readings()


def pi_item(n: int, at: datetime, d: int) -> dict[str, object]:
    bad = {"Name": "Bad Input", "Value": 255, "IsSystem": True}
    flags = {"Questionable": n % 7 == 3, "Substituted": False, "Annotated": n == 5}
    unit = {"UnitsAbbreviation": "°C"}
    is_good = n % 9 != 4
    return {"Timestamp": iso(at), "Good": is_good, "Value": value(n, d, 0) if is_good else bad} | flags | unit


@shape("PI Web API: tags with a list of values, bad ones as objects", 2)
def _() -> tuple[Files, list[Reading]]:
    tags = [
        {"WebId": f"F1{name}", "Name": name, "Path": f"\\\\S\\{name}"}
        | {"Items": [pi_item(n, at, d) for n, at in enumerate(TIMES)]}
        for d, name in enumerate(("TI101", "TI102"))
    ]
    expected = [
        (at, "pi", name, value(n, d, 0))
        for n, at in enumerate(TIMES)
        for d, name in enumerate(("TI101", "TI102"))
        if n % 9 != 4
    ]
    return {"pi.json": json.dumps({"Items": tags})}, expected


@shape("PI Web API: the values of one tag, named after the file", 2)
def _() -> tuple[Files, list[Reading]]:
    items = [pi_item(n, at, 0) for n, at in enumerate(TIMES)]
    expected = [(at, "TI101", "Value", value(n, 0, 0)) for n, at in enumerate(TIMES) if n % 9 != 4]
    return {"TI101.json": json.dumps({"Links": {}, "Items": items, "UnitsAbbreviation": "°C"})}, expected
