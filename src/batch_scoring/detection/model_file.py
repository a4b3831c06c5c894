"""Read and write models of one sensor's devices in an Arrow file, one range of devices at a time.

A million models are gigabytes; at most a few thousand are in memory. An Arrow file has the layout of
Arrow's memory, so reading is copying; each column of each part has its own checksum, as Parquet pages
would have.
"""

from __future__ import annotations

import hashlib
import json
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.core.prefetch import computed
from batch_scoring.core.processes import usable_cores
from batch_scoring.core.system_errors import system_error
from batch_scoring.detection.former_rows import as_rows
from batch_scoring.detection.model import FleetInfo, FleetModel
from batch_scoring.tables.device_ranges import device_ranges
from batch_scoring.tables.row_groups import in_row_groups

# Devices of a part: 32 MB of models with 6 features and 70 support vectors.
ROW_GROUP_DEVICES = 8_192
# Parts read and checked at a time.
_READERS = 2
_CHECKSUMS = "crc32"
# An Arrow file begins with eight magic bytes, followed by messages and a table of their offsets.
_MAGIC = 8


class FleetFile:
    """A file of models, open for reading; only the metadata of its parts has been read.

    All data read is checked against its checksums.

    Parameters
    ----------
    path : path
        A file written by :func:`write_models`.

    Attributes
    ----------
    path : Path
    info : FleetInfo
    n_models : int
    contents_sha256 : str
        SHA-256 of the metadata, including the checksums of the data, in hex: identifies the contents
        without reading them.

    Raises
    ------
    InputError
        When it is not an Arrow file or fleet model, or its format is newer than supported.
    FileNotFoundError
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.n_models = 0
        self._stored: list[str] = []
        self._checksums: list[dict[str, int]] = []
        try:
            # With memory mapping, the data between the metadata of the parts is not read.
            with pa.memory_map(str(self.path)) as file, pa.ipc.open_file(file) as reader:
                self.info = FleetInfo.of_schema(reader.schema)
                self._stored = reader.schema.names
                for part in range(reader.num_record_batches):
                    rows, metadata = reader.get_batch_with_custom_metadata(part)
                    self.n_models += rows.num_rows
                    self._checksums.append(json.loads(metadata[_CHECKSUMS]))
                self.contents_sha256 = _digest_of_descriptions(file)
        except FileNotFoundError:
            raise
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from error
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
            raise system_error(error, self.path) or InputError(
                f"{self.path}: this is not a fleet model: {error}"
            ) from error

    @property
    def n_parts(self) -> int:
        """Number of the parts that :meth:`parts` yields."""
        return len(self._checksums)

    def parts(self) -> Iterator[FleetModel]:
        """Yield the models in the order of the devices, a few thousand at a time.

        Raises
        ------
        InputError
            When the file is damaged, or its devices are not sorted.
        """
        last = ""
        for rows in self.batches():
            part = FleetModel(rows, self.info).checked()
            if last and part.devices[0].as_py() <= last:
                raise InputError(f"{self.path}: devices are not sorted or not unique at {last!r}")
            last = part.devices[-1].as_py()
            yield part

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield the stored rows, a few thousand at a time; only these columns.

        Raises
        ------
        InputError
            When the file is damaged.
        """
        schema = self.info.schema
        wanted = schema.names if columns is None else list(columns)
        names = [name for name in wanted if name in self._stored]
        options = pa.ipc.IpcReadOptions(
            included_fields=[self._stored.index(name) for name in names], use_threads=False
        )
        own = threading.local()

        def read(part: int) -> pa.Table:
            if not hasattr(own, "reader"):
                # One open file a thread. Copied, not mapped: mapped pages would stay in memory.
                own.reader = pa.ipc.open_file(pa.OSFile(str(self.path)), options=options)
            rows = own.reader.get_batch(part)
            for name in names:
                if _checksum(rows[name]) != self._checksums[part][name]:
                    raise pa.ArrowInvalid(f"column {name!r} in part {part} does not match its checksum")
            return as_rows(pa.Table.from_batches([rows]).select(names), wanted)

        parts = range(len(self._checksums))
        try:
            if len(parts) < _READERS:
                yield from map(read, parts)  # a thousand small files need no threads
            else:
                yield from computed(read, parts, min(_READERS, usable_cores()))
        except (pa.ArrowException, OSError, KeyError) as error:
            raise system_error(error, self.path) or InputError(
                f"{self.path}: the file of models is damaged ({error}); publish its version again with "
                "`kedro models promote`"
            ) from error

    def sha256(self) -> str:
        """Compute the SHA-256 of the file's bytes, in hex."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def same_models(self, other: FleetFile) -> bool:
        """Whether both contain the same rows, regardless of their metadata."""
        if self.n_models != other.n_models:
            return False
        if self.info.schema != other.info.schema:
            return False
        sources = [(one.info.schema, one.batches()) for one in (self, other)]
        return all(ours.equals(theirs) for ours, theirs in device_ranges(sources))

    def read(self) -> FleetModel:
        """Read all models at once, if they fit into memory."""
        rows = [part.table for part in self.parts()]
        return FleetModel(
            pa.concat_tables([self.info.schema.empty_table(), *rows]).combine_chunks(), self.info
        )


def write_models(file: IO[bytes] | Path | str, info: FleetInfo, parts: Iterable[FleetModel]) -> None:
    """Write models part by part; the same models give the same bytes, however they are split.

    Parameters
    ----------
    file : path or file open for writing
    info : FleetInfo
    parts : iterable of FleetModel
        In the order of the devices.
    """
    schema = info.schema
    tables = (part.table.select(schema.names).cast(schema).replace_schema_metadata(None) for part in parts)
    # Not compressed: these numbers hardly repeat.
    with pa.ipc.new_file(
        str(file) if isinstance(file, str | Path) else file, schema.with_metadata(info.to_metadata())
    ) as writer:
        for table in in_row_groups(tables, ROW_GROUP_DEVICES):
            (batch,) = table.to_batches()
            # As a reader gets it: sliced to its rows, without unneeded buffers.
            rows = pa.ipc.read_record_batch(batch.serialize(), schema)
            checksums = {name: _checksum(rows[name]) for name in rows.schema.names}
            writer.write_batch(rows, custom_metadata={_CHECKSUMS: json.dumps(checksums)})


def _digest_of_descriptions(file: pa.MemoryMappedFile) -> str:
    """Compute the SHA-256 of the schema, the metadata of the parts, and the footer."""
    digest = hashlib.sha256()
    file.seek(_MAGIC)
    try:
        while True:
            digest.update(pa.ipc.read_message(file).metadata)
    except EOFError:
        digest.update(file.read())
    return digest.hexdigest()


def _checksum(column: pa.Array) -> int:
    """Compute the CRC-32 of a column's buffers, which are the bytes in the file."""
    checksum = 0
    for buffer in column.buffers():
        if buffer is not None:
            checksum = zlib.crc32(buffer, checksum)
    return checksum


def replace_models(former: FleetFile, newer: FleetFile) -> Iterator[FleetModel]:
    """Yield a file's models with those of another replacing their devices', or added.

    Raises
    ------
    InputError
        When sensor, features or window length differ.
    """
    sources = [(one.info.schema, (part.table for part in one.parts())) for one in (former, newer)]
    for old, new in device_ranges(sources):
        kept, changed = (FleetModel(rows.replace_schema_metadata(None), newer.info) for rows in (old, new))
        yield FleetModel(kept.table, former.info).replace(changed)
