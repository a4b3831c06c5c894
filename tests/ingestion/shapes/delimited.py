"""Text with delimiters: names, times, numbers and headers in the ways of many programs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

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

HEADER = "timestamp,device,sensor,value"


def long_csv(
    header: str = HEADER,
    mark: str = ",",
    time: Callable[[datetime], str] = iso,
    number: Callable[[float], str] = str,
    end: str = "\n",
) -> str:
    rows = (mark.join([time(at), device, sensor, number(n)]) for at, device, sensor, n in readings())
    return lines(header, rows, end)


def wide_csv(
    header: str = "time,device,temp,hum",
    mark: str = ",",
    time: Callable[[datetime], str] = iso,
    number: Callable[[float], str] = str,
) -> str:
    """A row a time and device; without a device column, of the first device."""
    has_device = "device" in header
    rows = [
        mark.join(
            [
                time(at),
                *([name] if has_device else []),
                *(number(value(step, device, sensor)) for sensor in range(2)),
            ]
        )
        for step, at in enumerate(TIMES)
        for device, name in enumerate(DEVICES[: 1 + has_device])
    ]
    return lines(header, rows)


def in_times(form: str, **how: str) -> str:
    return long_csv(time=lambda at: at.strftime(form), **how)


@shape("CSV: timestamp, device, sensor, value", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"a.csv": long_csv()}, readings()


@shape("tabs between columns (.tsv)", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"a.tsv": long_csv("ts\tdevice_id\tmetric\tval", "\t")}, readings()


@shape("bars between columns (.txt), ends of lines of Windows", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"a.txt": long_csv("TS|Device|Tag|Value", "|", end="\r\n")}, readings()


@shape("four columns with other names", 2)
def _() -> tuple[Files, list[Reading]]:
    return {"a.csv": long_csv("last_changed,entity,quantity,state")}, readings()


@shape("semicolons, decimal comma, 12.03.2026", 1)
def _() -> tuple[Files, list[Reading]]:
    text = long_csv(HEADER.replace(",", ";"), ";", lambda at: f"{at:%d.%m.%Y %H:%M:%S}", comma)
    return {"a.csv": text}, readings()


@shape("03/12/2026 8:00 PM", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"a.csv": in_times("%m/%d/%Y %I:%M %p")}, readings()


@shape("12/03/2026 20:00", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"a.csv": in_times("%d/%m/%Y %H:%M")}, readings()


@shape("12-Mar-2026 20:00:00", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"a.csv": in_times("%d-%b-%Y %H:%M:%S")}, readings()


@shape("2026/03/12 20:00", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"a.csv": in_times("%Y/%m/%d %H:%M")}, readings()


@shape("Thu, 12 Mar 2026 20:00:00 GMT", 1)
def _() -> tuple[Files, list[Reading]]:
    text = lines(HEADER, (f'"{at:%a, %d %b %Y %H:%M:%S GMT}",{d},{s},{n}' for at, d, s, n in readings()))
    return {"a.csv": text}, readings()


@shape("20260312200000", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"a.csv": in_times("%Y%m%d%H%M%S")}, readings()


@shape("times with an offset", 1)
def _() -> tuple[Files, list[Reading]]:
    text = long_csv(time=lambda at: f"{at.replace(tzinfo=None)}-00:00".replace(" ", "T"))
    return {"a.csv": text}, readings()


@shape("seconds since 1970", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"a.csv": long_csv(time=lambda at: f"{at.timestamp():.0f}")}, readings()


@shape("milliseconds since 1970", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"a.csv": long_csv(time=lambda at: f"{at.timestamp() * 1e3:.0f}")}, readings()


@shape("nanoseconds since 1970", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"a.csv": long_csv(time=lambda at: f"{int(at.timestamp())}000000000")}, readings()


@shape("serial days of a spreadsheet (46093.8333)", 2)
def _() -> tuple[Files, list[Reading]]:
    return {"a.csv": long_csv(time=lambda at: f"{at.timestamp() / 86400 + 25569:.10f}")}, readings()


@shape("date and time of day in two columns", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"a.csv": in_times("%Y-%m-%d,%H:%M:%S", header="date,time,device,sensor,value")}, readings()


@shape("year, month, day, hour, minute in columns", 1)
def _() -> tuple[Files, list[Reading]]:
    return {
        "a.csv": in_times("%Y,%-m,%-d,%-H,%-M", header="year,month,day,hour,minute,device,sensor,value")
    }, (readings())


@shape("values that mean missing: ?, NA, -200", 2)
def _() -> tuple[Files, list[Reading]]:
    marks = {3: "?", 8: "NA", 13: "-200", 21: "-200"}
    kept = [row for number, row in enumerate(readings()) if number not in marks]
    rows = [
        f"{iso(at)},{device},{sensor},{marks.get(number, n)}"
        for number, (at, device, sensor, n) in enumerate(readings())
    ]
    return {"a.csv": lines(HEADER, rows)}, kept


@shape("states in words: ON, OFF, unavailable", 2)
def _() -> tuple[Files, list[Reading]]:
    texts = ["ON", "OFF", "OFF", "unavailable", "ON"]
    numbers = {"ON": 1.0, "OFF": 0.0}
    rows = [(*row[:3], texts[number % 5]) for number, row in enumerate(readings())]
    kept = [(*row[:3], numbers[row[3]]) for row in rows if row[3] in numbers]
    return {"a.csv": lines(HEADER, (f"{iso(at)},{d},{s},{text}" for at, d, s, text in rows))}, kept


@shape("units behind the numbers (21.5 °C)", 2)
def _() -> tuple[Files, list[Reading]]:
    units = {"temp": " °C", "hum": "%"}
    rows = (f"{iso(at)},{device},{sensor},{n}{units[sensor]}" for at, device, sensor, n in readings())
    return {"a.csv": lines(HEADER, rows)}, readings()


@shape('thousands ("1,234.5")', 1)
def _() -> tuple[Files, list[Reading]]:
    large = [(at, device, sensor, n + 1200) for at, device, sensor, n in readings()]
    return {"a.csv": lines(HEADER, (f'{iso(at)},{d},{s},"{n:,.2f}"' for at, d, s, n in large))}, [
        (at, device, sensor, float(f"{n:.2f}")) for at, device, sensor, n in large
    ]


@shape("line breaks in quoted notes", 1)
def _() -> tuple[Files, list[Reading]]:
    rows = (f'{iso(at)},{d},{s},{n},"checked\nby ""hand"""' for at, d, s, n in readings())
    return {"a.csv": lines(f"{HEADER},note", rows)}, readings()


@shape("title lines above the header", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"a.csv": "Export of plant 7\nMade on 2026-03-13\n\n" + long_csv()}, readings()


@shape("comment lines above the header", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"a.csv": "# plant 7\n# made by a logger\n" + long_csv()}, readings()


@shape("no header", 2)
def _() -> tuple[Files, list[Reading]]:
    return {"a.csv": long_csv(header="")}, readings()


@shape("a row of units below the header", 2)
def _() -> tuple[Files, list[Reading]]:
    names = {"temp": "temp degC", "hum": "hum %"}
    text = wide_csv("time,device,temp,hum\n,,degC,%")
    return {"a.csv": text}, renamed(readings(), sensors=names)


@shape("several header rows", 1)
def _() -> tuple[Files, list[Reading]]:
    text = wide_csv(",,Pump,\ntime,device,temp,hum")
    return {"a.csv": text}, readings()


@shape("several readings in one second", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = [f"{iso(at)},m,acc,{n}" for at, device, sensor, n in readings()]
    means = {at: [n for other, *_, n in readings() if other == at] for at in TIMES}
    return {"a.csv": lines(HEADER, rows)}, [(at, "m", "acc", sum(n) / 4) for at, n in means.items()]


@shape("UTF-16 with a byte order mark", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"a.csv": long_csv().encode("utf-16")}, readings()


@shape("UTF-8 with a byte order mark", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"a.csv": long_csv().encode("utf-8-sig")}, readings()


@shape("Latin-1", 2)
def _() -> tuple[Files, list[Reading]]:
    text = long_csv().replace("unit-a", "Kühler").encode("latin-1")
    return {"a.csv": text}, renamed(readings(), {DEVICES[0]: "Kühler"})


def of_japan_or_china(encoding: str, time: str, names: tuple[str, str]) -> tuple[Files, list[Reading]]:
    rows = (f"{at:%Y/%m/%d %H:%M},{value(n, 0, 0)},{value(n, 0, 1)}" for n, at in enumerate(TIMES))
    text = lines(f"{time},{','.join(names)}", rows).encode(encoding)
    return {"a.csv": text}, renamed(readings([0], [0, 1]), "a", dict(zip(SENSORS, names, strict=True)))


@shape("Chinese in GBK", 2)
def _() -> tuple[Files, list[Reading]]:
    return of_japan_or_china("gbk", "时间", ("温度", "湿度"))


@shape("Japanese in Shift-JIS", 2)
def _() -> tuple[Files, list[Reading]]:
    return of_japan_or_china("shift_jis", "日時", ("温度", "湿度"))


@shape("wide: time, device, a column a sensor", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"a.csv": wide_csv()}, readings()


@shape("wide, one asset a file, named by it", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = {
        f"{name}.csv": lines(
            "Timestamp,temp,hum",
            (
                f"{at:%Y-%m-%d %H:%M:%S},{value(step, device, 0)},{value(step, device, 1)}"
                for step, at in enumerate(TIMES)
            ),
        )
        for device, name in enumerate(DEVICES)
    }
    return rows, readings()


@shape("time and value, a file a sensor in a folder a device", 2)
def _() -> tuple[Files, list[Reading]]:
    return {
        f"{device}/{sensor}.csv": lines(
            "timestamp,value", (f"{iso(at)},{n}" for at, d, s, n in readings() if (d, s) == (device, sensor))
        )
        for device in DEVICES
        for sensor in SENSORS
    }, readings()


@shape("hive folders (device=unit-a/sensor=temp/part.csv)", 1)
def _() -> tuple[Files, list[Reading]]:
    return {
        f"device={device}/sensor={sensor}/part-0.csv": lines(
            "timestamp,value", (f"{iso(at)},{n}" for at, d, s, n in readings() if (d, s) == (device, sensor))
        )
        for device in DEVICES
        for sensor in SENSORS
    }, readings()


@shape("a file of notes, no table", 0)
def _() -> tuple[Files, str]:
    return {
        "a.txt": "Dear colleagues,\nthe pump was repaired yesterday.\nKind regards\n"
    }, "no column is a time"


@shape("a file a sensor in one folder, named after what is measured", 2)
def _() -> tuple[Files, list[Reading]]:
    files = {
        f"{name}.csv": lines("time;value", (f"{iso(at)};{n}" for at, _, _, n in readings([0], [place])))
        for place, name in enumerate(["temperature", "humidity"])
    }
    names = {"temp": "temperature", "hum": "humidity"}
    return files, renamed(readings([0]), "in", names)  # the folder that they are written to


@shape("blanks behind commas", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (f"{iso(at)}, {d}, {s}, {n}" for at, d, s, n in readings())
    return {"spaced.csv": lines("Time, Unit, Sensor, Value", rows)}, readings()


@shape("weeks of ISO 8601 with a day (2026-W11-4)", 1)
def _() -> tuple[Files, list[Reading]]:
    days = [datetime(2025, 12, 29, tzinfo=UTC) + timedelta(days=k) for k in range(10)]
    rows = (f"{at:%G-W%V-%u},meter,level,{k}" for k, at in enumerate(days))
    expected = [(at, "meter", "level", float(k)) for k, at in enumerate(days)]
    return {"weeks.csv": lines("time,device,sensor,value", rows)}, expected


@shape("weeks of ISO 8601 (2026-W11)", 2)
def _() -> tuple[Files, list[Reading]]:
    mondays = [datetime(2025, 12, 29, tzinfo=UTC) + timedelta(weeks=k) for k in range(10)]
    rows = (f"{at:%G-W%V},meter-{d},{k + d}" for k, at in enumerate(mondays) for d in (1, 2))
    expected = [
        (at, f"meter-{d}", "consumption", float(k + d)) for k, at in enumerate(mondays) for d in (1, 2)
    ]
    return {"weeks.csv": lines("week,meter,consumption", rows)}, expected


@shape("LoRaWAN: payloads in hexadecimal", 0)
def _() -> tuple[Files, str]:
    rows = (f"{iso(at)},70b3d57ed0{k % 3:06d},2,0167{k:02x}0268ff" for k, at in enumerate(TIMES))
    return {"uplinks.csv": lines("time,dev_eui,fport,payload", rows)}, "payload holds encoded bytes"
