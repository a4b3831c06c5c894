"""Rows in batches made independent of how they were batched: in row groups of one size, and as a digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from batch_scoring.datasets.arrow_parquet import ROW_GROUP_ROWS


def in_row_groups(batches: Iterable[pa.RecordBatch], rows: int = ROW_GROUP_ROWS) -> Iterator[pa.Table]:
    """The same rows in tables of ``rows`` rows each, the last one shorter; no batches give no tables."""
    held: list[pa.RecordBatch] = []
    n_held = 0
    for batch in batches:
        held.append(batch)
        n_held += batch.num_rows
        while n_held >= rows:
            table = pa.Table.from_batches(held)
            yield table.slice(0, rows)
            held, n_held = table.slice(rows).to_batches(), n_held - rows
    if n_held:
        yield pa.Table.from_batches(held)


class RowDigest:
    """SHA-256 over the rows of readings, the same however they come in batches."""

    def __init__(self) -> None:
        parts = ("time", "device", "device_lengths", "sensor", "value")
        self._parts = {part: hashlib.sha256() for part in parts}

    def update(self, table: pa.Table) -> None:
        """Add rows; a table of ``READINGS`` of one sensor, without nulls."""
        for batch in table.to_batches():
            lengths, text = _string_buffers(batch["device"])
            parts = {
                "time": batch["timestamp"].cast(pa.int64()).to_numpy(),
                "device": text,
                # Without the lengths "ab" + "c" would be "a" + "bc".
                "device_lengths": lengths,
                "value": batch["value"].to_numpy(),
            }
            for part, content in parts.items():
                self._parts[part].update(memoryview(content))
            if batch.num_rows:
                self._parts["sensor"] = hashlib.sha256(batch["sensor"][0].as_py().encode())

    def hexdigest(self) -> str:
        """64 hex digits."""
        return hashlib.sha256(b"".join(part.digest() for part in self._parts.values())).hexdigest()


def _string_buffers(texts: pa.Array) -> tuple[np.ndarray, pa.Buffer]:
    """The lengths (int32) and the UTF-8 bytes of the texts, one behind the other."""
    _, offsets_buffer, text = texts.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return np.diff(offsets), text[int(offsets[0]) : int(offsets[-1])]
