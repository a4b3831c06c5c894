"""Take a bounded sample of a source file, as a small file of the same form that the usual code reads."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scoring.core.errors import InputError
from batch_scoring.ingestion.source_files import SourceFile, changed_ns
from batch_scoring.ingestion.text_bytes import COMPRESSIONS, compression, open_bytes

# A file of this size is read whole; of a larger one the beginning, and a part of middle and end.
WHOLE_BYTES = 1 << 20
HEAD_BYTES = 1 << 19
PART_BYTES = 64 << 10
_ROWS = 20_000


def take_sample(file: SourceFile, path: str, folder: Path) -> SourceFile:
    """Write a sample of a file into a folder; the file itself where it is small.

    Parameters
    ----------
    file : SourceFile
    path : str
        Where its bytes are.
    folder : Path
        Gets the sample below the folders of the file.

    Raises
    ------
    InputError
        When the file cannot be read.
    """
    suffix = compression(path)
    if file.size <= (PART_BYTES if suffix in COMPRESSIONS else WHOLE_BYTES):
        return file
    # With the folders of the original: they may name device and sensor.
    target = folder.joinpath(*Path(file.path).absolute().parts[1:])
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        _write(file, path, target, suffix)
    except (OSError, EOFError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{file.path}: cannot be read ({reason}); copy it here again") from error
    status = target.stat()
    return SourceFile(file.name, str(target), status.st_size, changed_ns(status))


def read_head(path: str, n_bytes: int = 2 * WHOLE_BYTES) -> bytes:
    """Read the first bytes of a text file, unpacked; by default all of a sample."""
    with open_bytes(path) as stream:
        return stream.read(n_bytes)


def cut_json(text: str) -> str:
    """Cut a JSON text behind its last whole element, and close what is open.

    Examples
    --------
    >>> cut_json('{"feeds": [{"a": 1}, {"a": 2}, {"a":')
    '{"feeds": [{"a": 1}, {"a": 2}]}'
    """
    open_marks: list[str] = []
    cut, closing = 0, ""
    is_quoted = is_escaped = False
    for place, letter in enumerate(text):
        if is_quoted:
            is_quoted = is_escaped or letter != '"'
            is_escaped = letter == "\\" and not is_escaped
        elif letter == '"':
            is_quoted = True
        elif letter in "[{":
            open_marks.append(letter)
        elif letter in "]}":
            if open_marks:
                open_marks.pop()
            if not open_marks:
                return text[: place + 1]
        elif letter == "," and open_marks[-1:] == ["["]:
            cut = place
            closing = "".join("]" if mark == "[" else "}" for mark in reversed(open_marks))
    return text[:cut] + closing


def _write(file: SourceFile, path: str, target: Path, suffix: str) -> None:
    if file.format == "parquet":
        with pq.ParquetFile(path) as opened:
            batch = next(opened.iter_batches(batch_size=_ROWS), None)
            rows = opened.schema_arrow.empty_table() if batch is None else pa.Table.from_batches([batch])
        pq.write_table(rows, target)
    elif file.path.lower().endswith(".avro"):
        import fastavro

        with Path(path).open("rb") as stream, target.open("wb") as out:
            records: Any = fastavro.reader(stream)
            fastavro.writer(out, records.writer_schema, islice(records, _ROWS // 10))
    elif file.format in ("csv", "json"):
        # Not packed again, whatever its name says: files are known by their bytes.
        target.write_bytes(_text_sample(file, path, suffix))
    else:
        raise InputError(f"{file.path}: is too large to inspect; inspect a smaller file of the same kind")


def _text_sample(file: SourceFile, path: str, suffix: str) -> bytes:
    with open_bytes(path) as stream:
        head = stream.read(HEAD_BYTES)
    cut = head[: head.rfind(b"\n") + 1] or head
    if file.format == "json" and not _is_lines(cut):
        return cut_json(head.decode("utf-8", "ignore")).encode()
    if suffix in COMPRESSIONS or head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return cut
    with Path(path).open("rb") as stream:
        for start in (file.size // 2, file.size - PART_BYTES):
            stream.seek(max(start, HEAD_BYTES))
            lines = stream.read(PART_BYTES).split(b"\n")[1:-1]
            cut += b"".join(line + b"\n" for line in lines)
    return cut


def _is_lines(head: bytes) -> bool:
    """Whether the first line is a JSON value of its own."""
    first = head.lstrip().partition(b"\n")[0]
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return False
    return True
