"""Write readings as the JSON that devices send, column by column without a loop over readings."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

EVENT = pa.schema(
    [pa.field("device", pa.string()), pa.field("body", pa.binary()), pa.field("due", pa.float64())]
)


def event_table(readings: pa.Table, readings_per_event: int, due: float) -> pa.Table:
    """Write readings as events.

    Parameters
    ----------
    readings : pyarrow.Table
        Schema ``READINGS``, in order of arrival.
    readings_per_event : int
        1: a JSON object each. More: arrays of at most this many objects of one device.
    due : float
        When to send them, in seconds after the start.

    Returns
    -------
    pyarrow.Table
        Schema ``EVENT``. A value that is NaN or infinite is sent as text, as JSON has no such numbers.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> from batch_scoring.tables.schemas import READINGS
    >>> at = datetime(2026, 1, 5, tzinfo=UTC)
    >>> one = pa.table([[at], ["d1"], ["power"], [1.5]], schema=READINGS)
    >>> event_table(one, 1, 0.0)["body"][0].as_py()
    b'{"timestamp":"2026-01-05T00:00:00.000000Z","device":"d1","sensor":"power","value":1.5}'
    """
    objects = _objects(readings)
    devices = readings["device"].combine_chunks()
    if readings_per_event > 1:
        devices, objects = _arrays(devices, objects, readings_per_event)
    dues = pa.repeat(pa.scalar(due), len(devices))
    return pa.table([devices, objects.cast(pa.binary()), dues], schema=EVENT)


def _objects(readings: pa.Table) -> pa.Array:
    times = pc.strftime(readings["timestamp"], format="%Y-%m-%dT%H:%M:%SZ", locale="C")
    value = readings["value"]
    texts = value.cast(pa.string())
    texts = pc.if_else(pc.is_finite(value), texts, pc.binary_join_element_wise('"', texts, '"', ""))
    joined = pc.binary_join_element_wise(
        '{"timestamp":"', times, '","device":', _quoted(readings["device"]), ',"sensor":',
        _quoted(readings["sensor"]), ',"value":', pc.fill_null(texts, "null"), "}", "",
    )  # fmt: skip
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined


def _quoted(texts: pa.ChunkedArray) -> pa.Array:
    """Quote texts as JSON; each distinct one is quoted once."""
    encoded = texts.combine_chunks().dictionary_encode()
    quoted = [json.dumps(text, ensure_ascii=False) for text in encoded.dictionary.to_pylist()]
    return pa.array(quoted, pa.string()).take(encoded.indices)


def _arrays(devices: pa.Array, objects: pa.Array, size: int) -> tuple[pa.Array, pa.Array]:
    """Join objects of a device into arrays of at most ``size``, in the order of the first ones."""
    code = np.asarray(devices.dictionary_encode().indices)
    order = np.argsort(code, kind="stable")
    sorted_code = code[order]
    begins_device = np.flatnonzero(np.diff(sorted_code, prepend=-1))
    rank = np.arange(len(code)) - np.repeat(begins_device, np.diff(begins_device, append=len(code)))
    begins = np.flatnonzero(rank % size == 0)
    offsets = pa.array(np.append(begins, len(code)), pa.int32())
    lists = pa.ListArray.from_arrays(offsets, objects.take(pa.array(order)))
    arrays = pc.binary_join_element_wise("[", pc.binary_join(lists, ","), "]", "")
    return devices.take(pa.array(order[begins])), arrays
