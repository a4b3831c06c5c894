"""JSON in the forms that services wrap readings in, and what is stated of an event beside its body."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import fastavro
import pyarrow.parquet as pq
import pytest

from batch_scoring.datasets.raw_readings import RawReadings
from batch_scoring.event_hub.batches import PartitionBuffer
from batch_scoring.event_hub.properties import DEVICE, ENQUEUED, properties_text
from batch_scoring.ingestion.inspection import inspect_files
from batch_scoring.ingestion.inspection.rendering import as_text
from batch_scoring.ingestion.source_files import list_source_files
from tests.ingestion.test_capture import CAPTURE_SCHEMA
from tests.ingestion.test_cases import AT, ROWS, STORED, ingest
from tests.pipelines.ingest.ingestion import Store, write_json_lines, write_lines
from tests.pipelines.ingest.test_events import land

pytestmark = pytest.mark.slow


def routed(encoded: bool = True, **properties: Any) -> list[dict[str, Any]]:
    """Messages as IoT Hub routes them to Blob Storage."""
    return [
        {
            "EnqueuedTimeUtc": time,
            "Properties": properties,
            "SystemProperties": {"connectionDeviceId": device, "enqueuedTime": time},
            "Body": base64.b64encode(json.dumps(body).encode()).decode() if encoded else body,
        }
        for time, device, *values in ROWS
        for body in [dict(zip(("temp", "hum"), values, strict=True))]
    ]


@pytest.mark.parametrize("encoded", [True, False])
def test_routed_messages_of_iot_hub_are_known_by_themselves(store: Store, tmp_path: Path, encoded: bool):
    assert ingest(store, write_json_lines(tmp_path / "routed.json", *routed(encoded))) == STORED


def test_a_list_of_routed_messages_is_read_by_name(store: Store, tmp_path: Path):
    (tmp_path / "a.json").write_text(json.dumps(routed(), indent=1))
    assert ingest(store, tmp_path / "a.json", envelope="iothub") == STORED


def test_what_a_body_states_itself_counts_first(store: Store, tmp_path: Path):
    body = {"ts": "2026-03-01T00:00:00Z", "device": "behind-gateway", "sensor": "s", "value": 1.5}
    message = routed(encoded=False)[0] | {"Body": [body, {"device": "other", "x": 2}]}
    assert ingest(store, write_json_lines(tmp_path / "a.json", message)) == [
        ("2026-03-01T00:00:00.000000", "behind-gateway", "s", 1.5),
        ("2026-03-02T00:00:00.000000", "other", "x", 2.0),
    ]


def test_application_properties_may_name_a_role(store: Store, tmp_path: Path):
    source = write_json_lines(tmp_path / "a.json", *routed(line=7)[::2])
    found = ingest(store, source, columns={"device": "properties.line"}, wide={"sensors": ["temp"]})
    assert [row[1:] for row in found] == [("7", "temp", 19.76), ("7", "temp", 20.1)]


def test_a_message_that_is_broken_is_refused_by_itself(store: Store, tmp_path: Path):
    lines = [json.dumps(one) for one in routed()]
    lines[2:2] = ["{oops", json.dumps({"Body": 1}), json.dumps(routed()[0] | {"Body": "bm8gSlNPTg=="})]
    counts = store.ingest(write_lines(tmp_path / "a.json", lines), at=AT)
    assert sorted(store.readings()) == STORED
    assert counts["refused"] == {"malformed_row": 3}


STATED = [{DEVICE: device, ENQUEUED: time} for time, device, *_ in ROWS]
BODIES = [json.dumps({"temp": temp, "hum": hum}) for *_, temp, hum in ROWS]


def test_received_events_of_iot_hub_have_their_device_and_time(store: Store, tmp_path: Path):
    land(tmp_path / "landed", *BODIES, properties=[properties_text(one, None) for one in STATED])
    assert ingest(store, tmp_path / "landed") == STORED


def test_files_that_landed_before_properties_were_kept_are_read(store: Store, tmp_path: Path):
    own = [{"device": one[DEVICE], "ts": one[ENQUEUED]} for one in STATED]
    bodies = [json.dumps(json.loads(body) | more) for body, more in zip(BODIES, own, strict=True)]
    path = land(tmp_path / "landed", *bodies)
    pq.write_table(pq.read_table(path).drop_columns(["properties"]), path)
    assert ingest(store, tmp_path / "landed") == STORED


def test_captured_events_of_iot_hub_have_their_device_and_time(store: Store, tmp_path: Path):
    events = [
        {
            "SequenceNumber": n,
            "Offset": str(n),
            "EnqueuedTimeUtc": "",
            "Properties": {},
            "Body": body.encode(),
        }
        | {"SystemProperties": stated}
        for n, (stated, body) in enumerate(zip(STATED, BODIES, strict=True))
    ]
    with (tmp_path / "a.avro").open("wb") as file:
        fastavro.writer(file, CAPTURE_SCHEMA, events)
    assert ingest(store, tmp_path / "a.avro") == STORED


class Received:
    """An event as the client of Event Hubs hands it over."""

    def __init__(self, number: int, body: bytes, more: dict[bytes, Any], own: dict[bytes, Any] | None):
        self.body = iter([body])
        self.raw_amqp_message = self
        place = {b"x-opt-sequence-number": number, b"x-opt-offset": b"0", b"x-opt-enqueued-time": 0}
        self.annotations = place | more
        self.application_properties = own


def test_the_receiver_keeps_what_is_stated_of_an_event():
    buffer = PartitionBuffer("0", last=-1, end=9)
    of_hub = {DEVICE.encode(): b"unit-a", ENQUEUED.encode(): 1772409600000, b"iothub-connection-auth": b"x"}
    buffer.take([Received(0, b"{}", {}, None), Received(1, b"{}", of_hub, {b"line": 7})], 10)
    table = buffer.empty()
    assert table is not None
    nothing, stated = table["properties"].to_pylist()
    assert nothing is None
    assert json.loads(stated) == {
        DEVICE: "unit-a",
        ENQUEUED: "2026-03-02T00:00:00+00:00",
        "properties": {"line": 7},
    }


def test_senml_is_read(store: Store, tmp_path: Path):
    packs = [
        [
            {"bn": f"urn:dev:{device}:", "bt": 1772409600 + 600 * (n // 2), "n": "temp", "v": temp},
            {"n": "hum", "bv": 1, "v": hum - 1, "t": 0},
        ]
        for n, (_, device, temp, hum) in enumerate(ROWS)
    ]
    found = ingest(store, write_lines(tmp_path / "a.jsonl", list(map(json.dumps, packs))), envelope="senml")
    assert [
        (time, device.removeprefix("urn:dev:"), s, pytest.approx(v)) for time, device, s, v in found
    ] == STORED


def test_a_senml_name_may_be_whole(store: Store, tmp_path: Path):
    (tmp_path / "a.json").write_text(json.dumps([{"n": "room/7/temp", "t": 1772409600.5, "v": 1.5}]))
    assert ingest(store, tmp_path / "a.json", envelope="senml") == [
        ("2026-03-02T00:00:00.500000", "room/7", "temp", 1.5)
    ]


def test_telegraf_is_read(store: Store, tmp_path: Path):
    metrics = [
        {
            "fields": {"temp": temp, "hum": hum},
            "name": "air",
            "tags": {"host": device, "room": "x"},
            "timestamp": 1772409600 + 600 * (n // 2),
        }
        for n, (_, device, temp, hum) in enumerate(ROWS)
    ]
    (tmp_path / "a.json").write_text(json.dumps({"metrics": metrics}))
    found = ingest(store, tmp_path / "a.json", envelope="telegraf")
    named = [
        (time, device, s.removeprefix("air.").removesuffix(",room=x"), v) for time, device, s, v in found
    ]
    assert sorted(named) == STORED
    assert found[0][2] == "air.hum,room=x"
    other = ingest(
        Store(tmp_path / "b"), tmp_path / "a.json", envelope="telegraf", columns={"device": "tags.room"}
    )
    assert {row[1] for row in other} == {"x"}


def test_ttn_uplinks_are_read(store: Store, tmp_path: Path):
    records = [
        {
            "end_device_ids": {"device_id": device, "application_ids": {"application_id": "a"}},
            "received_at": "2026-03-02T09:00:00Z",
            "uplink_message": {
                "f_port": 1,
                "received_at": time,
                "decoded_payload": {"temp": temp, "hum": hum},
            },
        }
        for time, device, temp, hum in ROWS
    ]
    assert ingest(store, write_json_lines(tmp_path / "a.jsonl", *records), envelope="ttn") == STORED


def test_range_queries_of_prometheus_are_read(store: Store, tmp_path: Path):
    result = [
        {
            "metric": {"__name__": sensor, "instance": device, "job": "j"},
            "values": [[1772409600 + 600 * n, str(row[at])] for n, row in enumerate(ROWS[first::2])],
        }
        for first, device in enumerate(("unit-a", "unit-b"))
        for at, sensor in ((2, "temp"), (3, "hum"))
    ]
    result[0]["metric"]["chip"] = "c1"
    (tmp_path / "a.json").write_text(
        json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}, indent=1)
    )
    found = ingest(store, tmp_path / "a.json", envelope="prometheus")
    assert sorted((time, device, s.partition("{")[0], v) for time, device, s, v in found) == STORED
    assert 'temp{chip="c1"}' in {row[2] for row in found}


def test_a_text_of_json_that_is_broken_is_refused_and_the_other_rows_are_stored(store: Store, tmp_path: Path):
    rows = ['2026-03-01T00:00:00Z,a,"{""temp"": 1.5}"', '2026-03-01T00:01:00Z,a,"{""temp"": 1."']
    path = write_lines(tmp_path / "a.csv", ["ts,device,payload", *rows])
    counts = store.ingest(path, at=AT, group={"envelope": "json_text"})
    assert counts["rows"] == 2
    assert [row[1:] for row in store.readings()] == [("a", "temp", 1.5)]
    assert [row["row"] for row in store.quarantine()] == [2]


def test_what_stands_farther_out_keeps_its_name_in_nested_lists(store: Store, tmp_path: Path):
    points = [{"ts": time, "value": temp} for time, device, temp, _ in ROWS if device == "unit-a"]
    site = {"id": "north", "units": [{"id": "unit-a", "sensors": [{"id": "temp", "points": points}]}]}
    (tmp_path / "a.json").write_text(json.dumps(site))
    named = {"device": "units.id", "sensor": "sensors.id"}
    found = ingest(store, tmp_path / "a.json", envelope="nested", columns=named)
    assert found == [row for row in STORED if row[1:3] == ("unit-a", "temp")]


@pytest.mark.parametrize(("more", "is_stored"), [([], True), (None, True), (5, False), ("x", False)])
def test_a_list_among_lists_may_be_empty_and_no_other_item_is_lost(store: Store, tmp_path, more, is_stored):
    lists = [
        [{"ts": time, "device": device, "temp": temp} for time, device, temp, _ in ROWS if device == one]
        for one in ("unit-a", "unit-b")
    ]
    (tmp_path / "a.json").write_text(json.dumps([lists[0], more, lists[1]]))
    found = inspect_files(RawReadings(str(tmp_path / "a.json")).load(), {})
    assert ("nested" in as_text(found, "a.json")) == is_stored
    counts = store.ingest(tmp_path / "a.json", at=AT, group={"envelope": "nested"})
    expected = (len(ROWS), {}) if is_stored else (0, {"malformed_row": 1})
    assert (counts["stored"], counts["refused"]) == expected


@pytest.mark.parametrize(
    ("content", "is_read"),
    [
        (b"ts,device,sensor,value\n2026-03-01T00:00:00Z,a,s,1.5\n", True),
        (b"\x89HDF\r\n\x1a\n\x00\x00", False),
    ],
)
def test_a_file_named_by_itself_needs_no_known_suffix_where_it_holds_text(
    tmp_path: Path, content: bytes, is_read: bool
):
    (tmp_path / "readings.out").write_bytes(content)
    assert [file.format for file in list_source_files(str(tmp_path / "readings.out"))] == ["csv"] * is_read
    assert not list_source_files(str(tmp_path))
