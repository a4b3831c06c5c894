"""Read Avro files of Event Hubs Capture as batches of events, in bounded memory; bodies are not parsed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.core.system_errors import system_error
from batch_scoring.event_hub.properties import properties_text
from batch_scoring.tables.schemas import EVENTS

BATCH_EVENTS = 20_000
BATCH_BYTES = 8 << 20

CAPTURED = pa.schema(
    [EVENTS.field(name) for name in ("partition", "sequence_number", "offset", "body", "properties")]
)

_VALUES = ["long", "double", "string", "bytes"]
# The fields to read; Avro skips the others.
_WANTED = {
    "type": "record",
    "name": "EventData",
    "namespace": "Microsoft.ServiceBus.Messaging",
    "fields": [
        {"name": "SequenceNumber", "type": "long"},
        {"name": "Offset", "type": "string"},
        {"name": "SystemProperties", "type": {"type": "map", "values": _VALUES}, "default": {}},
        {"name": "Properties", "type": {"type": "map", "values": [*_VALUES, "null"]}, "default": {}},
        {"name": "Body", "type": ["null", "bytes"]},
    ],
}
# Capture's own naming: {Namespace}/{EventHub}/{PartitionId}/{Year}/{Month}/{Day}/{Hour}/{Minute}/{Second}.
_PARTITION = re.compile(r"(?:^|/)([^/]+)/\d{4}/\d\d/\d\d/\d\d/\d\d/\d\d\.avro$", re.IGNORECASE)


def is_capture(path: str) -> bool:
    """Whether an Avro file is one of Event Hubs Capture; a broken one counts as such."""
    import fastavro

    with Path(path).open("rb") as file:
        try:
            schema: Any = fastavro.reader(file).writer_schema
            fields = schema["fields"]
        except Exception as error:  # a broken file fails in a dozen ways
            if system_error(error, path) is not None:
                raise
            return True
        return {"SequenceNumber", "Offset", "Body"} <= {field["name"] for field in fields}


def captured_events(path: str) -> Iterator[pa.RecordBatch]:
    """Read the events of a file of Event Hubs Capture.

    Parameters
    ----------
    path : str
        Where the file lies as Capture names it by default, its path names the partition.

    Yields
    ------
    pyarrow.RecordBatch
        Schema ``CAPTURED``; ``partition`` is null where the path does not name it. An event without
        a body has an empty one.

    Raises
    ------
    InputError
        When the file is truncated, not Avro, or not what Capture writes.
    """
    partition = capture_partition(path)
    numbers: list[int] = []
    offsets: list[str] = []
    bodies: list[bytes] = []
    properties: list[str | None] = []
    size = 0
    for record in _records(path):
        body = record["Body"] or b""
        numbers.append(record["SequenceNumber"])
        offsets.append(record["Offset"])
        bodies.append(body)
        properties.append(properties_text(record["SystemProperties"], record["Properties"]))
        size += len(body)
        if len(bodies) >= BATCH_EVENTS or size >= BATCH_BYTES:
            yield _batch(partition, numbers, offsets, bodies, properties)
            numbers, offsets, bodies, properties, size = [], [], [], [], 0
    if bodies:
        yield _batch(partition, numbers, offsets, bodies, properties)


def capture_partition(path: str) -> str | None:
    """Return the partition in the path of a captured file; None where Capture names files differently.

    Examples
    --------
    >>> capture_partition("namespace/hub/3/2026/01/05/00/05/00.avro")
    '3'
    """
    named = _PARTITION.search(Path(path).as_posix())
    return named[1] if named else None


def _records(path: str) -> Iterator[dict[str, Any]]:
    import fastavro

    with Path(path).open("rb") as file:
        try:
            yield from fastavro.reader(file, reader_schema=_WANTED)  # type: ignore[misc]
        except Exception as error:  # a broken file fails in a dozen ways
            raise system_error(error, path) or InputError(
                f"{path}: not a whole Avro file of Event Hubs Capture ({type(error).__name__}: {error}); "
                "nothing of it was ingested: copy it here again or remove it"
            ) from error


def _batch(
    partition: str | None,
    numbers: list[int],
    offsets: list[str],
    bodies: list[bytes],
    properties: list[str | None],
) -> pa.RecordBatch:
    columns = [[partition] * len(numbers), numbers, offsets, bodies, properties]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, CAPTURED, strict=True)]
    return pa.record_batch(arrays, schema=CAPTURED)
