"""Choose the source files to read: new, changed, or read before for other devices and sensors only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scoring.core.digests import file_sha256
from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import MAX_SEGMENT_BYTES, Selection, path_segment
from batch_scoring.ingestion.source_files import SourceFile
from batch_scoring.ingestion.sql import text_list
from batch_scoring.tables.schemas import LEDGER

# A file may change within the tick of a clock in which its ledger page is written.
_CLOCK_SLACK_NS = 2_000_000_000


@dataclass(frozen=True)
class PendingSource:
    """A source file to read.

    Attributes
    ----------
    file : SourceFile
    content : str
        SHA-256 of its bytes, 64 hex digits.
    selections : list of Selection
        The devices and sensors to read from it: selected now and in earlier runs.
    """

    file: SourceFile
    content: str
    selections: list[Selection]

    @property
    def where(self) -> str:
        """Return the selections as a SQL condition on ``device`` and ``sensor``."""
        return " OR ".join(f"({_condition(selection)})" for selection in self.selections)


def source_key(name: str) -> str:
    """Return the partition of a source file in ledger and quarantine; long names are cut and hashed.

    Examples
    --------
    >>> source_key("2026/january.csv")
    '2026%2Fjanuary.csv'
    """
    segment = path_segment(name)
    if len(segment) <= MAX_SEGMENT_BYTES:
        return segment
    return f"{segment[: MAX_SEGMENT_BYTES - 33]}-{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def choose_sources(
    files: Sequence[SourceFile],
    ledger: Mapping[str, LedgerEntry],
    settings_digest: str,
    selection: Selection,
    latest: datetime | None = None,
) -> list[PendingSource]:
    """Choose the files that may hold readings not stored yet.

    A file is left out when its ledger page records the same bytes, the same settings, and a
    selection that covers this one, and none of its readings was refused as "future_timestamp" that is not
    after ``latest`` any more. Bytes are only compared when the file was touched since the page was written.
    """
    pending = []
    for file in files:
        entry = ledger.get(source_key(file.name))
        if entry is None:
            pending.append(PendingSource(file, _content(file), [selection]))
            continue
        page = entry.open().read().to_pylist()[0]
        earlier = _read_selections(page["selections"])
        first_future = page.get("first_future")
        is_due = None not in (first_future, latest) and first_future <= latest
        is_done = page["settings"] == settings_digest and _covered(selection, earlier) and not is_due
        if is_done and _is_untouched(file, page["size"], entry):
            continue
        content = _content(file)
        if is_done and page["content"] == content:
            continue
        pending.append(PendingSource(file, content, _joined(earlier, selection)))
    return pending


def ledger_page(
    source: PendingSource, settings_digest: str, rows: int, refused: int, first_future: datetime | None = None
) -> pa.Table:
    """Make the ledger row of a source file; it does not depend on when or in how many runs it was read."""
    page = {
        "source": source.file.name,
        "size": source.file.size,
        "content": source.content,
        "settings": settings_digest,
        "selections": _write_selections(source.selections),
        "rows": rows,
        "accepted": rows - refused,
        "refused": refused,
        "first_future": first_future,
    }
    return pa.Table.from_pylist([page], schema=LEDGER)


def content_digest(path: str) -> str:
    """Compute the SHA-256 of a file's bytes, 64 hex digits.

    Raises
    ------
    InputError
        When the file cannot be opened.
    """
    try:
        return file_sha256(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); fix that or remove the file") from error


def require_unchanged(file: SourceFile) -> None:
    """Raise when a file has changed since the source files were listed.

    Raises
    ------
    InputError
        Naming the file.
    """
    if file.has_changed():
        raise InputError(
            f"{file.path}: changed while it was being read; it is not recorded as ingested: "
            "run again when nothing writes to it"
        )


def _content(file: SourceFile) -> str:
    with file.opened() as path:
        return content_digest(path)


def _is_untouched(file: SourceFile, size: int, page: LedgerEntry) -> bool:
    # Two clocks may differ by more than the time between a page and a change.
    is_older = file.clock == page.clock and file.changed_ns + _CLOCK_SLACK_NS < page.written_ns
    return is_older and size == file.size


def _covered(selection: Selection, earlier: Iterable[Selection]) -> bool:
    return any(
        _holds(one.devices, selection.devices) and _holds(one.sensors, selection.sensors) for one in earlier
    )


def _holds(wide: frozenset[str] | None, narrow: frozenset[str] | None) -> bool:
    return wide is None or (narrow is not None and narrow <= wide)


def _joined(earlier: list[Selection], selection: Selection) -> list[Selection]:
    if _covered(selection, earlier):
        return earlier
    return [one for one in earlier if not _covered(one, [selection])] + [selection]


def _condition(selection: Selection) -> str:
    parts = [
        f"{kind} IN {text_list(ids)}"
        for kind, ids in (("device", selection.devices), ("sensor", selection.sensors))
        if ids is not None
    ]
    return " AND ".join(parts) or "true"


def _write_selections(selections: Iterable[Selection]) -> str:
    def listed(ids: frozenset[str] | None) -> list[str] | None:
        return None if ids is None else sorted(ids)

    pairs = [[listed(selection.devices), listed(selection.sensors)] for selection in selections]
    return json.dumps(sorted(pairs, key=json.dumps), ensure_ascii=False)


def _read_selections(text: str) -> list[Selection]:
    def selected(ids: list[str] | None) -> frozenset[str] | None:
        return None if ids is None else frozenset(ids)

    return [Selection(selected(devices), selected(sensors)) for devices, sensors in json.loads(text)]


@dataclass(frozen=True)
class LedgerEntry:
    """A source file's page in the ledger.

    Attributes
    ----------
    open : callable
        Opens the page, a Parquet file of one row.
    written_ns : int
        When the page was written, nanoseconds since the epoch. It is the file's own time and not
        in its bytes, so the same sources give the same ledger whenever they are ingested.
    clock : str
        Whose time that is; ``"local"`` or a storage account.
    """

    open: Callable[[], pq.ParquetFile]
    written_ns: int
    clock: str = "local"
