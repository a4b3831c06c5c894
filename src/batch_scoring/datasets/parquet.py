"""One Parquet file: loaded lazily as a ``pyarrow.parquet.ParquetFile``, saved whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from kedro.io import AbstractDataset

from batch_scoring.fleet.errors import InputError
from batch_scoring.fleet.row_groups import in_row_groups
from batch_scoring.fleet.stopwatch import stopwatch
from batch_scoring.storage import Folder, open_file
from batch_scoring.storage.local import atomic_file

__all__ = ["ArrowParquetDataset", "Stream", "atomic_file", "footer_text", "open_parquet", "save_parquet"]


@dataclass(frozen=True)
class Stream:
    """A table too large to hold: batches of one schema, read once.

    Attributes
    ----------
    schema : pyarrow.Schema
    batches : iterator of pyarrow.RecordBatch or pyarrow.Table
    metadata : dict of str to str
        Written into the file's footer when the batches have been read, so a producer may still
        fill it in while it yields them.
    """

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch | pa.Table]
    metadata: dict[str, str] = field(default_factory=dict)


class ArrowParquetDataset(AbstractDataset[pa.Table | Stream, pq.ParquetFile]):
    """A Parquet file that appears whole or not at all.

    ``load`` opens the file and reads only its footer: ``file.schema_arrow.metadata`` and
    ``file.metadata`` cost nothing, ``file.read()`` and ``file.iter_batches()`` fetch rows.
    ``save`` takes a table or a :class:`Stream`. The same rows give the same bytes, however they
    come in batches: every row group but the last has ``ROW_GROUP_ROWS`` rows.

    Parameters
    ----------
    filepath : str
        A local path, or a URL of Blob Storage.
    credentials : dict, optional
        Of Blob Storage; default: the entry ``azure_storage`` of Kedro's, or the environment's.
    """

    def __init__(
        self,
        filepath: str,
        metadata: dict[str, Any] | None = None,
        credentials: Mapping[str, Any] | None = None,
    ) -> None:
        self._folder, self._name = open_file(filepath, credentials)
        self.metadata = metadata

    def load(self) -> pq.ParquetFile:
        """Open the file; raises InputError when it is not there or no Parquet."""
        return open_parquet(self._folder, self._name)

    def save(self, data: pa.Table | Stream) -> None:
        """Write the rows beside the file, then put it in its place."""
        save_parquet(self._folder, self._name, data)

    def _exists(self) -> bool:
        return self._folder.entry(self._name) is not None

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._folder.path(self._name)}


def open_parquet(folder: Folder, name: str, source: Any = None) -> pq.ParquetFile:
    """Open a Parquet file; only its footer is read.

    Parameters
    ----------
    folder : Folder
    name : str
    source : path or file, optional
        What ``folder.open_ranges`` gave for it.

    Raises
    ------
    InputError
        When it is not there or no Parquet.
    """
    try:
        # Buffered ahead, all that was read of a file would stay in memory until it is closed.
        with stopwatch.during("read"):
            return pq.ParquetFile(folder.open_ranges(name) if source is None else source, pre_buffer=False)
    except FileNotFoundError:
        raise InputError(
            f"{folder.path(name)}: there is no such file yet; run the pipelines that come before this one "
            "first"
        ) from None
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{folder.path(name)}: not a readable Parquet file ({error}); delete it and run again"
        ) from error


def save_parquet(folder: Folder, name: str, data: pa.Table | Stream) -> None:
    """Write rows as a Parquet file that appears whole or not at all.

    Raises
    ------
    InputError
        When another run is writing it.
    """
    stream = data if isinstance(data, Stream) else Stream(data.schema, iter([data]))
    # Numbers hardly repeat: a dictionary of them takes three times as long and a fifth more space.
    texts = [field.name for field in stream.schema if pa.types.is_string(field.type)]
    batches = stopwatch.waiting("write", stream.batches)
    with (
        stopwatch.during("write"),
        folder.writing(name) as file,
        pq.ParquetWriter(file.name, stream.schema, compression="zstd", use_dictionary=texts) as out,
    ):
        for rows in in_row_groups(batches):
            out.write_table(rows, row_group_size=rows.num_rows)
        if stream.metadata:
            out.add_key_value_metadata(stream.metadata)


def footer_text(file: pq.ParquetFile, name: str) -> str:
    """An entry of a file's footer, such as :class:`Stream` metadata; empty where there is none."""
    text: bytes = (file.metadata.metadata or {}).get(name.encode(), b"")
    return text.decode()
