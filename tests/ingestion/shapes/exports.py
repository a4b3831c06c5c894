"""The exports of loggers, historians, building controls and cloud services, as their users get them."""

from __future__ import annotations

import json
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
from tests.ingestion.shapes.wrapped import json_lines, per_device

SENSED = list(enumerate(SENSORS))


@shape("HOBO logger: a title in quotes, #, zone and serial number in names", 2)
def _() -> tuple[Files, list[Reading]]:
    head = (
        '"Plot Title: greenhouse 3"\n"#","Date Time, GMT-06:00","Temp, °C (LGR S/N: 104, SEN S/N: 104)",'
        '"RH, % (LGR S/N: 104, SEN S/N: 104)","Coupler Attached (LGR S/N: 104)"'
    )
    rows = [
        f"{n + 1},{at - timedelta(hours=6):%m/%d/%y %I:%M:%S %p},{value(n, 0, 0)},{value(n, 0, 1)},"
        f"{'Logged' if n == 20 else ''}"
        for n, at in enumerate(TIMES)
    ]
    names = {"temp": "Temp, °C (LGR S/N: 104, SEN S/N: 104)", "hum": "RH, % (LGR S/N: 104, SEN S/N: 104)"}
    return {"greenhouse.csv": lines(head, rows)}, renamed(readings([0]), "greenhouse", names)


@shape("Elitech logger: a report above the data, units in the names", 2)
def _() -> tuple[Files, list[Reading]]:
    head = (
        "Device Model,RC-5+\nSerial Number,EF7216\nStart Time,2026-03-12 20:00:00\n\n"
        "No.,Time,Temperature°C,Humidity%RH"
    )
    rows = (f"{n + 1},{at:%Y-%m-%d %H:%M:%S},{value(n, 0, 0)},{value(n, 0, 1)}" for n, at in enumerate(TIMES))
    names = {"temp": "Temperature°C", "hum": "Humidity%RH"}
    return {"EF7216.csv": lines(head, rows)}, renamed(readings([0]), "EF7216", names)


@shape("testo logger: Latin-1, semicolons, decimal comma, units in brackets", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        f"{n + 1};{at:%d.%m.%Y %H:%M:%S};{comma(value(n, 0, 0))};{comma(value(n, 0, 1))}"
        for n, at in enumerate(TIMES)
    )
    text = lines("ID;Datum/Uhrzeit;Temperatur[°C];Feuchte[%rF]", rows, "\r\n")
    names = {"temp": "Temperatur[°C]", "hum": "Feuchte[%rF]"}
    return {"testo.csv": text.encode("latin-1")}, renamed(readings([0]), "testo", names)


@shape("Modbus logger: BOM, semicolons, times with dashes, an empty last column", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        f"{at:%Y-%m-%d-%H:%M:%S};{name};{values['temp']};{values['hum']};"
        for at, name, values in per_device()
    )
    text = lines("Timestamp;Slave;temp;hum;", rows)
    return {"modbus.csv": b"\xef\xbb\xbf" + text.encode()}, readings()


@shape("PI System: tags, Bad and No Data as values", 2)
def _() -> tuple[Files, list[Reading]]:
    words = {3: "Bad", 7: "No Data", 11: "I/O Timeout", 12: "Pt Created"}
    rows, expected = [], []
    for n, (at, device, sensor, number) in enumerate(readings()):
        rows.append(f"{device}.{sensor},{at:%d-%b-%y %H:%M:%S},{words.get(n, number)}")
        expected += [] if n in words else [(at, "pi", f"{device}.{sensor}", number)]
    return {"pi.csv": lines("Tag,Timestamp,Value", rows)}, expected


@shape("Wonderware history: TagName, DateTime, Value, QualityDetail", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        f"{device}.{sensor},{at:%Y-%m-%d %H:%M:%S.0000000},{number},192"
        for at, device, sensor, number in readings()
    )
    expected = [(at, "history", f"{device}.{sensor}", number) for at, device, sensor, number in readings()]
    return {"history.csv": lines("TagName,DateTime,Value,QualityDetail", rows)}, expected


@shape("Zabbix history.get: itemid, clock, value, ns", 2)
def _() -> tuple[Files, list[Reading]]:
    items = {"temp": "23296", "hum": "23297"}
    records = [
        {"itemid": items[sensor], "clock": f"{at.timestamp():.0f}", "value": f"{number}", "ns": "563157632"}
        for at, _, sensor, number in readings([0])
    ]
    text = json.dumps({"jsonrpc": "2.0", "result": records, "id": 1})
    return {"zabbix.json": text}, renamed(readings([0]), "zabbix", items)


@shape("AWS IoT Analytics: a key a sensor, epoch in milliseconds, nested device", 2)
def _() -> tuple[Files, list[Reading]]:
    records = (
        {"thing": {"name": name}, "ts_ms": int(at.timestamp() * 1000), "state": values}
        for at, name, values in per_device()
    )
    return {"channel.jsonl": json_lines(records)}, readings()


@shape("Azure Data Explorer: CSV export of a query, seven digits of a second", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (f'"{at:%Y-%m-%dT%H:%M:%S.0000000Z}","{d}","{s}","{n}"' for at, d, s, n in readings())
    text = lines('"EnqueuedTime","DeviceId","Name","Value"', rows, "\r\n")
    return {"export.csv": b"\xef\xbb\xbf" + text.encode()}, readings()


@shape("Loxone: no header, day first, semicolons, decimal comma", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (f"{at:%d.%m.%Y %H:%M:%S};{comma(value(n, 0, 0))}" for n, at in enumerate(TIMES))
    return {"Wohnzimmer.csv": lines("", rows)}, renamed(
        readings([0], [0]), "Wohnzimmer", {"temp": "column_2"}
    )


@shape("ChirpStack uplinks: nested device, decoded object", 2)
def _() -> tuple[Files, list[Reading]]:
    records = (
        {
            "deduplicationId": f"{n:08x}",
            "time": f"{at:%Y-%m-%dT%H:%M:%S.120+00:00}",
            "deviceInfo": {"tenantId": "52f1", "deviceName": name, "devEui": "0102030405060708"},
            "fCnt": n,
            "object": values,
            "rxInfo": [
                {"gatewayId": "g1", "rssi": -57, "snr": 10.0},
                {"gatewayId": "g2", "rssi": -90, "snr": 1.0},
            ],
            "txInfo": {"frequency": 868100000},
        }
        for n, (at, name, values) in enumerate(per_device())
    )
    expected = [(at.replace(microsecond=120_000), *rest) for at, *rest in readings()]
    return {"uplinks.jsonl": json_lines(records)}, expected


@shape("Home Assistant long-term statistics: mean, min, max an entity", 2)
def _() -> tuple[Files, list[Reading]]:
    rows, expected = [], []
    for at, device, sensor, number in readings():
        entity = f"sensor.{device}_{sensor}"
        rows.append(f"{entity},{at:%Y-%m-%d %H:%M},{number},{number - 1:.2f},{number + 1:.2f}")
        for name, one in (("mean", number), ("min", number - 1), ("max", number + 1)):
            expected.append((at, entity, name, round(one, 2)))
    return {"statistics.csv": lines("statistic_id,start,mean,min,max", rows)}, expected


@shape("Grafana: series as columns, units behind the numbers", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        f'"{at:%Y-%m-%d %H:%M:%S}","{value(n, 0, 0)} °C","{value(n, 0, 1)} %"' for n, at in enumerate(TIMES)
    )
    return {"board.csv": lines('"Time","temp","hum"', rows)}, renamed(readings([0]), "board")


@shape("Siemens trend: VarName, TimeString, VarValue, Validity, Time_ms", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        f'"{device}.{sensor}";"{at:%d.%m.%Y %H:%M:%S}";{comma(number)};1;'
        f"{comma(round((at.timestamp() / 86400 + 25569) * 1e6, 3))}"
        for at, device, sensor, number in readings()
    )
    expected = [(at, "trend", f"{device}.{sensor}", number) for at, device, sensor, number in readings()]
    return {
        "trend.csv": lines('"VarName";"TimeString";"VarValue";"Validity";"Time_ms"', rows, "\r\n")
    }, expected


@shape("Tuya export: Chinese names", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (f"{at:%Y/%m/%d %H:%M:%S},{value(n, 0, 0)},{value(n, 0, 1)}" for n, at in enumerate(TIMES))
    names = {"temp": "温度(℃)", "hum": "湿度(%RH)"}
    return {"客厅.csv": lines("时间,温度(℃),湿度(%RH)", rows)}, renamed(readings([0]), "客厅", names)


@shape("Bosch production line: an id a part, a time in seconds since the start", 0)
def _() -> tuple[Files, str]:
    rows = (f"{n},{n * 0.25:.2f},{value(n, 0, 0)},{value(n, 0, 1)}" for n in range(30))
    return {"press.csv": lines("cycle,t_s,force,travel", rows)}, "no column is a time"


@shape("SCADA of a wind farm: a column a turbine and signal, two header lines", 2)
def _() -> tuple[Files, list[Reading]]:
    head = "Timestamp,WT01,WT01,WT02,WT02\n,temp,hum,temp,hum"
    rows = (
        ",".join([f"{at:%d/%m/%Y %H:%M}", *(f"{value(n, d, s)}" for d in (0, 1) for s in (0, 1))])
        for n, at in enumerate(TIMES)
    )
    expected = [
        (at, "farm", f"WT0{DEVICES.index(device) + 1} {sensor}", number)
        for at, device, sensor, number in readings()
    ]
    return {"farm.csv": lines(head, rows)}, expected


@shape("Node-RED: JSON lines with topic, payload and milliseconds", 2)
def _() -> tuple[Files, list[Reading]]:
    records = (
        {"topic": f"plant/{d}/{s}", "payload": n, "timestamp": int(at.timestamp() * 1000), "_msgid": "a1"}
        for at, d, s, n in readings()
    )
    expected = [(at, "mqtt", f"plant/{d}/{s}", n) for at, d, s, n in readings()]
    return {"mqtt.jsonl": json_lines(records)}, expected


@shape("MQTT messages: payload with quality of service and retain beside it", 2)
def _() -> tuple[Files, list[Reading]]:
    records = (
        {"topic": f"{d}/{s}", "payload": n, "qos": 0, "retain": False, "_msgid": f"{k:016x}", "ts": iso(at)}
        for k, (at, d, s, n) in enumerate(readings())
    )
    expected = [(at, "mqtt", f"{d}/{s}", n) for at, d, s, n in readings()]
    return {"mqtt.jsonl": json_lines(records)}, expected


@shape("Zigbee2MQTT: an object a message, devices by their topic", 2)
def _() -> tuple[Files, list[Reading]]:
    records = (
        {"topic": f"zigbee2mqtt/{DEVICES[k % 2]}", "payload": {s: value(k, k % 2, n) for n, s in SENSED}}
        | {"timestamp": iso(at)}
        for k, at in enumerate(TIMES)
    )
    expected = [
        (at, f"zigbee2mqtt/{DEVICES[k % 2]}", s, value(k, k % 2, n))
        for k, at in enumerate(TIMES)
        for n, s in SENSED
    ]
    return {"zigbee.jsonl": json_lines(records)}, expected


@shape("openHAB export by REST: name, list of time and state in text", 2)
def _() -> tuple[Files, list[Reading]]:
    data = [{"time": int(at.timestamp() * 1000), "state": f"{n}"} for at, _, _, n in readings([0], [0])]
    text = json.dumps({"name": "Kitchen_Temp", "datapoints": "30", "data": data})
    return {"kitchen.json": text}, renamed(readings([0], [0]), "Kitchen_Temp", {"temp": "state"})


@shape("SQL dump: NULL for missing, seven columns, schema in the names", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        f"{k},{at:%Y-%m-%d %H:%M:%S.000000},{d},{s},{'NULL' if k == 9 else n},{k % 3},{at:%Y-%m-%d}"
        for k, (at, d, s, n) in enumerate(readings())
    )
    expected = [row for k, row in enumerate(readings()) if k != 9]
    return {"dump.csv": lines("id,measured_at,asset_name,metric_name,metric_value,shift,day", rows)}, expected


@shape("Kaggle pump set: sensors by number, status in words, a time a minute", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        f"{at:%Y-%m-%d %H:%M:%S},{value(n, 0, 0)},{value(n, 0, 1)},{'BROKEN' if n == 9 else 'NORMAL'}"
        for n, at in enumerate(TIMES)
    )
    names = {"temp": "sensor_00", "hum": "sensor_01"}
    text = lines("timestamp,sensor_00,sensor_01,machine_status", rows)
    return {"pump.csv": text}, renamed(readings([0]), "pump", names)


@shape("a folder a machine, below it a folder a part: wide files", 2)
def _() -> tuple[Files, list[Reading]]:
    files, expected = {}, []
    for machine in ("press-1", "press-2"):
        for d, part in enumerate(("motor", "gear")):
            rows = (f"{iso(at)},{value(n, d, 0)},{value(n, d, 1)}" for n, at in enumerate(TIMES))
            files[f"{machine}/{part}/log.csv"] = lines("time,temp,hum", rows)
            expected += [(at, machine, f"{part} {sensor}", number) for at, _, sensor, number in readings([d])]
    return files, expected


@shape("a folder a machine, below it a folder a part: a file a sensor", 2)
def _() -> tuple[Files, list[Reading]]:
    files, expected = {}, []
    for machine in ("press-1", "press-2"):
        for d, part in enumerate(("motor", "gear")):
            for s, sensor in enumerate(("temp", "hum")):
                rows = (f"{iso(at)},{value(n, d, s)}" for n, at in enumerate(TIMES))
                files[f"{machine}/{part}/{sensor}.csv"] = lines("time,value", rows)
            expected += [(at, f"{machine}/{part}", sensor, number) for at, _, sensor, number in readings([d])]
    return files, expected


@shape("times such as 20260312T20:00:00, long", 1)
def _() -> tuple[Files, list[Reading]]:
    rows = (f"{at:%Y%m%dT%H:%M:%S},{d},{s},{n}" for at, d, s, n in readings())
    return {"rows.csv": lines("timestamp,device,sensor,value", rows)}, readings()


@shape("French export: Date, Heure, decimal comma, blanks in thousands", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        f"{at:%d/%m/%Y};{at:%H:%M};{name};{comma(values['temp'])};1 {comma(200 + values['hum'])[:6]}"
        for at, name, values in per_device()
    )
    expected = [(at, d, s, n if s == "temp" else float(f"1{200 + n:.2f}"[:7])) for at, d, s, n in readings()]
    return {"releve.csv": lines("Date;Heure;Appareil;temp;hum", rows)}, expected


@shape("JSON of columns: a list a column, the device beside them", 2)
def _() -> tuple[Files, list[Reading]]:
    columns = {"time": [iso(at) for at in TIMES], "temp": [value(n, 0, 0) for n in range(30)]}
    text = json.dumps({"device": "unit-a"} | columns | {"hum": [value(n, 0, 1) for n in range(30)]})
    return {"columns.json": text}, readings([0])


@shape("Open-Meteo: a list a column, below one key", 2)
def _() -> tuple[Files, list[Reading]]:
    hourly = {"time": [f"{at:%Y-%m-%dT%H:%M}" for at in TIMES], "temp": [value(n, 0, 0) for n in range(30)]}
    text = json.dumps({"latitude": 52.5, "elevation": 38.0, "hourly": hourly}, indent=1)
    return {"meteo.json": text}, renamed(readings([0], [0]), "meteo")


@shape("Stream Analytics: a time of an unknown name beside the hub's", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        f"{iso(at)},{name},{value(step, device, 0)},{iso(at + timedelta(seconds=7))},1"
        for step, at in enumerate(TIMES)
        for device, name in enumerate(DEVICES)
    )
    names = "Zeitstempel,device,temp,EventEnqueuedUtcTime,PartitionId"
    return {"a.csv": lines(names, rows)}, readings(sensors=[0])


@shape("Stream Analytics: its times and the hub's beside the readings", 1)
def _() -> tuple[Files, list[Reading]]:
    records = (
        {
            "deviceId": name,
            **values,
            "EventProcessedUtcTime": iso(at + timedelta(seconds=7)),
            "PartitionId": 1,
            "EventEnqueuedUtcTime": iso(at),
            "IoTHub": {
                "ConnectionDeviceId": name,
                "ConnectionDeviceGenerationId": "637",
                "EnqueuedTime": iso(at),
            },
        }
        for at, name, values in per_device()
    )
    return {"out.json": json_lines(records)}, readings()


@shape("AWS IoT: states a device reports, with their times", 2)
def _() -> tuple[Files, list[Reading]]:
    records = (
        {
            "state": {"reported": values},
            "metadata": {"reported": {"temp": {"timestamp": int(at.timestamp())}}},
            "version": n,
            "timestamp": int(at.timestamp()),
            "thingName": name,
        }
        for n, (at, name, values) in enumerate(per_device())
    )
    return {"shadow.json": json_lines(records)}, readings()


@shape("OPC UA server: NodeId, two times, StatusCode", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        f"ns=2|{d}.{s},{iso(at)},{iso(at)},{n},{'Bad_NoCommunication' if at == TIMES[4] else 'Good'}"
        for at, d, s, n in readings()
    )
    expected = [(at, f"ns=2|{d}.{s}", "Value", n) for at, d, s, n in readings()]
    return {"opcua.csv": lines("NodeId,SourceTimestamp,ServerTimestamp,Value,StatusCode", rows)}, expected


@shape("a file a device and day, in one folder", 2)
def _() -> tuple[Files, list[Reading]]:
    files: dict[str, list[str]] = {}
    for n, at in enumerate(TIMES):
        for d, device in enumerate(DEVICES):
            rows = files.setdefault(f"{device}_{at:%Y%m%d}.csv", [])
            rows.append(f"{iso(at)},{value(n, d, 0)},{value(n, d, 1)}")
    return {name: lines("time,temp,hum", rows) for name, rows in files.items()}, readings()


@shape("a row a month (2026-03)", 2)
def _() -> tuple[Files, list[Reading]]:
    months = [datetime(2020 + n // 12, n % 12 + 1, 1, tzinfo=UTC) for n in range(len(TIMES))]
    rows = (f"{at:%Y-%m},{value(n, 0, 0)}" for n, at in enumerate(months))
    return {"meter.csv": lines("month,kwh", rows)}, [
        (at, "meter", "kwh", value(n, 0, 0)) for n, at in enumerate(months)
    ]


@shape("a clock of 12 hours without AM and PM", 0)
def _() -> tuple[Files, str]:
    times = [at + timedelta(hours=hours) for hours in (0, 6, 12, 18) for at in TIMES]
    return {
        "log.csv": lines("time,temp", (f"{at:%Y-%m-%d %I:%M:%S},20.5" for at in sorted(times)))
    }, "AM and PM"


@shape("milliseconds that a spreadsheet has rounded: 1.77335E+12", 0)
def _() -> tuple[Files, str]:
    rows = (f"{at.timestamp() * 1000:.5E},{value(n, 0, 0)}" for n, at in enumerate(TIMES))
    return {"log.csv": lines("ts,temp", rows)}, "export all digits"
