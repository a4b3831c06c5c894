"""JSON and Avro: records, nested records, and the envelopes of services."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import fastavro

from tests.ingestion.shapes.fleet import (
    DEVICES,
    SENSORS,
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

_CAPTURE = {
    "type": "record",
    "name": "EventData",
    "namespace": "Microsoft.ServiceBus.Messaging",
    "fields": [
        {"name": "SequenceNumber", "type": "long"},
        {"name": "Offset", "type": "string"},
        {"name": "EnqueuedTimeUtc", "type": "string"},
        {
            "name": "SystemProperties",
            "type": {"type": "map", "values": ["long", "double", "string", "bytes"]},
        },
        {
            "name": "Properties",
            "type": {"type": "map", "values": ["long", "double", "string", "bytes", "null"]},
        },
        {"name": "Body", "type": ["null", "bytes"]},
    ],
}


def json_lines(records: Iterable[Any]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def per_device() -> list[tuple[Any, str, dict[str, float]]]:
    """Time, device and the values of both sensors."""
    return [
        (at, name, {"temp": value(step, device, 0), "hum": value(step, device, 1)})
        for step, at in enumerate(TIMES)
        for device, name in enumerate(DEVICES)
    ]


@shape("JSON, one object a line", 1)
def _() -> tuple[Files, list[Reading]]:
    return {
        "a.jsonl": json_lines(
            {"ts": iso(at), "device": d, "tag": s, "value": n} for at, d, s, n in readings()
        )
    }, readings()


@shape("JSON, one array", 1)
def _() -> tuple[Files, list[Reading]]:
    rows = [{"time": iso(at), "deviceId": d, "metric": s, "val": n} for at, d, s, n in readings()]
    return {"a.json": json.dumps(rows, indent=1)}, readings()


@shape("JSON with other names", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = ({"when": iso(at), "machine": d, "quantity": s, "amount": n} for at, d, s, n in readings())
    return {"a.jsonl": json_lines(rows)}, readings()


@shape("JSON, a key a sensor", 1)
def _() -> tuple[Files, list[Reading]]:
    return {
        "a.jsonl": json_lines({"time": iso(at), "device": d, **both} for at, d, both in per_device())
    }, readings()


@shape("JSON, nested", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        {"meta": {"device": {"id": d}, "at": iso(at)}, "m": {"sensor": s, "value": n}}
        for at, d, s, n in readings()
    )
    return {"a.jsonl": json_lines(rows)}, readings()


@shape("JSON, a list in an object", 1)
def _() -> tuple[Files, list[Reading]]:
    rows = [{"time": iso(at), "device": d, "sensor": s, "value": n} for at, d, s, n in readings()]
    return {"a.json": json.dumps({"count": len(rows), "data": rows}, indent=1)}, readings()


@shape("ThingSpeak feed, JSON", 2)
def _() -> tuple[Files, list[Reading]]:
    feeds = [
        {
            "created_at": iso(at),
            "entry_id": n + 1,
            "field1": f"{value(n, 0, 0)}",
            "field2": f"{value(n, 0, 1)}",
        }
        for n, at in enumerate(TIMES)
    ]
    channel = {
        "id": 9,
        "name": "my weather",
        "field1": "Temp",
        "field2": "Hum",
        "created_at": "2020-01-01T00:00:00Z",
    }
    return {"feeds.json": json.dumps({"channel": channel, "feeds": feeds})}, renamed(
        readings([0]), "my weather", {"temp": "field1", "hum": "field2"}
    )


def ttn_uplinks() -> list[dict[str, object]]:
    gateway = {"rssi": -97, "snr": 7.2, "timestamp": 99, "location": {"latitude": 48.1, "longitude": 9.1}}
    return [
        {
            "end_device_ids": {"device_id": d, "application_ids": {"application_id": "plant"}},
            "received_at": iso(at),
            "uplink_message": {"f_port": 1, "f_cnt": 7, "frm_payload": "AQ==", "decoded_payload": both,
                               "rx_metadata": [gateway], "received_at": iso(at)},
        }
        for at, d, both in per_device()
    ]  # fmt: skip


@shape("The Things Network uplinks", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"ttn.jsonl": json_lines(ttn_uplinks())}, readings()


@shape("The Things Network, its storage", 1)
def _() -> tuple[Files, list[Reading]]:
    return {"ttn.jsonl": json_lines({"result": one} for one in ttn_uplinks())}, readings()


def property_values(device: int, sensor: int) -> list[dict[str, object]]:
    return [
        {
            "value": {"doubleValue": value(n, device, sensor)},
            "timestamp": {"timeInSeconds": int(at.timestamp()), "offsetInNanos": 250_000_000},
            "quality": "GOOD",
        }
        for n, at in enumerate(TIMES)
    ]


def later(rows: Iterable[Reading]) -> list[Reading]:
    return [(at.replace(microsecond=250_000), *rest) for at, *rest in rows]  # type: ignore[misc]


@shape("AWS IoT SiteWise: histories of several properties", 2)
def _() -> tuple[Files, list[Reading]]:
    entries = [
        {"entryId": f"{d}{s}", "propertyAlias": f"/{name}/{sensor}", "propertyValues": property_values(d, s)}
        for d, name in enumerate(DEVICES)
        for s, sensor in enumerate(SENSORS)
    ]
    return {"entries.json": json.dumps({"entries": entries})}, later(readings())


@shape("AWS IoT SiteWise: the history of a property", 2)
def _() -> tuple[Files, list[Reading]]:
    text = json.dumps({"assetPropertyValueHistory": property_values(0, 0)}, indent=4)
    return {"pump.json": text}, renamed(later(readings([0], [0])), "pump", {"temp": "value"})


@shape("SenML packs", 2)
def _() -> tuple[Files, list[Reading]]:
    packs = (
        [
            {"bn": f"{d}/", "bt": at.timestamp(), "n": "temp", "u": "Cel", "v": both["temp"]},
            {"n": "hum", "u": "%RH", "v": both["hum"]},
        ]
        for at, d, both in per_device()
    )
    return {"senml.jsonl": json_lines(packs)}, readings()


@shape("Telegraf, JSON", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        {"fields": both, "name": "climate", "tags": {"host": d}, "timestamp": int(at.timestamp())}
        for at, d, both in per_device()
    )
    names = {"temp": "climate.temp", "hum": "climate.hum"}
    return {"telegraf.jsonl": json_lines(rows)}, renamed(readings(), sensors=names)


@shape("Prometheus range query", 2)
def _() -> tuple[Files, list[Reading]]:
    result = [
        {
            "metric": {"__name__": sensor, "instance": device},
            "values": [[at.timestamp(), str(n)] for at, d, s, n in readings() if (d, s) == (device, sensor)],
        }
        for device in DEVICES
        for sensor in ("temp", "hum")
    ]
    text = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})
    return {"range.json": text}, readings()


@shape("IoT Hub routed to Blob Storage", 1)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        {
            "EnqueuedTimeUtc": iso(at),
            "Properties": {},
            "SystemProperties": {"connectionDeviceId": d, "enqueuedTime": iso(at)},
            "Body": base64.b64encode(json.dumps(both).encode()).decode(),
        }
        for at, d, both in per_device()
    )
    return {"routed.json": json_lines(rows)}, readings()


@shape("Event Hubs Capture (.avro)", 1)
def _() -> tuple[Files, list[Reading]]:
    bodies = [{"ts": iso(at), "device": d, "sensor": s, "value": n} for at, d, s, n in readings()]
    return {"capture.avro": _captured([(body, {}) for body in bodies])}, readings()


@shape("Event Hubs Capture of an IoT Hub: the device in the properties", 1)
def _() -> tuple[Files, list[Reading]]:
    events = [
        (both, {"iothub-connection-device-id": d, "iothub-enqueuedtime": iso(at)})
        for at, d, both in per_device()
    ]
    return {"capture.avro": _captured(events)}, readings()


@shape("Event Hubs Capture of events with other names", 2)
def _() -> tuple[Files, list[Reading]]:
    bodies = [{"id": d, "when": iso(at), "data": both} for at, d, both in per_device()]
    return {"capture.avro": _captured([(body, {}) for body in bodies])}, readings()


def _captured(events: Iterable[tuple[Any, dict[str, str]]]) -> bytes:
    records = [
        {
            "SequenceNumber": number,
            "Offset": str(number),
            "EnqueuedTimeUtc": "3/13/2026 9:00:00 AM",
            "SystemProperties": system,
            "Properties": {},
            "Body": json.dumps(body).encode(),
        }
        for number, (body, system) in enumerate(events)
    ]
    sink = io.BytesIO()
    fastavro.writer(sink, _CAPTURE, records)
    return sink.getvalue()


@shape("JSON, a list of readings in each item of a list", 2)
def _() -> tuple[Files, list[Reading]]:
    devices = [
        {
            "id": d,
            "readings": [
                {"t": iso(at), "temp": value(k, n, 0), "hum": value(k, n, 1)} for k, at in enumerate(TIMES)
            ],
        }
        for n, d in enumerate(DEVICES)
    ]
    return {"fleet.json": json.dumps({"devices": devices})}, readings()


@shape("JSON, a list of points in each sensor of each device", 2)
def _() -> tuple[Files, list[Reading]]:
    devices = [
        {
            "id": d,
            "sensors": [
                {"id": s, "points": [{"t": iso(at), "v": value(k, n, m)} for k, at in enumerate(TIMES)]}
                for m, s in enumerate(SENSORS)
            ],
        }
        for n, d in enumerate(DEVICES)
    ]
    return {"fleet.json": json.dumps({"site": "north", "devices": devices})}, readings()


@shape("ThingsBoard: a list of times and values for each key", 2)
def _() -> tuple[Files, list[Reading]]:
    series = {
        s: [{"ts": epoch_ms(at), "value": str(value(k, 0, m))} for k, at in enumerate(TIMES)]
        for m, s in enumerate(SENSORS)
    }
    return {"unit-a.json": json.dumps(series)}, readings([0])


@shape("InfluxDB: answer of a query, JSON", 2)
def _() -> tuple[Files, list[Reading]]:
    series = [
        {
            "name": "climate",
            "tags": {"host": d},
            "columns": ["time", *SENSORS],
            "values": [[iso(at), value(k, n, 0), value(k, n, 1)] for k, at in enumerate(TIMES)],
        }
        for n, d in enumerate(DEVICES)
    ]
    return {"query.json": json.dumps({"results": [{"statement_id": 0, "series": series}]})}, readings()


@shape("Log Analytics: answer of a query, JSON", 2)
def _() -> tuple[Files, list[Reading]]:
    columns = [
        {"name": "TimeGenerated", "type": "datetime"},
        {"name": "DeviceId", "type": "string"},
        *({"name": s, "type": "real"} for s in SENSORS),
    ]
    rows = [[iso(at), d, *both.values()] for at, d, both in per_device()]
    table = {"name": "PrimaryResult", "columns": columns, "rows": rows}
    return {"logs.json": json.dumps({"tables": [table]})}, readings()


@shape("pandas: to_json(), a key a column, times as its index", 2)
def _() -> tuple[Files, list[Reading]]:
    columns = {
        s: {str(epoch_ms(at)): value(k, 0, m) for k, at in enumerate(TIMES)} for m, s in enumerate(SENSORS)
    }
    return {"unit-a.json": json.dumps(columns)}, readings([0])


@shape('pandas: to_json(orient="index")', 2)
def _() -> tuple[Files, list[Reading]]:
    rows = {iso(at): {s: value(k, 0, m) for m, s in enumerate(SENSORS)} for k, at in enumerate(TIMES)}
    return {"unit-a.json": json.dumps(rows)}, readings([0])


@shape('pandas: to_json(orient="split")', 2)
def _() -> tuple[Files, list[Reading]]:
    data = [[epoch_ms(at), d, *both.values()] for at, d, both in per_device()]
    split = {"columns": ["timestamp", "device", *SENSORS], "index": list(range(len(data))), "data": data}
    return {"split.json": json.dumps(split)}, readings()


@shape("messages of a broker: JSON as text within JSON", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        {"ts": iso(at), "topic": d, "qos": 1, "payload": json.dumps(both)} for at, d, both in per_device()
    )
    return {"broker.log": json_lines(rows)}, readings()


@shape("a table with a column of JSON", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (
        f'{1000 + n},{iso(at)},{d},"{json.dumps(both | {"state": "ok"}).replace(chr(34), chr(34) * 2)}"'
        for n, (at, d, both) in enumerate(per_device())
    )
    return {"messages.csv": lines("id,received_at,dev_eui,payload", rows)}, readings()


@shape("InfluxDB line protocol (.lp)", 2)
def _() -> tuple[Files, list[Reading]]:
    rows = (f"climate,sensor_id={d} {s}={n} {epoch_ms(at) * 1_000_000}" for at, d, s, n in readings())
    names = {s: f"climate.{s}" for s in SENSORS}
    return {"export.lp": lines("# INFLUXDB EXPORT", rows)}, renamed(readings(), "", names)


def epoch_ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
