"""List files of raw readings, and write simulated ones; `ingest` reads their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scoring.core.errors import InputError
from batch_scoring.datasets.entries import Config, open_entries
from batch_scoring.datasets.own import FolderDataset, OwnDataset, require_kind
from batch_scoring.ingestion.file_formats import FORMATS
from batch_scoring.ingestion.source_files import SourceFile, list_source_files
from batch_scoring.ingestion.text_bytes import COMPRESSIONS
from batch_scoring.storage import Folder, is_remote, open_folder, read_place
from batch_scoring.storage.parquet import save_parquet
from batch_scoring.tables.streams import Stream

Files = Mapping[str, pa.Table | Stream]
_TABLES = "a mapping of names to Arrow tables, such as {'pump-1': pyarrow.table(frame)}"


class RawReadings(OwnDataset[Files | Callable[[Mapping[str, str]], Iterable[Files]], Sequence[SourceFile]]):
    """One file, a folder with all below it, or a glob of files of readings.

    ``load`` lists the files by name and reads none of them; hidden files and files of other kinds are
    left out. ``save`` takes ``{name: table or Stream}`` and writes each to ``<path>/<name>.parquet``,
    or as CSV where the name ends in ``.csv``; a file appears whole or not at all. It also takes a function of
    the simulated days that are there, which yields such mappings.

    Parameters
    ----------
    path : str
        A file, folder or glob (``**`` reaches into folders): local, or a URL.
    entries : mapping of str to mapping, optional
        Entries of the catalog that belong to simulated files: ``previous_simulation``, and ``fault_labels``,
        which is saved with them.
    **more
        Of :class:`.OwnDataset`.
    """

    def __init__(self, path: str, entries: Config | None = None, **more: Any) -> None:
        super().__init__(**more)
        self._path = read_place(path)
        self._entries = open_entries(entries or {})

    def load(self) -> Sequence[SourceFile]:
        """List the source files; raises InputError when there are no files."""
        files = self._list()
        if not files:
            is_there = is_remote(self._path) or Path(self._path).exists()
            there = "has no files of readings" if is_there else "does not exist"
            kinds = ", ".join(FORMATS)
            raise InputError(
                f"readings: {self._path!r} {there}; name a file, a folder or a glob of {kinds} "
                f"(or these with {', '.join(COMPRESSIONS)}), or run the simulate pipeline first; unpack an "
                "archive of another kind, such as .7z, and save any other file as CSV or Parquet"
            )
        return files

    def save(self, data: Files | Callable[[Mapping[str, str]], Iterable[Files]]) -> None:
        """Write each table to the file of its name, or to the entry."""
        if callable(data):
            for files in data(self._entries["previous_simulation"].load()):
                self.save(files)
            return
        require_kind(data, Mapping, _TABLES)
        for rows in data.values():
            require_kind(rows, (pa.Table, Stream), _TABLES)
        folder = open_folder(self._path, self._credentials)
        for name, rows in sorted(data.items()):
            if name in self._entries:
                self._entries[name].save(rows)
            elif name.endswith(".csv"):
                _write_csv(folder, name, rows)
            else:
                save_parquet(folder, f"{name}.parquet", rows)

    def _list(self) -> Sequence[SourceFile]:
        if not is_remote(self._path):
            return list_source_files(self._path)
        from batch_scoring.ingestion.source_blobs import list_source_blobs

        return list_source_blobs(self._path, self._credentials)

    def _exists(self) -> bool:
        return bool(self._list())

    def _describe(self) -> dict[str, Any]:
        return {"path": self._path}


class StreamWindows(RawReadings):
    """Windows that a Stream Analytics job writes: Parquet files, and JSON files with an object a line.

    ``load`` lists them and reads none; the arguments are those of :class:`RawReadings`.
    """

    def load(self) -> Sequence[SourceFile]:
        """List the files; raises InputError when there are no files."""
        found = [file for file in self._list() if file.format in ("parquet", "json")]
        if not found:
            raise InputError(
                f"stream_windows: {self._path!r} has no Parquet or JSON files; name the folder that the "
                "Stream Analytics job writes to, or wait for its first windows"
            )
        return found


class SimulatedDays(FolderDataset[None, dict[str, str]]):
    """The existing simulated files, and the digests of their settings.

    ``load`` gives ``{name: digest}`` from the schema metadata key ``simulation`` of the Parquet
    files in the folder that :class:`RawReadings` writes to; files without it, or that cannot be read, are
    as good as absent.
    """

    def load(self) -> dict[str, str]:
        """Load the digest of each simulated file."""
        files = self._folder.entries(".parquet")
        digests = {}
        for file in files:
            digest = _simulation_digest(self._folder.open_ranges(file.name, file))
            if digest is not None:
                digests[file.name.removesuffix(".parquet")] = digest
        return digests

    def _exists(self) -> bool:
        return True


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
