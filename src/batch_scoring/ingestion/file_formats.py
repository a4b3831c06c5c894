"""File formats by suffix, and how a file that cannot be read in place becomes one that can."""

from __future__ import annotations

import codecs
import json
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scoring.core.errors import InputError
from batch_scoring.ingestion.capture import is_capture
from batch_scoring.ingestion.line_protocol import telegraf_records
from batch_scoring.ingestion.lines import read_lines
from batch_scoring.ingestion.settings import IngestSettings
from batch_scoring.ingestion.text_bytes import (
    COMPRESSIONS,
    compression,
    open_bytes,
    open_text,
    without_compression,
)
from batch_scoring.ingestion.workbooks import csv_of_workbook

# File format by the suffix of the name. A new one is either opened in place, see ``source_formats``, or
# converted here.
FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".dat": "csv",
    ".tab": "csv",
    ".asc": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".avro": "events",  # of Event Hubs Capture, or any other
    ".feather": "arrow",
    ".arrow": "arrow",
    ".xlsx": "workbook",
    ".xlsm": "workbook",
    ".xls": "workbook",
    ".ods": "workbook",
    ".lp": "line_protocol",  # of InfluxDB
    ".zip": "archive",
    ".tar": "archive",
    ".tgz": "archive",
    ".txz": "archive",
}
_HEAD_BYTES = 1 << 16
# Where an object of JSON may begin, also after a line that is none, or after the rest of another.
_OBJECT = re.compile(rb'(?:^|\})\s*\[?\s*\{\s*"[^"]*"\s*:', re.MULTILINE)
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_BATCH_ROWS = 20_000


def format_suffix(name: str) -> str:
    """Return the suffix that gives a file's format, in lower case and without that of its compression."""
    stem, dot, suffix = without_compression(name).lower().rpartition(".")
    return dot + suffix if stem and not stem.endswith("/") and "/" not in suffix else ""


def text_format(path: str) -> str | None:
    """Return the format of a text file whose suffix says nothing; None when it is empty, or holds no text."""
    try:
        with open_text(path) as file:
            head = file.read(_HEAD_BYTES).removeprefix(codecs.BOM_UTF8).lstrip()
    except (InputError, OSError, EOFError, UnicodeError, zlib.error):
        return None
    if not head or _NO_TEXT.search(head):
        return None
    return "json" if head[:1] in (b"{", b"[") else "csv"


def readable_form(path: str, file_format: str, settings: IngestSettings, folder: Path) -> tuple[str, str]:
    """Return the path and the format of a file that can be read in place.

    Parameters
    ----------
    path, file_format : str
    settings : IngestSettings
    folder : Path
        Takes the copy, where one is needed.

    Raises
    ------
    InputError
        When the file is broken, or an archive of several files.
    """
    if file_format in ("csv", "json"):
        path, file_format = _rightly_named(path, file_format, settings, folder)
    is_packed = path.lower().endswith(COMPRESSIONS)
    if is_packed and (file_format not in ("csv", "json") or path.lower().endswith((".bz2", ".xz"))):
        path = _unpacked(path, folder)
    if file_format == "archive":
        inner = _only_member(path, folder)
        inner_format = FORMATS[format_suffix(inner)]
        if inner_format == "archive":
            raise InputError(f"{path}: holds another archive; unpack it, and name the folder")
        return readable_form(inner, inner_format, settings, folder)
    if file_format == "events" and is_capture(path):
        return path, file_format
    if file_format == "workbook" and text_format(path) == "csv":  # as some programs name their text for Excel
        return path, "csv"
    if file_format in CONVERSIONS:
        converted, made = CONVERSIONS[file_format]
        return converted(path, settings, _new_folder(folder)), made
    return path, file_format


def _rightly_named(path: str, file_format: str, settings: IngestSettings, folder: Path) -> tuple[str, str]:
    """Return a copy and the format of a file of text whose name says otherwise than its bytes.

    Browsers unpack what they load and keep its name, deliveries to buckets pack and do not say so, and
    loggers write JSON into ``.txt``.
    """
    plain, ending = without_compression(path), compression(path)
    if path.lower() != (plain + ending).lower():
        copy = _new_folder(folder) / (Path(plain).name + ending)
        shutil.copyfile(path, copy)
        return _rightly_named(str(copy), file_format, settings, folder)
    try:
        with open_text(path, settings.encoding) as file:
            head = file.read(_HEAD_BYTES).removeprefix(codecs.BOM_UTF8).lstrip()
    except (InputError, OSError, EOFError, UnicodeError, zlib.error):
        return path, file_format  # reading it says why
    # A log of JSON may begin amid a line, where it was cut.
    if file_format == "json" and head and head[:1] not in (b"{", b"[") and not _OBJECT.search(head):
        return path, "csv"
    if file_format == "csv" and _OBJECT.match(head) and _goes_on_as_json(head):
        copy = _new_folder(folder) / f"{Path(plain).stem}.json{ending}"
        shutil.copyfile(path, copy)
        return str(copy), "json"
    return path, file_format


def _goes_on_as_json(head: bytes) -> bool:
    """Whether no rows of another form follow the first value, as where CSV has a line about itself."""
    text = head.decode("utf-8", "replace")
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return True  # of many lines, or longer than what was read
    return re.match(r"\s*,?\s*(?:[\[{]|$)", text[end:]) is not None


def without_copies(text: str, folder: Path, path: str) -> str:
    """Name a file in place of its copies in ``folder``, in the text of an error."""
    return re.sub(re.escape(str(folder)) + "[^:']*", lambda _: path, text)


def _new_folder(folder: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=folder))


def _unpacked(path: str, folder: Path) -> str:
    copy = _new_folder(folder) / without_compression(Path(path).name)
    try:
        with open_bytes(path) as packed, copy.open("wb") as out:
            shutil.copyfileobj(packed, out, 1 << 20)
    except (EOFError, zlib.error, ValueError) as error:
        raise InputError(f"{path}: not a complete packed file ({error}); copy it here again") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise InputError(f"{path}: not a complete packed file ({error}); copy it here again") from None
    return str(copy)


def archived(path: str) -> list[str]:
    """Return the names of the files of readings in an archive.

    Raises
    ------
    InputError
        When it cannot be unpacked, or has none.
    """
    from batch_scoring.ingestion.archives import members

    there = members(path)
    names = [name for name in there if format_suffix(name) in FORMATS]
    if not names:
        others = "".join(f", but others such as {name!r}" for name in there[:1])
        raise InputError(f"{path}: holds no file of readings{others}; expected {', '.join(FORMATS)}")
    return names


def _only_member(path: str, folder: Path) -> str:
    """Unpack the one file of readings that an archive holds."""
    from batch_scoring.ingestion.archives import unpack

    names = archived(path)
    if len(names) > 1:
        raise InputError(f"{path}: holds {len(names)} files; expected one here: unpack it")
    copies, broken = unpack(path, names, _new_folder(folder))
    for name, why in broken.items():
        raise InputError(f"{path}/{name}: cannot be unpacked ({why}); copy the archive here again")
    return copies[names[0]]


def _parquet_of_arrow(path: str, _: IngestSettings, folder: Path) -> str:
    copy = folder / f"{Path(path).stem}.parquet"
    try:
        with pa.memory_map(path) as file:
            is_file = file.read(6) == b"ARROW1"
            file.seek(0)
            batches: Any = pa.ipc.open_file(file) if is_file else pa.ipc.open_stream(file)
            numbers = range(batches.num_record_batches) if is_file else None
            found = (batches.get_batch(n) for n in numbers) if numbers is not None else batches
            with pq.ParquetWriter(copy, batches.schema) as out:
                for batch in found:
                    out.write_batch(batch)
    except (pa.ArrowException, ValueError) as error:
        raise InputError(
            f"{path}: not a whole file of Arrow or Feather ({_first_line(error)}); save it as Parquet"
        ) from None
    return str(copy)


def _lines_of_avro(path: str, _: IngestSettings, folder: Path) -> str:
    import fastavro

    copy = folder / f"{Path(path).stem}.jsonl"
    with Path(path).open("rb") as file, copy.open("w", encoding="utf-8") as out:
        try:
            for record in fastavro.reader(file):
                out.write(json.dumps(record, default=_json_text) + "\n")
        except InputError:
            raise
        except Exception as error:  # a broken file fails in a dozen ways
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise InputError(
                f"{path}: not a whole Avro file ({type(error).__name__}: {error}); copy it here again"
            ) from None
    return str(copy)


def _lines_of_protocol(path: str, settings: IngestSettings, folder: Path) -> str:
    copy = folder / f"{Path(path).stem}.jsonl"
    with copy.open("w", encoding="utf-8") as out:
        for batch in read_lines(path, encoding=settings.encoding):
            out.writelines(record + "\n" for record in telegraf_records(batch["line"].to_pylist()))
    return str(copy)


def _json_text(value: Any) -> str:
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


# How a file of each format is converted, and to which format.
CONVERSIONS: dict[str, tuple[Callable[[str, IngestSettings, Path], str], str]] = {
    "workbook": (csv_of_workbook, "csv"),
    "arrow": (_parquet_of_arrow, "parquet"),
    "events": (_lines_of_avro, "json"),
    "line_protocol": (_lines_of_protocol, "json"),
}
