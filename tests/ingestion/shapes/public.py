"""The shapes of public data sets and of exports of well-known programs."""

from __future__ import annotations

from datetime import timedelta

from tests.ingestion.shapes.delimited import wide_csv
from tests.ingestion.shapes.fleet import (
    DEVICES,
    START,
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


@shape("SKAB trials: wide, semicolons, with labels", 2)
def _() -> tuple[Files, list[Reading]]:
    header = "datetime;Accelerometer1RMS;Temperature;anomaly;changepoint"
    rows = (
        f"{at:%Y-%m-%d %H:%M:%S};{value(step, 0, 0)};{value(step, 0, 1)};{float(step > 20)};0.0"
        for step, at in enumerate(TIMES)
    )
    names = {"temp": "Accelerometer1RMS", "hum": "Temperature"}
    return {"valve1.csv": lines(header, rows)}, renamed(readings([0]), "valve1", names)


@shape("UCI air quality: decimal comma, 18.00.00, -200, empty columns", 2)
def _() -> tuple[Files, list[Reading]]:
    kept = [row for number, row in enumerate(readings([0])) if number not in (4, 5, 11)]
    numbers = {(at, sensor): n for at, _, sensor, n in kept}
    rows = [
        f"{at:%d/%m/%Y;%H.%M.%S};{comma(numbers.get((at, 'temp'), -200))};"
        f"{comma(numbers.get((at, 'hum'), -200))};;"
        for at in TIMES
    ]
    text = lines("Date;Time;CO(GT);PT08.S1(CO);;", [*rows, ";;;;;", ";;;;;"])
    return {"AirQualityUCI.csv": text}, renamed(
        kept, "AirQualityUCI", {"temp": "CO(GT)", "hum": "PT08.S1(CO)"}
    )


@shape("Beijing PM2.5: year, month, day, hour; NA; wind in letters", 2)
def _() -> tuple[Files, list[Reading]]:
    hours = [at for at in TIMES if at.minute == 0]
    rows = [
        f"{n + 1},{at:%Y},{at.month},{at.day},{at.hour},{'NA' if n == 1 else value(n, 0, 0)},"
        f"{-value(n, 0, 1)},{('NW', 'cv', 'SE')[n % 3]}"
        for n, at in enumerate(hours)
    ]
    expected = [(at, "PRSA", "pm2.5", value(n, 0, 0)) for n, at in enumerate(hours) if n != 1]
    expected += [(at, "PRSA", "DEWP", -value(n, 0, 1)) for n, at in enumerate(hours)]
    return {"PRSA.csv": lines("No,year,month,day,hour,pm2.5,DEWP,cbwd", rows)}, expected


@shape("household power: Date;Time, ? for missing", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = [
        f"{at.day}/{at.month}/{at:%Y;%H:%M:%S};{'?' if step == 4 else value(step, 0, 0)};"
        f"{'?' if step == 4 else value(step, 0, 1)}"
        for step, at in enumerate(TIMES)
    ]
    names = {"temp": "Global_active_power", "hum": "Voltage"}
    kept = [row for row in readings([0]) if row[0] != TIMES[4]]
    text = lines("Date;Time;Global_active_power;Voltage", rows)
    return {"power.txt": text}, renamed(kept, "power", names)


@shape("ThingSpeak feed, CSV", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        f"{at:%Y-%m-%d %H:%M:%S UTC},{step + 1},{value(step, 0, 0)},{value(step, 0, 1)}"
        for step, at in enumerate(TIMES)
    )
    text = lines("created_at,entry_id,field1,field2", rows)
    return {"feeds.csv": text}, renamed(readings([0]), "feeds", {"temp": "field1", "hum": "field2"})


@shape("iot sensors: wide with a device column, true and false", 2)
def _() -> tuple[Files, list[Reading]]:
    macs = {"unit-a": "b8:27:eb:bf:9d:51", "unit-b": "00:0f:00:70:91:0a"}
    rows, expected = [], []
    for step, at in enumerate(TIMES):
        for device, name in enumerate(DEVICES):
            light, n = step % 3 == 0, value(step, device, 0)
            rows.append(f'"{at.timestamp():.7E}","{macs[name]}","{n}","{str(light).lower()}"')
            expected += [(at, macs[name], "co", n), (at, macs[name], "light", float(light))]
    return {"iot.csv": lines('"ts","device","co","light"', rows)}, expected


@shape("NAB: a folder of files with timestamp, value", 2)
def _() -> tuple[Files, list[Reading]]:
    return {
        f"realKnownCause/{name}_temperature.csv": lines(
            "timestamp,value", (f"{at:%Y-%m-%d %H:%M:%S},{value(n, d, 0)}" for n, at in enumerate(TIMES))
        )
        for d, name in enumerate(("ambient", "machine"))
    }, [
        (at, "realKnownCause", f"{name}_temperature", value(n, d, 0))
        for d, name in enumerate(("ambient", "machine"))
        for n, at in enumerate(TIMES)
    ]


@shape("ETT: date, then a column a sensor", 2)
def _() -> tuple[Files, list[Reading]]:
    text = wide_csv("date,HUFL,OT", time=lambda at: f"{at:%Y-%m-%d %H:%M:%S}")
    return {"ETTm1.csv": text}, renamed(readings([0]), "ETTm1", {"temp": "HUFL", "hum": "OT"})


@shape("gas turbine: no time at all", 0)
def _() -> tuple[Files, str]:
    rows = (f"{value(step, 0, 0)},{value(step, 0, 1)},{value(step, 1, 0)}" for step in range(30))
    return {"gt_2011.csv": lines("AT,AP,NOX", rows)}, "no column is a time"


@shape("C-MAPSS: no header, cycles in place of times", 0)
def _() -> tuple[Files, str]:
    rows = (
        f"{unit} {cycle} {value(cycle, 0, 0)} {value(cycle, 0, 1)}  "
        for unit in (1, 2)
        for cycle in range(1, 16)
    )
    return {"train_FD001.txt": lines("", rows)}, "no column is a time"


@shape("smart home: long, with rooms, types and units", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        f"{at:%Y-%m-%d %H:%M:%S},{device},{sensor},{n},{'°C' if sensor == 'temp' else '%'}"
        for at, device, sensor, n in readings()
    )
    return {"home.csv": lines("datetime,room,type,value,unit", rows)}, readings()


@shape("turbines: long, with numbers for turbines and tags", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        f"{DEVICES.index(device) + 1},{at:%Y-%m-%d %H:%M},{sensor}_avg,{n}"
        for at, device, sensor, n in readings()
    )
    return {"scada.csv": lines("turbine_id,Date_time,signal,reading", rows)}, renamed(
        readings(), {"unit-a": "1", "unit-b": "2"}, {"temp": "temp_avg", "hum": "hum_avg"}
    )


@shape("InfluxDB annotated CSV", 2)
def _() -> tuple[Files, list[Reading]]:
    head = (
        "#group,false,false,false,false,true,true\n"
        "#datatype,string,long,dateTime:RFC3339,double,string,string\n"
        "#default,_result,,,,,\n"
    )
    tables = [
        head
        + lines(
            ",result,table,_time,_value,_field,sensor_id",
            (f",,0,{iso(at)},{n},{s},{d}" for at, d, s, n in readings([number])),
        )
        for number in range(2)
    ]
    return {"annotated.csv": "\n".join(tables)}, readings()


@shape("Home Assistant history: entity_id, state, last_changed", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = [
        f"sensor.{d}_{s},{'unavailable' if at == TIMES[2] else n},{at:%Y-%m-%dT%H:%M:%S.000Z}"
        for at, d, s, n in readings()
    ]
    expected = [(at, f"sensor.{d}_{s}", "state", n) for at, d, s, n in readings() if at != TIMES[2]]
    return {"history.csv": lines("entity_id,state,last_changed", rows)}, expected


@shape("Grafana export: Time, then a column a series", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (f'"{at:%Y-%m-%d %H:%M:%S}",{value(n, 0, 0)},{value(n, 0, 1)}' for n, at in enumerate(TIMES))
    text = lines('"Time","temp {host=""a""}","hum {host=""a""}"', rows)
    names = {"temp": 'temp {host="a"}', "hum": 'hum {host="a"}'}
    return {"panel.csv": text}, renamed(readings([0]), "panel", names)


@shape("historian export: Tag, Timestamp, Value, Quality", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (f"{d}.{s};{at:%d.%m.%Y %H:%M:%S};{comma(n)};Good" for at, d, s, n in readings())
    expected = [(at, "export", f"{d}.{s}", n) for at, d, s, n in readings()]
    return {"export.csv": lines("Tag;Timestamp;Value;Quality", rows)}, expected


@shape("pandas to_csv: a row number without a name, wide", 1)
def _() -> tuple[Files, list[Reading]]:
    rows = wide_csv().splitlines()
    numbered = ["," + rows[0], *(f"{n},{row}" for n, row in enumerate(rows[1:]))]
    return {"frame.csv": lines("", numbered)}, readings()


@shape("Amazon Lookout for Equipment: a folder an asset, wide", 2)
def _() -> tuple[Files, list[Reading]]:
    return {
        f"{name}/part1.csv": lines(
            "Timestamp,temp,hum",
            (
                f"{at:%Y-%m-%dT%H:%M:%S.000000},{value(n, d, 0)},{value(n, d, 1)}"
                for n, at in enumerate(TIMES)
            ),
        )
        for d, name in enumerate(DEVICES)
    }, readings()


@shape("a download with blanks, a comma and a quote in its name", 2)
def _() -> tuple[Files, list[Reading]]:
    text = wide_csv("Time,temp,hum", time=lambda at: f"{at:%Y-%m-%d %H:%M:%S}")
    return {"Model 3, Ann's log (1).csv": text}, renamed(readings([0]), "Model 3, Ann's log (1)")


@shape("Sensor.Community: the id of the sensor, location, lat, lon", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        f"{141 + d};BME280;6189;48.801;9.003;{at:%Y-%m-%dT%H:%M:%S};{value(n, d, 0)};;{value(n, d, 1)}"
        for n, at in enumerate(TIMES)
        for d in (0, 1)
    )
    text = lines("sensor_id;sensor_type;location;lat;lon;timestamp;temp;altitude;hum", rows)
    return {"bme280.csv": text}, renamed(readings(), {"unit-a": "141", "unit-b": "142"})


@shape("Intel lab: no header, motes by number, a counter", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        f"{at:%Y-%m-%d %H:%M:%S}.{d + 1}5 {n + 2} {d + 1} {value(n, d, 0)} {value(n, d, 1)}"
        for n, at in enumerate(TIMES)
        for d in (0, 1)
    )
    expected = [
        (at.replace(microsecond=150_000 + 100_000 * DEVICES.index(device)), *rest)
        for at, device, *rest in ((at, d, DEVICES.index(d), s, n) for at, d, s, n in readings())
    ]
    moved = [(at, str(place + 1), sensor, n) for at, place, sensor, n in expected]
    return {"data.txt": lines("", rows)}, renamed(moved, "", {"temp": "column_5", "hum": "column_6"})


@shape("no header: one device after the other, by number", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        f"{iso(at)},{d + 7},{value(n, d, 0)},{value(n, d, 1)}" for d in (0, 1) for n, at in enumerate(TIMES)
    )
    names = {"temp": "column_3", "hum": "column_4"}
    return {"log.csv": lines("", rows)}, renamed(readings(), {"unit-a": "7", "unit-b": "8"}, names)


@shape("MIMIC charts: ids of patients and items in numbers, units", 2)
def _() -> tuple[Files, list[Reading]]:
    items = {"temp": (223761, "°F"), "hum": (220277, "%")}
    rows = (
        f"{10000032 + DEVICES.index(d)},{29079034},{at:%Y-%m-%d %H:%M:%S},{items[s][0]},{n},{n},{items[s][1]}"
        for at, d, s, n in readings()
    )
    text = lines("subject_id,hadm_id,charttime,itemid,value,valuenum,valueuom", rows)
    names = {sensor: str(item) for sensor, (item, _) in items.items()}
    return {"chartevents.csv": text}, renamed(readings(), {"unit-a": "10000032", "unit-b": "10000033"}, names)


@shape("OPC UA export: AM and PM, quality good and bad", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        f"ns=2;{d}.{s},{at:%m/%d/%Y %I:%M:%S.000 %p},{n},{'Bad' if at == TIMES[4] else 'Good'}"
        for at, d, s, n in readings()
    )
    expected = [(at, "opcua", f"ns=2;{d}.{s}", n) for at, d, s, n in readings()]
    return {"opcua.csv": lines("Tag,Timestamp,Value,Quality", rows)}, expected


@shape("LibreView: glucose in columns by the type of the record", 2)
def _() -> tuple[Files, list[Reading]]:
    title = "Glucose Data,Generated on,03-20-2026 08:00 PM UTC,Generated by,Jane Doe"
    header = (
        "Device,Serial Number,Device Timestamp,Record Type,Historic Glucose mg/dL,Scan Glucose mg/dL,Notes"
    )
    rows, expected = [], []
    for n, at in enumerate(TIMES):
        kind, number = n % 3 == 0, value(n, 0, 0)
        cells = f"1,,{number}" if kind else f"0,{number},"
        rows.append(f"FreeStyle,A1-0,{at:%m-%d-%Y %I:%M %p},{cells},")
        expected.append((at, "FreeStyle", f"{'Scan' if kind else 'Historic'} Glucose mg/dL", number))
    return {"libre.csv": lines(f"{title}\n{header}", rows)}, expected


@shape("smart home with weather: units in names, words, numbers with texts among them", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        f"{at.timestamp():.0f},{value(n, 0, 0)},Clear,{'cloudCover' if n < 5 else value(n, 0, 1)}"
        for n, at in enumerate(TIMES)
    )
    kept = [row for row in readings([0]) if row[2] == "temp" or row[0] >= TIMES[5]]
    text = lines("time,use [kW],summary,cloudCover", rows)
    return {"HomeC.csv": text}, renamed(kept, "HomeC", {"temp": "use [kW]", "hum": "cloudCover"})


@shape("wide, with places: lat and lon", 1)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        f"{iso(at)},{DEVICES[d]},48.{n:02d},9.003,{value(n, d, 0)},{value(n, d, 1)}"
        for n, at in enumerate(TIMES)
        for d in (0, 1)
    )
    return {"tracks.csv": lines("time,device_id,Lat,Lon,temp,hum", rows)}, readings()


@shape("dates moved into the future, as MIMIC does", 0)
def _() -> tuple[Files, str]:
    rows = (f"{at.year + 154}{at:-%m-%d %H:%M:%S},{d},{s},{n}" for at, d, s, n in readings())
    return {"moved.csv": lines("timestamp,device,sensor,value", rows)}, "raise ingest.max_future"


@shape("pandas to_csv: times in a column without a name", 2)
def _() -> tuple[Files, list[Reading]]:
    text = wide_csv(",MT_001,MT_002", time=lambda at: f"{at:%Y-%m-%d %H:%M:%S}")
    names = {"temp": "MT_001", "hum": "MT_002"}
    return {"LD2011.csv": text}, renamed(readings([0]), "LD2011", names)


@shape("pandas to_csv: a row number without a name, no device", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = [
        f"{n},{at:%Y-%m-%d %H:%M:%S},{value(n, 0, 0)},{value(n, 0, 1)},NORMAL" for n, at in enumerate(TIMES)
    ]
    names = {"temp": "sensor_00", "hum": "sensor_01"}
    text = lines(",timestamp,sensor_00,sensor_01,machine_status", rows)
    return {"pump.csv": text}, renamed(readings([0]), "pump", names)


@shape("Campbell logger: four lines of header, units, kinds", 2)
def _() -> tuple[Files, list[Reading]]:
    above = [
        '"TOA5","CR1000","CR1000","12345","Std.31","CPU:a.CR1","1234","Table1"',
        '"TIMESTAMP","RECORD","AirTC","RH"',
    ]
    header = "\n".join([*above, '"TS","RN","Deg C","%"', '"","","Avg","Smp"'])
    rows = (f'"{at:%Y-%m-%d %H:%M:%S}",{n},{value(n, 0, 0)},{value(n, 0, 1)}' for n, at in enumerate(TIMES))
    names = {"temp": "AirTC Deg C Avg", "hum": "RH % Smp"}
    return {"table1.csv": lines(header, rows)}, renamed(readings([0]), "table1", names)


@shape("UK-DALE: seconds and a value, a space between, no header", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (f"{at.timestamp():.0f} {value(n, 0, 0)}" for n, at in enumerate(TIMES))
    named = renamed(readings([0], [0]), "channel_1", {"temp": "column_2"})
    return {"channel_1.txt": lines("", rows)}, named


@shape("no header: a switch of 0 and 1 among the numbers", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (f"{iso(at)},{n % 2},{value(n, 0, 0)}" for n, at in enumerate(TIMES))
    expected = [(at, "room", "column_2", float(n % 2)) for n, at in enumerate(TIMES)]
    expected += renamed(readings([0], [0]), "room", {"temp": "column_3"})
    return {"room.csv": lines("", rows)}, expected


@shape("a folder of files with dates and points in their names", 2)
def _() -> tuple[Files, list[Reading]]:
    header, *rows = wide_csv("time,temp,hum", time=iso).splitlines()
    parts = {"pump.2026.03": rows[:15], "pump.2026.04": rows[15:]}
    files = {f"{name}.csv": lines(header, part) for name, part in parts.items()}
    return files, renamed(readings([0]), "pump", {})


@shape("NASA POWER: a head in words, YEAR, MO, DY, HR, -999", 2)
def _() -> tuple[Files, list[Reading]]:
    head = [
        "-BEGIN HEADER-",
        "NASA/POWER Native Resolution Hourly Data ",
        "Dates (month/day/year): 03/12/2026 through 03/14/2026 in UTC ",
        "Location: Latitude  48.1   Longitude 11.5 ",
        "The value for missing source data that is outside of the sources availability range: -999 ",
        "-END HEADER-",
        "YEAR,MO,DY,HR,T2M,WS10M",
    ]
    hours = [START + timedelta(hours=n) for n in range(len(TIMES))]
    rows = [
        f"{at.year},{at.month},{at.day},{at.hour},{value(n, 0, 0)},{-999 if n == 4 else value(n, 0, 1)}"
        for n, at in enumerate(hours)
    ]
    expected = [
        (at, "power", name, value(n, 0, sensor))
        for n, at in enumerate(hours)
        for sensor, name in enumerate(("T2M", "WS10M"))
        if not (n == 4 and sensor == 1)
    ]
    return {"power.csv": lines("\n".join(head), rows)}, expected


@shape("pandas: the index of times became a column of that name", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = [f"{at:%Y-%m-%d %H:%M:%S},{value(n, 0, 0)},{value(n, 0, 1)}" for n, at in enumerate(TIMES)]
    return {"unit-a.csv": lines("index,temp,hum", rows)}, readings([0])


@shape("EPA air quality: codes of places before the measurement, date and time in two columns", 2)
def _() -> tuple[Files, list[Reading]]:
    header = (
        '"State Code","County Code","Site Num","Parameter Code","POC","Latitude","Longitude",'
        '"Parameter Name","Date GMT","Time GMT","Sample Measurement","Units of Measure","MDL","State Name"'
    )
    rows = [
        f'"01","003","0010","44201",1,30.49,-87.88,"Ozone","{at:%Y-%m-%d}","{at:%H:%M}",{value(n, 0, 0)},'
        '"Parts per million",0.005,"Alabama"'
        for n, at in enumerate(TIMES)
    ]
    return {"hourly.csv": lines(header, rows)}, renamed(readings([0], [0]), "0010", {"temp": "Ozone"})


@shape("SMA: six rows of header, some with numbers, the format of the time above the times", 2)
def _() -> tuple[Files, list[Reading]]:
    head = [
        "sep=;",
        "Version CSV1|Tool SE|Delimiter semicolon|Decimalpoint comma",
        "",
        ";SN: 2100;SN: 2100",
        ";Inverter A;Inverter A",
        ";2100;2100",
        ";Total yield;Power",
        ";Counter;Analog",
        "dd/MM/yyyy HH:mm:ss;kWh;kW",
    ]
    rows = [
        f"{at:%d/%m/%Y %H:%M:%S};{comma(value(n, 0, 0))};{comma(value(n, 0, 1))}"
        for n, at in enumerate(TIMES)
    ]
    parts = "SN: 2100 Inverter A 2100"
    names = {"temp": f"{parts} Total yield Counter kWh", "hum": f"{parts} Power Analog kW"}
    return {"plant.csv": lines("\n".join(head), rows)}, renamed(readings([0]), "plant", names)


@shape("R's write.table: names of rows without a name in the header", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = [
        f'"{n}","{at:%Y-%m-%d %H:%M:%S}",{value(n - 1, 0, 0)},{value(n - 1, 0, 1)}'
        for n, at in enumerate(TIMES, 1)
    ]
    return {"unit-a.txt": lines('"date","temp","hum"', rows)}, readings([0])
