"""A source file as a SQL relation of raw fields, and the batches of lines that it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.ingestion.lines import LINES

_BATCH_LINES = 20_000
_NUMBERED = pa.schema([pa.field("source", pa.int32()), *LINES])


@dataclass(frozen=True)
class RawRelation:
    """A source file as SQL to select from.

    Attributes
    ----------
    sql : str
        A query of ``source_lines`` or ``source_rows`` with the columns ``source`` (number of the file),
        ``row`` (bigint, from 1), ``raw_timestamp``, ``device``, ``sensor`` (both text), ``raw_value`` and
        ``malformed`` (the text of a record that cannot be read, else NULL). The same for all files of one
        form.
    timestamp_type, value_type : str
        The DuckDB types of ``raw_timestamp`` and ``raw_value``.
    lines : BatchReader or None
        What the query reads under the name ``source_lines``, when the file is text or events.
    width : int
        Rows numbered for each record of the file: record 1 has rows 1 to ``width``.
    ids : dict of str to str
        Device and sensor of the whole file, where the query reads them from ``file_ids``.
    has_quality : bool
        Whether the query has a column ``raw_quality``, too: what ``ingest.quality.column`` says.
    kind : str
        What the query reads: ``"lines"``, ``"events"``, ``"parquet"``, or ``"array"`` of JSON.
    timed : callable or None
        Of a file with a column a sensor: makes the query with a column ``timestamp``, given its expression of
        ``raw_timestamp``, which then is computed once a record and not once a cell.
    """

    sql: str
    timestamp_type: str = "VARCHAR"
    value_type: str = "VARCHAR"
    lines: BatchReader | None = None
    width: int = 1
    ids: dict[str, str] = field(default_factory=dict)
    kind: str = "lines"
    has_quality: bool = False
    timed: Callable[..., str] | None = None


@dataclass
class BatchReader:
    """Batches for DuckDB, which swallows the errors of what it reads; they are kept.

    Attributes
    ----------
    batches : callable
        Yields record batches of schema ``lines.LINES``: ``row``, int64, the number of the record from 1, and
        ``line``, string, its text. What cannot be read raises InputError with the file's path, never
        ArrowException: of that, DuckDB would show its own words.
    error : InputError or None
    n_bytes : int
        Bytes read so far.
    """

    batches: Callable[[], Iterator[pa.RecordBatch]]
    error: InputError | None = field(default=None, init=False)
    n_bytes: int = field(default=0, init=False)

    def read(self) -> Iterator[pa.RecordBatch]:
        """Read the batches, once."""
        try:
            for batch in self.batches():
                self.n_bytes += batch.nbytes
                yield batch
        except InputError as error:
            self.error = error
            raise


def numbered_lines(readers: Iterable[tuple[int, BatchReader]]) -> pa.RecordBatchReader:
    """Read the lines of several files one after the other, each with the number of its file."""

    def batches() -> Iterator[pa.RecordBatch]:
        # DuckDB takes the time of thousands of lines for each batch.
        held: list[pa.RecordBatch] = []
        n_held = 0
        for number, reader in readers:
            for batch in reader.read():
                numbers = pa.repeat(pa.scalar(number, pa.int32()), batch.num_rows)
                held.append(pa.record_batch([numbers, *batch.columns], schema=_NUMBERED))
                n_held += batch.num_rows
                if n_held >= _BATCH_LINES:
                    yield pa.concat_batches(held)
                    held, n_held = [], 0
        if held:
            yield pa.concat_batches(held)

    return pa.RecordBatchReader.from_batches(_NUMBERED, batches())
