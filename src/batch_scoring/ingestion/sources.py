"""Choose the source files to read: new, changed, or read before for other devices and sensors only."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.digests import file_sha256
from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Selection
from batch_scoring.core.moments import microseconds
from batch_scoring.core.progress import watch_progress
from batch_scoring.core.redaction import without_keys
from batch_scoring.core.text import printable
from batch_scoring.ingestion.source_files import SourceFile, listed
from batch_scoring.ingestion.sql import text_list
from batch_scoring.storage.row_table import Change, RowTable, Update
from batch_scoring.storage.small_files import SmallFiles
from batch_scoring.storage.upsert import Upsert
from batch_scoring.tables.arrays import Bool
from batch_scoring.tables.arrow_arrays import are, empty_table, from_rows, strings, to_arrow, to_numpy
from batch_scoring.tables.schemas import SOURCES

logger = logging.getLogger(__name__)

# The states of a source.
READ, REFUSED = "read", "refused"
_FIRST_BYTES = 200
# What a file is compared by, and why it was refused: of a hundred thousand files a third of the table.
COMPARED = ("source", "size", "version", "settings", "selections", "first_future", "state", "reason")


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


@dataclass(frozen=True)
class ChosenSources:
    """The source files of a run.

    Attributes
    ----------
    pending : list of PendingSource
    touched : list of dict
        Rows of SOURCES of files that have the bytes of an earlier run and another version.
    unreadable : dict of str to str
        An error message for each path that could not be read.
    stored_by : dict of str to list of SourceFile
        Files to read whose readings are stored already, by the digest of the settings that stored them.
    """

    pending: list[PendingSource]
    touched: list[dict[str, Any]]
    unreadable: dict[str, str]
    stored_by: dict[str, list[SourceFile]] = field(default_factory=dict)


def choose_sources(
    files: Sequence[SourceFile],
    known: pa.Table,
    settings_digest: str,
    selection: Selection,
    latest: datetime | None = None,
    whole: Callable[[], pa.Table] | None = None,
) -> ChosenSources:
    """Choose the files that may hold readings not stored yet; known ones are not opened.

    A file is left out when its row records the same version, the same settings, and a selection that covers
    this one, and none of its readings was refused as "future_timestamp" that is not after ``latest`` any
    more. Bytes are compared only where the version differs.

    Parameters
    ----------
    files : sequence of SourceFile
    known : pyarrow.Table
        Schema SOURCES, or :data:`COMPARED` of its columns.
    settings_digest : str
    selection : Selection
    latest : datetime, optional
    whole : callable, optional
        Gives the rows of ``known`` with all columns; called where a known file has changed.
    """
    is_done = _are_done(known, settings_digest, selection, latest)
    # One of a hundred thousand known files is a row of these arrays, and no more.
    now = listed(files)
    place = _places(now["name"], pc.cast(known["source"], pa.binary()))
    then = known.select(["size", "version"]).append_column("is_done", to_arrow(is_done)).take(place)
    is_same = pc.and_(pc.equal(then["size"], now["size"]), pc.equal(then["version"], now["version"]))
    is_unchanged: Bool = to_numpy(pc.and_(is_same, then["is_done"]), null=False)
    others = np.flatnonzero(~is_unchanged).tolist()
    chosen, done = ChosenSources([], [], {}), 0
    with watch_progress("ingest: opening", len(others), "files", lambda: done):
        for done, number in enumerate(others):  # noqa: B007 (it is watched)
            file, row = files[number], None
            if then["size"][number].is_valid:
                known, whole = whole() if whole else known, None
                row = known.slice(place[number].as_py(), 1).to_pylist()[0]
            try:
                content = _content(file)
            except InputError as error:
                chosen.unreadable[file.path] = str(error)
                continue
            if row is not None and then["is_done"][number].as_py() and row["content"] == content:
                if row["version"] != file.version:
                    chosen.touched.append(row | {"version": file.version})
                continue
            if row is not None and row["settings"] != settings_digest and row.get("accepted"):
                chosen.stored_by.setdefault(row["settings"], []).append(file)
            earlier = _read_selections(row["selections"]) if row else []
            chosen.pending.append(PendingSource(file, content, _joined(earlier, selection)))
    return chosen


def known_rows(
    sources: RowTable,
    targets: Mapping[str, RowTable],
    schema: pa.Schema = SOURCES,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """Read the files that are known; none when the tables that they were read into are gone or made anew.

    Parameters
    ----------
    sources : RowTable
    targets : dict of str to RowTable
        Where what was read is stored, by name.
    schema : pyarrow.Schema
        Of ``sources``.
    columns : sequence of str, optional
        The only ones to read; one that a table of an earlier version lacks is left out.
    """
    for name, table in targets.items():
        origin = sources.progress(name)
        if origin and origin != table.origin:
            logger.warning(
                "%s: not the table that earlier runs have written; all source files are read again",
                table.folder.path(),
            )
            return empty_table(schema)
    if not sources.exists:
        return empty_table(schema)
    return sources.read([one for one in columns or schema.names if one in sources.schema.names])


def refused_row(row: Mapping[str, Any], file: SourceFile, reason: str) -> dict[str, Any]:
    """Make the row of SOURCES of a file that is refused, as a whole or in part, with the reason."""
    return {**row, "state": REFUSED, "reason": without_keys(reason), "first_text": _first_text(file)}


def source_row(
    source: PendingSource,
    settings_digest: str,
    rows: int,
    refused: int,
    first_future: datetime | None = None,
    missing: int = 0,
) -> dict[str, Any]:
    """Make the row of SOURCES of a file that was read."""
    return {
        "source": source.file.name,
        "size": source.file.size,
        "version": source.file.version,
        "content": source.content,
        "settings": settings_digest,
        "selections": _write_selections(source.selections),
        "rows": rows,
        "accepted": rows - refused - missing,
        "refused": refused,
        "first_future": first_future,
        "missing": missing,
        "state": READ,
        "reason": None,
        "first_text": None,
    }


def refused_before(files: Iterable[SourceFile], known: pa.Table, chosen: ChosenSources) -> list[str]:
    """Return why earlier runs have refused files as a whole that are still there and have not changed."""
    if "state" not in known.column_names:
        return []
    refused = known.filter(to_arrow(are(known["state"], REFUSED)))
    reasons = dict(zip(refused["source"].to_pylist(), refused["reason"].to_pylist(), strict=True))
    if not reasons:
        return []
    pending = {one.file.name for one in chosen.pending}
    return [reasons[file.name] for file in files if file.name in reasons and file.name not in pending]


def to_retry(sources: RowTable, files: Sequence[str]) -> list[str]:
    """Return the names of the sources that are refused, or that end like one of some names.

    Raises
    ------
    InputError
        When a name is not one of a source.
    """
    if not sources.exists:
        known: dict[str, str | None] = {}
    else:
        rows = sources.read()
        states = rows["state"].to_pylist() if "state" in rows.column_names else [None] * rows.num_rows
        known = dict(zip(rows["source"].to_pylist(), states, strict=True))
    if not files:
        return sorted(name for name, state in known.items() if state == REFUSED)
    found: set[str] = set()
    for file in files:
        matching = {name for name in known if name == file or f"/{file}".endswith(f"/{name}")}
        matching |= {name for name in known if f"/{name}".endswith(f"/{file}")}
        if not matching:
            raise InputError(
                f"{file}: is not a source file that was read; the table of sources has their names"
            )
        found |= matching
    return sorted(found)


def forget_sources(names: Sequence[str]) -> Update:
    """Return the update after which the next run reads some sources again, whatever they were read with."""

    def update(table: RowTable) -> Change | None:
        rows = table.read()
        mine = rows.filter(pc.is_in(rows["source"], value_set=strings(list(names))))
        again = [row | {"settings": ""} for row in mine.to_pylist()]
        return record_sources(again, table.schema)(table)

    return update


def record_sources(
    rows: Sequence[Mapping[str, Any]],
    schema: pa.Schema = SOURCES,
    targets: Mapping[str, RowTable] | None = None,
) -> Update:
    """Return the update that stores these rows, each instead of the earlier one of its file.

    Parameters
    ----------
    rows : sequence of dict
    schema : pyarrow.Schema
    targets : dict of str to RowTable, optional
        The tables that the files were read into, by name, for :func:`known_rows`.
    """

    def update(table: RowTable) -> Change:
        new = from_rows(rows, schema)
        names = set(new["source"].to_pylist())
        files = [file for file in table.files() if file.may_have("source", names)]
        upsert = Upsert(table, files, ["source"])
        origins = {name: target.latest().origin for name, target in (targets or {}).items()}
        small = SmallFiles(table, upsert.rewritten, ["source"])
        parts = [upsert.fresh([new]), small.rows()]
        return Change(schema, parts, origins, guard="sources", rewritten=small.rewritten)

    return update


def _first_text(file: SourceFile) -> str:
    """Return the beginning of a file, one printable line; empty where it has gone meanwhile."""
    try:
        with file.opened() as path, Path(path).open("rb") as opened:
            start = opened.read(_FIRST_BYTES)
    except (OSError, InputError):
        return ""
    return printable(start.decode("utf-8", "backslashreplace").partition("\n")[0].rstrip("\r"))


def _places(names: pa.ChunkedArray, known: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Return the place of each name among the known ones; null for a new one."""
    if names.equals(known):  # mostly nothing is new, and both are sorted
        return to_arrow(np.arange(len(names)))
    return pc.index_in(names, value_set=known)


def _content(file: SourceFile) -> str:
    try:
        file.name.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(file.path).decode("utf-8", "backslashreplace")
        raise InputError(f"{shown}: the name of this file is not valid UTF-8; rename it") from None
    with file.opened() as path:
        try:
            return file_sha256(path)
        except OSError as error:
            raise InputError(
                f"{path}: cannot be read ({error.strerror}); fix that or remove the file"
            ) from error


def _are_done(known: pa.Table, settings_digest: str, selection: Selection, latest: datetime | None) -> Bool:
    """Mark the known files that need not be read if their bytes have not changed, shape (n,)."""
    texts = pc.unique(known["selections"]).to_pylist()
    covering = [text for text in texts if _covered(selection, _read_selections(text))]
    is_done: Bool = are(known["settings"], settings_digest)
    is_done = is_done & to_numpy(pc.is_in(known["selections"], value_set=strings(covering)))
    if latest is not None:
        never = np.iinfo(np.int64).max
        is_done = is_done & (to_numpy(known["first_future"], null=never) > microseconds(latest))
    return is_done


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
