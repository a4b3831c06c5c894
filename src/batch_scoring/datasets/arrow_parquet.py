"""One Parquet file: loaded lazily as a ``pyarrow.parquet.ParquetFile``, saved whole or not at all."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
from kedro.io import AbstractDataset

from batch_scoring.fleet.errors import InputError
from batch_scoring.fleet.row_groups import in_row_groups


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
        A local path. The file is written beside it and renamed.
    """

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(filepath)
        self.metadata = metadata

    def load(self) -> pq.ParquetFile:
        """Open the file; raises InputError when it is not there or no Parquet."""
        try:
            # Buffered ahead, all that was read of a file would stay in memory until it is closed.
            return pq.ParquetFile(self._path, pre_buffer=False)
        except FileNotFoundError:
            raise InputError(
                f"{self._path}: there is no such file yet; run the pipelines that come before this one first"
            ) from None
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                f"{self._path}: not a readable Parquet file ({error}); delete it and run again"
            ) from error

    def save(self, data: pa.Table | Stream) -> None:
        """Write the rows beside the file, then put it in its place."""
        stream = data if isinstance(data, Stream) else Stream(data.schema, iter([data]))
        # Numbers hardly repeat: a dictionary of them takes three times as long and a fifth more space.
        texts = [field.name for field in stream.schema if pa.types.is_string(field.type)]
        with (
            atomic_file(self._path) as file,
            pq.ParquetWriter(file.name, stream.schema, compression="zstd", use_dictionary=texts) as out,
        ):
            for rows in in_row_groups(stream.batches):
                out.write_table(rows, row_group_size=rows.num_rows)
            if stream.metadata:
                out.add_key_value_metadata(stream.metadata)

    def _exists(self) -> bool:
        return self._path.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._path)}


def footer_text(file: pq.ParquetFile, name: str) -> str:
    """An entry of a file's footer, such as :class:`Stream` metadata; empty where there is none."""
    text: bytes = (file.metadata.metadata or {}).get(name.encode(), b"")
    return text.decode()


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing that replaces ``path`` only when the block ends without an error.

    The file beside it has one name, so a run that was killed leaves nothing that the next one
    does not clear away; its lock keeps two live runs from writing the same file.

    Raises
    ------
    InputError
        When another run is writing this file now.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.partial")
    with beside.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{path}: another run is writing this file; wait for it to end") from None
        file.truncate(0)
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
