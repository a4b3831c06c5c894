"""Files of Event Hubs Capture as a source: what was captured is ingested like any file, in bounded memory."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import fastavro
import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.ingestion import capture
from batch_scoring.ingestion.capture import captured_events
from tests.pipelines.ingest.ingestion import Store

pytestmark = pytest.mark.slow

# As the service's documentation gives it.
CAPTURE_SCHEMA = {
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
PLACE = "namespace/hub/3/2026/01/05/00/05/00.avro"


def reading(minute: int, value: Any = 1.0, device: str = "d1") -> dict[str, Any]:
    return {"timestamp": f"2026-01-05T00:{minute:02d}:00Z", "device": device, "sensor": "s", "value": value}


def write_capture(path: Path, *bodies: bytes | None, first: int = 100, codec: str = "null") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    events = [
        {
            "SequenceNumber": first + n,
            "Offset": str(1000 * (first + n)),
            "EnqueuedTimeUtc": "1/5/2026 12:05:00 AM",
            "SystemProperties": {"x-opt-partition-key": "d1", "x-opt-enqueued-time": 1767571500000},
            "Properties": {"unit": "bar", "none": None},
            "Body": body,
        }
        for n, body in enumerate(bodies)
    ]
    with path.open("wb") as file:
        fastavro.writer(file, CAPTURE_SCHEMA, events, codec=codec)
    return path


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy"])
def test_every_form_of_body_is_read_with_the_column_mapping_of_files(
    store: Store, tmp_path: Path, codec: str
):
    lines = "\n".join(json.dumps(reading(n)) for n in (2, 3))
    bodies = [
        json.dumps(reading(0)).encode(),
        json.dumps([reading(1)]).encode(),
        lines.encode(),
        gzip.compress(json.dumps(reading(4)).encode()),
        json.dumps({"when": "2026-01-05T00:05:00Z", "Device": "d1", "Tag": "s", "Value": 1.0}).encode(),
    ]
    write_capture(tmp_path / "raw" / PLACE, *bodies, codec=codec)
    store.ingest(tmp_path / "raw", columns={"timestamp": ["when", "timestamp"]})
    assert [row[0][14:16] for row in store.readings()] == ["00", "01", "02", "03", "04", "05"]
    assert store.quarantine() == []


def test_unreadable_bodies_are_quarantined_with_partition_offset_and_sequence_number(
    store: Store, tmp_path: Path
):
    bodies = [
        json.dumps(reading(0)).encode(),
        b"\xff\xfe",
        None,
        json.dumps([reading(1), reading(2, "x")]).encode(),
    ]
    write_capture(tmp_path / "raw" / PLACE, *bodies)
    counts = store.ingest(tmp_path / "raw")
    assert counts["refused"] == {"malformed_row": 2, "not_a_number": 1}
    assert [(refused["source"], refused["reason"]) for refused in store.quarantine()] == [
        (f"{PLACE}: partition 3, offset 101000, sequence number 101", "malformed_row"),
        (f"{PLACE}: partition 3, offset 102000, sequence number 102", "malformed_row"),
        (f"{PLACE}: partition 3, offset 103000, sequence number 103", "not_a_number"),
    ]


def test_a_file_of_another_naming_is_read_and_its_partition_not_told(store: Store, tmp_path: Path):
    write_capture(tmp_path / "raw" / "a.avro", b"oops", json.dumps(reading(0)).encode())
    store.ingest(tmp_path / "raw")
    assert len(store.readings()) == 1
    assert store.quarantine()[0]["source"] == "a.avro: offset 100000, sequence number 100"


def test_events_captured_and_received_are_stored_once(store: Store, tmp_path: Path):
    write_capture(tmp_path / "raw" / PLACE, json.dumps(reading(0)).encode(), json.dumps(reading(1)).encode())
    (tmp_path / "raw" / "b.jsonl").write_text(json.dumps(reading(1)) + "\n" + json.dumps(reading(2)))
    counts = store.ingest(tmp_path / "raw")
    assert (counts["stored"], counts["already_stored"]) == (3, 1)


def test_a_file_in_which_nothing_was_captured_is_no_error(store: Store, tmp_path: Path):
    write_capture(tmp_path / "raw" / PLACE)
    assert store.ingest(tmp_path / "raw")["rows"] == 0


@pytest.mark.parametrize("broken", ["cut", "text", "other schema"])
def test_a_broken_file_stops_the_run_with_its_name(store: Store, tmp_path: Path, broken: str):
    path = write_capture(tmp_path / "raw" / PLACE, *[json.dumps(reading(n)).encode() for n in range(9)])
    if broken == "cut":
        path.write_bytes(path.read_bytes()[:-40])
    elif broken == "text":
        path.write_text("no Avro at all")
    else:
        schema = {"type": "record", "name": "Other", "fields": [{"name": "x", "type": "long"}]}
        with path.open("wb") as file:
            fastavro.writer(file, schema, [{"x": 1}])
    reason = "no column for" if broken == "other schema" else "not a whole Avro file of Event Hubs Capture"
    with pytest.raises(InputError, match=rf"00\.avro: {reason}"):
        store.ingest(tmp_path / "raw")
    assert store.readings() == []


def test_the_batches_are_cut_by_events_and_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write_capture(tmp_path / "a.avro", *[b"x" * n for n in (10, 10, 100, 1, 1, 1)])
    monkeypatch.setattr(capture, "BATCH_EVENTS", 2)
    monkeypatch.setattr(capture, "BATCH_BYTES", 100)
    assert [len(batch) for batch in captured_events(str(path))] == [2, 1, 2, 1]


def test_a_large_file_is_read_in_bounded_memory(tmp_path: Path):
    path = write_capture(tmp_path / "a.avro", *[bytes(100_000)] * 600, codec="deflate")
    tracemalloc.start()
    events = sum(len(batch) for batch in captured_events(str(path)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert events == 600
    assert peak < 30e6 < 600 * 100_000
