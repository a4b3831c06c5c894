"""Files of raw readings: which there are, and writing simulated ones; their rows are read by `ingest`."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from kedro.io import AbstractDataset

from batch_scoring.datasets.arrow_parquet import Stream, save_parquet
from batch_scoring.fleet.errors import InputError
from batch_scoring.storage import Folder, is_remote, open_folder
from batch_scoring.storage.read_ahead import open_ahead

# What the end of a file's name says about what is in it.
FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".avro": "events",  # of Event Hubs Capture
}
# Events of a hub, landed by the `receive` pipeline: a Parquet file all the same.
EVENTS_SUFFIX = ".events.parquet"


@dataclass(frozen=True)
class SourceFile:
    """A file of raw readings.

    Attributes
    ----------
    name : str
        Its path relative to the folder that was asked for, with ``/``: the same wherever that
        folder lies.
    path : str
        Where to open it.
    size : int
        Bytes.
    changed_ns : int
        When its bytes or its place last changed, nanoseconds since the epoch (the inode's change
        time, which a copy that keeps the old modification time still moves on).
    clock : str
        Whose time that is; ``"local"`` or a storage account.
    """

    name: str
    path: str
    size: int
    changed_ns: int
    clock: str = "local"

    @property
    def format(self) -> str:
        """``"csv"``, ``"parquet"``, ``"events"`` or ``"json"`` (one object a line, or one array)."""
        if self.path.endswith(EVENTS_SUFFIX):
            return "events"
        return FORMATS[format_suffix(self.path)]

    @contextmanager
    def opened(self) -> Iterator[str]:
        """The path of a local file with its bytes, for the time of the block."""
        yield self.path

    def has_changed(self) -> bool:
        """Whether it is another file than the one that was listed, or gone."""
        try:
            status = Path(self.path).stat()
        except OSError:
            return True
        return (status.st_size, changed_ns(status)) != (self.size, self.changed_ns)


class RawReadings(AbstractDataset[dict[str, pa.Table | Stream], list[SourceFile]]):
    """One file, a folder with all below it, or a glob of CSV, Parquet and JSON files, also gzipped.

    ``load`` lists the files by name and reads none of them; hidden files and files of other kinds are
    left out. ``save`` takes ``{name: table or Stream}`` and writes each to ``<path>/<name>.parquet``,
    or as CSV where the name ends in ``.csv``; a file appears whole or not at all.

    Parameters
    ----------
    path : str
        A file, folder or glob (``**`` reaches into folders): local, or a URL of Blob Storage.
    credentials : dict, optional
        Of Blob Storage; default: the entry ``azure_storage`` of Kedro's, or the environment's.
    """

    def __init__(
        self,
        path: str,
        metadata: dict[str, Any] | None = None,
        credentials: Mapping[str, Any] | None = None,
    ) -> None:
        self._path = str(path)
        self._credentials = credentials
        self.metadata = metadata

    def load(self) -> list[SourceFile]:
        """List the source files.

        Raises
        ------
        InputError
            When there is none.
        """
        files = self._list()
        if not files:
            is_there = is_remote(self._path) or Path(self._path).exists()
            there = "has no files of readings" if is_there else "is not there"
            kinds = ", ".join(FORMATS)
            raise InputError(
                f"readings: {self._path!r} {there}; name a file, a folder or a glob of {kinds} "
                "(or these with .gz), or run the simulate pipeline first"
            )
        return files

    def save(self, data: dict[str, pa.Table | Stream]) -> None:
        """Write each table to the file of its name."""
        folder = open_folder(self._path, self._credentials)
        for name, rows in sorted(data.items()):
            if name.endswith(".csv"):
                _write_csv(folder, name, rows)
            else:
                save_parquet(folder, f"{name}.parquet", rows)

    def _list(self) -> list[SourceFile]:
        if not is_remote(self._path):
            return list_source_files(self._path)
        from batch_scoring.datasets.raw_blobs import list_source_blobs

        return list_source_blobs(self._path, self._credentials)

    def _exists(self) -> bool:
        return bool(self._list())

    def _describe(self) -> dict[str, Any]:
        return {"path": self._path}


class SimulatedDays(AbstractDataset[None, dict[str, str]]):
    """Which simulated files are there, and from what they were made.

    ``load`` gives ``{name: digest}`` from the schema metadata key ``simulation`` of the Parquet
    files in the folder; files without it, or that cannot be read, are as good as absent.

    Parameters
    ----------
    path : str
        The folder that :class:`RawReadings` writes to.
    """

    def __init__(
        self,
        path: str,
        metadata: dict[str, Any] | None = None,
        credentials: Mapping[str, Any] | None = None,
    ) -> None:
        self._folder = open_folder(path, credentials)
        self.metadata = metadata

    def load(self) -> dict[str, str]:
        """The digest of each simulated file."""
        files = self._folder.entries(".parquet")
        digests = {}
        for file, opened in zip(files, open_ahead(self._folder, files), strict=True):
            digest = _simulation_digest(opened())
            if digest is not None:
                digests[file.name.removesuffix(".parquet")] = digest
        return digests

    def save(self, data: None) -> None:
        """Raise: :class:`RawReadings` writes the files."""
        raise NotImplementedError("SimulatedDays is read only; RawReadings writes the files")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"path": self._folder.path()}


def list_source_files(path: str) -> list[SourceFile]:
    """The files of readings at a path, sorted by name (as UTF-8 bytes); none when there are none.

    Parameters
    ----------
    path : str
        A file, a folder or a glob. A file that is named itself is taken even when it is hidden.
    """
    place = Path(path)
    if place.is_file():
        root, found = place.parent, [place]
    elif place.is_dir():
        root, found = place, _visible(place, place.rglob("*"))
    else:
        root = _fixed_part(place)
        matches = map(Path, glob.iglob(path, recursive=True))  # noqa: PTH207 (Path.glob takes no absolute pattern)
        found = _visible(root, matches)
    files = [_source_file(file, root) for file in found if format_suffix(file.name) in FORMATS]
    return sorted(files, key=lambda file: os.fsencode(file.name))


def _visible(root: Path, paths: Iterable[Path]) -> list[Path]:
    def is_hidden(path: Path) -> bool:
        return any(part.startswith(".") for part in path.relative_to(root).parts)

    return [path for path in paths if not is_hidden(path) and path.is_file()]


def _fixed_part(pattern: Path) -> Path:
    """The folder that every match of a glob lies in."""
    return next(folder for folder in pattern.parents if not glob.has_magic(str(folder)))


def _source_file(file: Path, root: Path) -> SourceFile:
    status = file.stat()
    return SourceFile(file.relative_to(root).as_posix(), str(file), status.st_size, changed_ns(status))


def changed_ns(status: os.stat_result) -> int:
    """When a file's bytes or its place last changed, nanoseconds since the epoch."""
    return max(status.st_ctime_ns, status.st_mtime_ns)


def format_suffix(name: str) -> str:
    """The end of a file's name that tells its format, in lower case and without ``.gz``."""
    return Path(name.lower().removesuffix(".gz")).suffix


def _simulation_digest(source: Any) -> str | None:
    try:
        metadata = pq.read_schema(source).metadata or {}
    except (pa.ArrowInvalid, OSError):
        return None
    digest = metadata.get(b"simulation")
    return None if digest is None else digest.decode()


def _write_csv(folder: Folder, name: str, data: pa.Table | Stream) -> None:
    from pyarrow import csv

    stream = data if isinstance(data, Stream) else Stream(data.schema, iter([data]))
    with folder.writing(name) as file, csv.CSVWriter(file, stream.schema) as out:
        for batch in stream.batches:
            out.write(batch)
