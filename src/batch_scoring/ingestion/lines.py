"""Read a text file as numbered lines in Arrow batches, in constant memory."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from typing import IO, Any, cast

import numpy as np
import pyarrow as pa

from batch_scoring.core.errors import InputError

BLOCK_BYTES = 8 << 20
# A line of a megabyte is no reading: the file has no line ends, or is not text.
MAX_LINE_BYTES = 1 << 20

LINES = pa.schema([pa.field("row", pa.int64()), pa.field("line", pa.string())])

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_lines(path: str, first_row: int = 1, block_bytes: int = BLOCK_BYTES) -> Iterator[pa.RecordBatch]:
    """Read a UTF-8 text file, gzipped or not, line by line.

    Parameters
    ----------
    path : str
        Gzipped when its name ends in ``.gz``.
    first_row : int
        The first line wanted; the first of the file is 1.
    block_bytes : int
        How much is read at a time.

    Yields
    ------
    pyarrow.RecordBatch
        ``row`` (int64, counted from 1 as an editor counts) and ``line`` (string, with its line
        end, without a byte order mark).

    Raises
    ------
    InputError
        When the file is not UTF-8, has a line over a megabyte, or is broken gzip.
    """
    row = 1
    for block in _whole_line_blocks(path, block_bytes):
        batch = _split_lines(block, row, path)
        row += batch.num_rows
        if row > first_row:
            yield batch.slice(max(0, first_row - (row - batch.num_rows)))


def first_line(path: str) -> str | None:
    """Return the first line without its line end; None when the file is empty."""
    for batch in read_lines(path, block_bytes=MAX_LINE_BYTES):
        line: str = batch.column("line")[0].as_py()
        return line.rstrip("\r\n")
    return None


def _whole_line_blocks(path: str, block_bytes: int) -> Iterator[bytes]:
    """Yield blocks of the file that end at a line's end; the last one as the file ends."""
    with _open_bytes(path) as file:
        rest = _read(file, path, len(_BYTE_ORDER_MARK)).removeprefix(_BYTE_ORDER_MARK)
        while block := _read(file, path, block_bytes):
            cut = block.rfind(b"\n") + 1
            if cut == 0:
                rest += block
            else:
                yield rest + block[:cut]
                rest = block[cut:]
            if len(rest) > MAX_LINE_BYTES:
                raise InputError(
                    f"{path}: a line is longer than a megabyte; expected text, one reading a line"
                )
        if rest:
            yield rest


def _open_bytes(path: str) -> IO[bytes]:
    opener: Any = gzip.open if path.lower().endswith(".gz") else open
    return cast("IO[bytes]", opener(path, "rb"))


def _read(file: IO[bytes], path: str, size: int) -> bytes:
    try:
        return file.read(size)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: not a complete gzip file ({error}); copy it here again") from error


def _split_lines(block: bytes, first_row: int, path: str) -> pa.RecordBatch:
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + 1
    if not len(ends) or ends[-1] != len(block):
        ends = np.append(ends, len(block))
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    lines = pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(block))
    try:
        lines.validate(full=True)
    except pa.ArrowInvalid:
        raise _not_utf8(block, offsets, first_row, path) from None
    rows = np.arange(first_row, first_row + len(ends), dtype=np.int64)
    return pa.record_batch([pa.array(rows), lines], schema=LINES)


def _not_utf8(block: bytes, offsets: np.ndarray, first_row: int, path: str) -> InputError:
    try:
        block.decode()
        place = 0
    except UnicodeDecodeError as error:
        place = error.start
    line = int(np.searchsorted(offsets, place, side="right")) - 1
    return InputError(
        f"{path}: line {first_row + line}, byte {place - int(offsets[line]) + 1} of the line "
        f"(0x{block[place]:02x}) is not UTF-8; save the file as UTF-8, for instance with iconv"
    )
