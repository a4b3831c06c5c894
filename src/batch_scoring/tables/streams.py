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
        Written into the file's footer when the batches have been read, so a producer may still
        fill it in while it yields them.
    """

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch | pa.Table]
    metadata: dict[str, str] = field(default_factory=dict)


def footer_text(file: pq.ParquetFile, name: str) -> str:
    """An entry of a file's footer, such as :class:`Stream` metadata; empty where there is none."""
    text: bytes = (file.metadata.metadata or {}).get(name.encode(), b"")
    return text.decode()
