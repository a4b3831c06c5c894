"""Tables too large to hold: batches of one schema, read once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq


@dataclass(frozen=True)
class Stream:
    """A table too large to hold: batches of one schema, read once.

    Attributes
    ----------
    schema : pyarrow.Schema
    batches : iterator of pyarrow.RecordBatch or pyarrow.Table
    metadata : dict of str to str
        Written into the file's footer after the batches, so a producer may fill it while it
        yields them.
    """

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch | pa.Table]
    metadata: dict[str, str] = field(default_factory=dict)


def footer_text(file: pq.ParquetFile, name: str) -> str:
    """Read an entry of a file's footer, such as :class:`Stream` metadata; empty if missing."""
    text: bytes = (file.metadata.metadata or {}).get(name.encode(), b"")
    return text.decode()
