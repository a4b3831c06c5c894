"""A digest of readings that does not depend on how their rows were batched."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa


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
