"""Landed events as a source: every form of body, and what cannot be read in the quarantine by its place."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.ingestion.events import event_records, event_sources, record_texts
from batch_scoring.tables.schemas import EVENTS
from tests.factories import START
from tests.pipelines.ingest.ingestion import Store

pytestmark = pytest.mark.slow

READING = {"timestamp": "2026-01-05T00:00:00Z", "device": "d1", "sensor": "s", "value": 1.5}
STORED = ("2026-01-05T00:00:00.000000", "d1", "s", 1.5)


def reading(minute, value=1.0, **names):
    return {
        "timestamp": f"2026-01-05T00:{minute:02d}:00Z",
        "device": "d1",
        "sensor": "s",
        "value": value,
    } | names


def land(folder, *bodies, partition="3", first=100, properties=None):
    """A file as `receive` writes it."""
    numbers = range(first, first + len(bodies))
    path = folder / f"{partition}_{first}_{numbers[-1] if bodies else first}.events.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = [
        [partition] * len(bodies),
        list(numbers),
        [str(n * 1000) for n in numbers],
        [START] * len(bodies),
        [body if isinstance(body, bytes) else body.encode() for body in bodies],
        properties or [None] * len(bodies),
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, EVENTS, strict=True)]
    pq.write_table(pa.table(arrays, schema=EVENTS), path)
    return path


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(READING),
        json.dumps(READING, indent=2),
        json.dumps([READING]),
        "\ufeff" + json.dumps(READING) + "\r\n",
        gzip.compress(json.dumps([READING]).encode()),
        json.dumps(READING | {"unit": {"of": ["many", "kinds"]}}),
        '{"TS": 1767571200, "DeviceId": "d1", "Tag": "s", "Val": "1.50"}',
    ],
    ids=["object", "indented", "array", "mark and line end", "gzip", "more fields", "other names"],
)
def test_a_reading_is_read_from_every_form_of_body(tmp_path, body):
    store = Store(tmp_path / "store")
    land(tmp_path / "landed", body)
    counts = store.ingest(tmp_path / "landed")
    assert store.readings() == [STORED]
    assert (counts["rows"], counts["refused"]) == (1, {})


@pytest.mark.parametrize("pack", [json.dumps, lambda many: "\n".join(map(json.dumps, many))])
def test_a_body_may_hold_many_readings(tmp_path, pack):
    store = Store(tmp_path / "store")
    land(tmp_path / "landed", pack([reading(n) for n in range(5)]), json.dumps(reading(5)))
    store.ingest(tmp_path / "landed")
    assert [row[0][14:16] for row in store.readings()] == ["00", "01", "02", "03", "04", "05"]


def test_an_event_with_a_list_of_readings_is_a_record_an_item(tmp_path):
    store = Store(tmp_path / "store")
    times = [f"2026-01-05T00:0{n}:00Z" for n in range(2)]
    wide = {"device": "w", "readings": [{"time": time, "a": n, "b": 2 * n} for n, time in enumerate(times)]}
    long = {"device": "l", "ts": times[0], "data": [{"sensor": s, "value": 7} for s in "ab"]}
    heard = {"device": "h", "a": 3, "ts": times[0], "rxInfo": [{"rssi": -57}, {"rssi": -60}]}
    land(
        tmp_path / "landed",
        *map(json.dumps, (wide, long, heard)),
        b'{"device": "w", "readings": [{"time": 1}, 5]}',
    )
    counts = store.ingest(tmp_path / "landed")
    found = {(row[1], row[2], row[0][14:16], row[3]) for row in store.readings()}
    assert found == {
        *{("w", "a", "00", 0.0), ("w", "b", "00", 0.0), ("w", "a", "01", 1.0), ("w", "b", "01", 2.0)},
        *{("l", "a", "00", 7.0), ("l", "b", "00", 7.0), ("h", "a", "00", 3.0)},
    }
    assert sum(counts["refused"].values()) == 1
    assert store.quarantine()[0]["source"].endswith("sequence number 103")


def test_senders_with_different_names_share_a_file(tmp_path):
    store = Store(tmp_path / "store")
    land(
        tmp_path / "landed",
        json.dumps(reading(0)),
        '{"ts": "2026-01-05T00:01:00Z", "Device_Id": "d1", "METRIC": "s", "reading": 2}',
    )
    store.ingest(tmp_path / "landed")
    assert [row[3] for row in store.readings()] == [1.0, 2.0]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", ""),
        (b"hello", "hello"),
        (b'{"value": 1', '{"value": 1'),
        (b"[1, 2", "[1, 2"),
        (b"[]", "[]"),
        (b'"text"', '"text"'),
        (b'{"device": "\xff"}', '{"device": "\\xff"}'),
        (b"\x1f\x8bnot gzip", "\x1f\\x8bnot gzip"),
        # Without the time: two workers would collect tests of two names.
        (gzip.compress(b"{}" * 50, mtime=0)[:20], None),
    ],
)
def test_what_cannot_be_read_goes_to_the_quarantine_with_its_place(tmp_path, body, text):
    store = Store(tmp_path / "store")
    land(tmp_path / "landed", json.dumps(reading(0)), body, json.dumps(reading(1)))
    counts = store.ingest(tmp_path / "landed")
    assert len(store.readings()) == 2
    assert counts["refused"] == {"malformed_row": 1}
    refused = store.quarantine()[0]
    assert refused["source"].endswith(
        "3_100_102.events.parquet: partition 3, offset 101000, sequence number 101"
    )
    assert refused["row"] == 2
    if text is not None:
        assert refused["value"] == text


def test_the_place_is_told_of_readings_in_arrays_too(tmp_path):
    store = Store(tmp_path / "store")
    land(
        tmp_path / "landed", json.dumps([reading(0), reading(1)]), json.dumps([reading(2), reading(3, "bad")])
    )
    store.ingest(tmp_path / "landed")
    assert [(r["row"], r["reason"], r["source"][-19:]) for r in store.quarantine()] == [
        (4, "not_a_number", "sequence number 101")
    ]


def test_a_file_without_one_readable_event_stops_nothing(tmp_path):
    store = Store(tmp_path / "store")
    land(tmp_path / "landed", b"\x00\x01", b"{}", '{"colour": "red"}')
    land(tmp_path / "landed", json.dumps(READING), partition="4")
    counts = store.ingest(tmp_path / "landed")
    assert store.readings() == [STORED]
    assert counts["refused"] == {"malformed_row": 1, "missing_timestamp": 2}


def test_an_empty_file_of_events_is_no_error(tmp_path):
    store = Store(tmp_path / "store")
    land(tmp_path / "landed")
    assert store.ingest(tmp_path / "landed")["rows"] == 0


def test_events_that_landed_twice_are_readings_once(tmp_path):
    store = Store(tmp_path / "store")
    bodies = [json.dumps(reading(n)) for n in range(6)]
    land(tmp_path / "landed", *bodies[:4])
    land(tmp_path / "landed", *bodies)
    counts = store.ingest(tmp_path / "landed")
    assert len(store.readings()) == 6
    assert (counts["stored"], counts["already_stored"], counts["refused"]) == (6, 4, {})


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.lists(st.dictionaries(st.text(max_size=5), JSON_VALUES, max_size=4), min_size=1, max_size=5)


@given(objects=OBJECTS, zipped=st.booleans(), indent=st.sampled_from([None, 1]), escaped=st.booleans())
def test_the_records_of_an_array_are_its_items(objects, zipped, indent, escaped):
    body = json.dumps(objects, indent=indent, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    assert [json.loads(text) for text in record_texts(gzip.compress(body) if zipped else body)] == objects


@given(objects=OBJECTS)
def test_the_records_of_lines_are_the_lines(objects):
    body = "\n".join(json.dumps(one) for one in objects).encode()
    assert [json.loads(text) for text in record_texts(body)] == objects


@given(body=st.binary(max_size=40) | st.text('[]{},:"1\n ', max_size=12).map(str.encode))
def test_any_bytes_are_at_least_one_record(body):
    texts = record_texts(body)
    assert texts
    assert all(isinstance(text, str) for text in texts)


def test_every_record_is_traced_to_its_event(tmp_path):
    sizes = [1, 3, 1, 2, 5]
    path = land(tmp_path, *(json.dumps([reading(0)] * size) for size in sizes))
    rows = [row for batch in event_records(str(path)) for row in batch.column("row").to_pylist()]
    assert rows == list(range(1, 13))
    events = [int(text.rpartition(" ")[2]) - 100 for text in event_sources(str(path), rows)]
    assert events == [event for event, size in enumerate(sizes) for _ in range(size)]
