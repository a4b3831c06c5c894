"""Row groups of Parquet files with a column a sensor: which are read together, and how."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batch_scoring.core.ids import fits_in_path
from batch_scoring.ingestion.path_ids import FileIds, file_ids
from batch_scoring.ingestion.plain_columns import as_dictionary, is_plain_time, is_text, moments, ranks
from batch_scoring.ingestion.settings import IngestSettings
from batch_scoring.ingestion.shapes import find_shape
from batch_scoring.ingestion.source_formats import parquet_kinds
from batch_scoring.tables.arrays import Float, Int
from batch_scoring.tables.arrow_arrays import strings, to_arrow, to_numpy

if TYPE_CHECKING:
    from batch_scoring.ingestion.source_files import SourceFile

# Rows that are sorted together; a larger row group is not plain.
CHUNK_ROWS, MAX_GROUP_ROWS = 1_000_000, 6_000_000


@dataclass(frozen=True)
class Layout:
    """The columns of a file: those of time and, unless it is fixed, device; and the column of each sensor."""

    time: str
    device: str | None
    sensors: dict[str, str]


@dataclass(frozen=True)
class Piece:
    """Row groups of a file, and the device of the file where it is fixed."""

    number: int
    file: SourceFile
    groups: list[int]
    device: str | None

    def read(self, columns: Sequence[str], encoded: Sequence[str] = ()) -> pa.Table:
        """Read some columns, those in ``encoded`` as dictionaries."""
        with self.file.opened() as path, pq.ParquetFile(path, read_dictionary=list(encoded)) as opened:
            return opened.read_row_groups(self.groups, list(columns))


@dataclass(frozen=True)
class Keys:
    """Time and device of the rows of a chunk: microseconds, ranks, and the names that these are of."""

    time: Int
    device: Int
    names: list[str]


def open_wide(
    number: int, file: SourceFile, settings: IngestSettings
) -> tuple[Layout, list[tuple[Piece, int]]] | None:
    """Return the columns of a file and its row groups, with the rows of each; None where it is not plain."""
    ids = file_ids(file.path, settings)
    with file.opened() as path, pq.ParquetFile(path) as opened:
        schema, footer = opened.schema_arrow, opened.metadata
        layout = _layout(schema, path, settings, ids)
        counts = [footer.row_group(n).num_rows for n in range(footer.num_row_groups)]
    if layout is None or max(counts, default=0) > MAX_GROUP_ROWS:
        return None
    device = ids.all.get("device") if layout.device is None else None
    return layout, [(Piece(number, file, [n], device), rows) for n, rows in enumerate(counts) if rows]


def _layout(schema: pa.Schema, path: str, settings: IngestSettings, ids: FileIds) -> Layout | None:
    names = schema.names
    if any(map(pa.types.is_struct, schema.types)):  # its fields may be sensors, too
        return None
    shape = find_shape(names, settings, path, lambda: parquet_kinds(path, settings), ids)
    if not shape.sensors or "timestamp" not in shape.roles or len(set(names)) < len(names):
        return None
    device = None if shape.is_fixed else names[shape.device]
    time = names[shape.roles["timestamp"]]
    kinds = [schema.field(at).type for at in shape.sensors]
    is_plain = (
        is_plain_time(schema.field(time).type, settings)
        and (device is None or is_text(schema.field(device).type))
        and all(pa.types.is_floating(kind) or pa.types.is_integer(kind) for kind in kinds)
        and all(map(fits_in_path, shape.sensors.values()))
    )
    sensors = {name: names[at] for at, name in shape.sensors.items()}
    return Layout(time, device, sensors) if is_plain else None


def together(
    files: Sequence[Sequence[tuple[Piece, int]]],
) -> Iterator[list[tuple[Piece, int]]]:
    """Yield row groups that are sorted together; those of a file are joined to one piece."""
    held: list[tuple[Piece, int]] = []
    for piece, n in (group for groups in files for group in groups):
        if held and sum(rows for _, rows in held) + n > CHUNK_ROWS:
            yield held
            held = []
        if held and held[-1][0].number == piece.number:
            before, rows = held.pop()
            joined = Piece(piece.number, piece.file, [*before.groups, *piece.groups], piece.device)
            held.append((joined, rows + n))
        else:
            held.append((piece, n))
    if held:
        yield held


def read_keys(pieces: Sequence[Piece], layout: Layout) -> Keys:
    """Read time and device of the rows; ValueError where one may be refused."""
    names = [layout.time] if layout.device is None else [layout.time, layout.device]
    times, devices = [], []
    for piece in pieces:
        rows = piece.read(names, names[1:])
        times.append(rows.column(0))
        if layout.device is None:
            one = pa.DictionaryArray.from_arrays(
                to_arrow(np.zeros(rows.num_rows, np.int32)), strings([piece.device or ""])
            )
            devices.append(pa.chunked_array([one]))
        else:
            devices.append(as_dictionary(rows.column(1)))
    chunks = pa.chunked_array([chunk for column in devices for chunk in column.chunks]).unify_dictionaries()
    device = pa.chunked_array([chunks.combine_chunks()])
    time = pa.chunked_array([chunk for column in times for chunk in column.chunks])
    rank = ranks(device)
    if rank is None or time.null_count:
        raise ValueError("a time or a device may be refused")
    names = sorted(device.chunk(0).dictionary.to_pylist(), key=str.encode)
    return Keys(to_numpy(moments(time)), rank, names)


def read_cells(pieces: Sequence[Piece], columns: Sequence[str]) -> pa.Table:
    """Read columns of several pieces, one after the other."""
    return pa.concat_tables([piece.read(columns) for piece in pieces])


def numbers(column: pa.ChunkedArray) -> Float:
    """Return the values of a column, shape (n,); NaN where there is none."""
    numbers: Float = to_numpy(column.cast(pa.float64()), null=np.nan)
    return numbers
