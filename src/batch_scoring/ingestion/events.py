"""Read stored events as numbered records of JSON text, and trace a record back to its event."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batch_scoring.ingestion.capture import captured_events
from batch_scoring.ingestion.lines import LINES
from batch_scoring.ingestion.unrolled import unrolled

ROWS_A_BATCH = 20_000
# JSON packs to a fiftieth at best, and no event has more than a megabyte: more is a decompression bomb.
MAX_UNPACKED_BYTES = 64 << 20

_GZIP = b"\x1f\x8b"
_SPACE = " \t\r\n"
_decoder = json.JSONDecoder()


def record_texts(body: bytes) -> list[str]:
    r"""Split the body of an event into its records, each as it was written.

    A body is a JSON object, an array of them, or one object a line, gzipped or not, in UTF-8. An object with
    a list of readings is one record a reading. What
    is in another format is one record of invalid JSON, which goes to the quarantine as a whole.

    Examples
    --------
    >>> record_texts(b'{"value": 1.50}')
    ['{"value": 1.50}']
    >>> record_texts(b'[{"value": 1}, {"value": 2}]')
    ['{"value": 1}', '{"value": 2}']
    >>> record_texts(bytes([123, 255]))
    ['{\\xff']
    """
    if body.startswith(_GZIP):
        try:
            body = _unzip(body)
        except (OSError, EOFError, zlib.error):
            return [_as_text(body)]
    try:
        text = body.removeprefix(b"\xef\xbb\xbf").decode().strip(_SPACE)
    except UnicodeDecodeError:
        return [_as_text(body)]
    split = array_items if text.startswith("[") else _lines if "\n" in text else lambda one: [one]
    records = split(text)
    return [one for record in records for one in unrolled(record)]


def with_properties(text: str, properties: str | None) -> str:
    """Add what is stated of an event to a record of its body, which counts first.

    Parameters
    ----------
    text : str
        A JSON object; anything else is left as it is.
    properties : str or None
        A JSON object that is not empty.

    Examples
    --------
    >>> with_properties('{"value": 1.50}', '{"device": "d"}'), with_properties("{}", '{"device": "d"}')
    ('{"value": 1.50, "device": "d"}', '{"device": "d"}')
    """
    if properties is None or not (text.startswith("{") and text.endswith("}")):
        return text
    inner = text[1:-1].strip(_SPACE)
    return f"{{{inner}, {properties[1:]}" if inner else properties


def event_records(path: str) -> Iterator[pa.RecordBatch]:
    """Read the records of a file of landed or captured events.

    Yields
    ------
    pyarrow.RecordBatch
        ``row`` (int64, counted from 1 over the file) and ``line`` (string).
    """
    row = 1
    for events in _event_batches(path, ["body", "properties"]):
        bodies = events.column("body").to_pylist()
        # Files of earlier versions have no properties.
        known = "properties" in events.schema.names
        properties = events.column("properties").to_pylist() if known else [None] * len(bodies)
        pairs = zip(bodies, properties, strict=True)
        texts = [with_properties(text, stated) for body, stated in pairs for text in record_texts(body)]
        rows = np.arange(row, row + len(texts), dtype=np.int64)
        row += len(texts)
        yield pa.record_batch([pa.array(rows), pa.array(texts, pa.string())], schema=LINES)


def event_sources(path: str, rows: Sequence[int], partition: str | None = None) -> list[str]:
    """Return the event of each record.

    Parameters
    ----------
    path : str
        A file of landed or captured events.
    rows : sequence of int
        Records, as :func:`event_records` numbers them.
    partition : str, optional
        Of a captured file, where its path does not name it.

    Returns
    -------
    list of str
        Such as ``partition 3, offset 4294967296, sequence number 17``; without the partition where
        nothing names it.
    """
    named: dict[int, str] = {}
    wanted, row = np.unique(np.asarray(rows, np.int64)), 1
    for events in _event_batches(path, ["partition", "sequence_number", "offset", "body"]):
        counts = [len(record_texts(body)) for body in events.column("body").to_pylist()]
        ends = row + np.cumsum(counts, dtype=np.int64)
        here = wanted[(wanted >= row) & (wanted < ends[-1])]
        found = np.searchsorted(ends, here, side="right")
        for record, event in zip(here.tolist(), events.take(pa.array(found)).to_pylist(), strict=True):
            known = event["partition"] or partition
            place = f"offset {event['offset']}, sequence number {event['sequence_number']}"
            named[record] = f"partition {known}, {place}" if known else place
        row = int(ends[-1])
    return [named[record] for record in rows]


def _event_batches(path: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
    if path.lower().endswith(".avro"):
        return captured_events(path)
    batches: Iterator[pa.RecordBatch] = pq.ParquetFile(path).iter_batches(ROWS_A_BATCH, columns=columns)
    return batches


def _unzip(body: bytes) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
        unpacked = file.read(MAX_UNPACKED_BYTES + 1)
    if len(unpacked) > MAX_UNPACKED_BYTES:
        raise OSError("unpacks to more than the limit")
    return unpacked


def array_items(text: str) -> list[str]:
    """Split a JSON array into its items as written; the text itself when it is not an array."""
    items, at = [], _skip_space(text, 1)
    if text[at:] == "]":
        return [text]  # empty: one row in the quarantine
    try:
        while True:
            _, end = _decoder.raw_decode(text, at)
            items.append(text[at:end])
            at = _skip_space(text, end)
            if text[at:] == "]":
                return items
            if text[at] != ",":
                return [text]
            at = _skip_space(text, at + 1)
    except (ValueError, IndexError, RecursionError):
        return [text]


def _lines(text: str) -> list[str]:
    """Split lines of objects, or return one object written over several lines."""
    lines = [line.strip(_SPACE) for line in text.split("\n")]
    try:
        json.loads(text)
    except ValueError:
        return [line for line in lines if line]
    except RecursionError:
        pass
    return [text]


def _skip_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _as_text(body: bytes) -> str:
    r"""Decode bytes to text from which they can be restored; valid JSON has no ``\x``."""
    return body.decode("utf-8", "backslashreplace")
