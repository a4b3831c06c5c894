"""Read a text file as numbered lines in Arrow batches, in constant memory."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

import numpy as np
import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.ingestion.text_bytes import open_text

BLOCK_BYTES = 8 << 20
# A line of a megabyte is no reading: the file has no line ends, or is not text.
MAX_LINE_BYTES = 1 << 20

LINES = pa.schema([pa.field("row", pa.int64()), pa.field("line", pa.string())])

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# A quote that is still open after this many lines was none.
_RECORD_LINES, _RECORD_BYTES = 200, 1 << 16


def read_lines(
    path: str,
    first_row: int = 1,
    block_bytes: int = BLOCK_BYTES,
    encoding: str = "auto",
    is_record: Callable[[bytes], bool] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Read a text file, compressed or not, line by line.

    Parameters
    ----------
    path : str
        Compressed or not.
    first_row : int
        The first line wanted; the first of the file is 1.
    block_bytes : int
        How much is read at a time.
    encoding : str
        ``"auto"`` is UTF-8, or UTF-16 with a byte order mark.
    is_record : callable, optional
        Whether lines, joined, are one record: where a line ends within quotes, it and those that follow are
        one where this holds, with the number of the first.

    Yields
    ------
    pyarrow.RecordBatch
        ``row`` (int64, counted from 1 as an editor counts) and ``line`` (string, with its line
        end, without a byte order mark).

    Raises
    ------
    InputError
        When the file is not of this encoding, has a line over a megabyte, or is broken.
    """
    row, held = 1, b""
    for more, is_last in _with_last(_whole_line_blocks(path, block_bytes, encoding)):
        block, held = held + more, b""
        ends = _line_ends(block)
        starts = np.concatenate([[0], ends[:-1]])
        if is_record is not None and b'"' in block:
            starts, open_at = _joined(block, starts, ends, is_record, is_last)
            if open_at < len(block):
                block, held = block[:open_at], block[open_at:]
        n_lines = int(np.searchsorted(ends, len(block), side="right"))
        rows = row + np.searchsorted(ends, starts, side="right")
        batch = _batch(block, starts, rows, path, encoding)
        row += n_lines
        wanted = int(np.searchsorted(rows, first_row))
        if wanted < len(rows):
            yield batch.slice(wanted)


def csv_record(delimiter: str, width: int) -> Callable[[bytes], bool]:
    r"""Return whether bytes are a whole CSV record of ``width`` fields.

    Examples
    --------
    >>> is_record = csv_record(",", 2)
    >>> is_record(b'1,"checked\nby hand"\n'), is_record(b'1,"a\n2,5" pipe\n')
    (True, False)
    """
    mark = re.escape(delimiter.encode())
    one = rb'(?:"(?:[^"]|"")*"|[^"\r\n' + mark + rb"]*)"
    whole = re.compile(one + (rb"(?:" + mark + one + rb"){%d}" % (width - 1)) + rb"\r?\n?")
    return lambda record: whole.fullmatch(record) is not None


def _joined(
    block: bytes, starts: np.ndarray, ends: np.ndarray, is_record: Callable[[bytes], bool], is_last: bool
) -> tuple[np.ndarray, int]:
    """Return where the records of a block start, and where one starts that goes on behind it."""
    quotes = np.flatnonzero(np.frombuffer(block, np.uint8) == ord('"'))
    counts = np.diff(np.searchsorted(quotes, np.append(starts, len(block))))
    inner: list[np.ndarray] = []
    done = 0
    for line in np.flatnonzero(counts & 1).tolist():
        if line < done:
            continue
        is_open = np.cumsum(counts[line : line + _RECORD_LINES]) & 1
        closed = np.flatnonzero(is_open == 0)
        if not closed.size:
            runs_out = line + _RECORD_LINES > len(starts) and len(block) - starts[line] < _RECORD_BYTES
            if runs_out and not is_last:
                return np.delete(starts, _all(inner))[: line - sum(map(len, inner))], int(starts[line])
            continue
        last = line + int(closed[0])
        if is_record(block[starts[line] : ends[last]]):
            inner.append(np.arange(line + 1, last + 1))
            done = last + 1
    return np.delete(starts, _all(inner)), len(block)


def _all(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.empty(0, np.int64), *parts])


def _with_last(blocks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Say of each block whether it is the last."""
    before = next(blocks, None)
    for block in blocks:
        assert before is not None
        yield before, False
        before = block
    if before is not None:
        yield before, True


def _whole_line_blocks(path: str, block_bytes: int, encoding: str) -> Iterator[bytes]:
    """Yield blocks of the file that end at a line's end; the last one as the file ends."""
    with _complete(path):
        file = open_text(path, encoding)  # reads what says how it is encoded
    with file:
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


@contextmanager
def _complete(path: str) -> Iterator[None]:
    """Name a file that ends too soon, or is not what its name says."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: byte {error.start + 1} is not {error.encoding}; name the right one in ingest.encoding, "
            "such as latin-1"
        ) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: not a complete gzip file ({error}); copy it here again") from error


def _read(file: IO[bytes], path: str, size: int) -> bytes:
    with _complete(path):
        return file.read(size)


def _line_ends(block: bytes) -> np.ndarray:
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + 1
    if not len(ends) or ends[-1] != len(block):
        ends = np.append(ends, len(block))
    return ends


def _batch(block: bytes, starts: np.ndarray, rows: np.ndarray, path: str, encoding: str) -> pa.RecordBatch:
    offsets = np.append(starts, len(block)).astype(np.int32)
    lines = pa.StringArray.from_buffers(len(starts), pa.py_buffer(offsets), pa.py_buffer(block))
    try:
        lines.validate(full=True)
    except pa.ArrowInvalid:
        raise _not_utf8(block, offsets, rows, path) from None
    return pa.record_batch([pa.array(rows.astype(np.int64)), lines], schema=LINES)


def _not_utf8(block: bytes, offsets: np.ndarray, rows: np.ndarray, path: str) -> InputError:
    try:
        block.decode()
        place = 0
    except UnicodeDecodeError as error:
        place = error.start
    line = int(np.searchsorted(offsets, place, side="right")) - 1
    return InputError(
        f"{path}: line {int(rows[line])}, byte {place - int(offsets[line]) + 1} of the line "
        f"(0x{block[place]:02x}) is not UTF-8; name its encoding in ingest.encoding, such as latin-1, or "
        "save the file as UTF-8"
    )
