"""The models of one sensor's devices in a Parquet file, written and read a range of devices at a time.

A million models are gigabytes. Nothing here holds more of them than a few thousand.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scoring.fleet.device_ranges import device_ranges
from batch_scoring.fleet.errors import InputError
from batch_scoring.fleet.model import MODELS, FleetInfo, FleetModel
from batch_scoring.fleet.overlap import computed
from batch_scoring.fleet.row_groups import in_row_groups

# What a reader holds at a time: 32 MB of models over 6 features with 70 support vectors.
ROW_GROUP_DEVICES = 8_192
# Row groups unpacked at a time: it takes a third of a scoring job.
_READERS = 2
# A Parquet file ends with the length of its footer and four letters.
_FOOTER_END = 8


class FleetFile:
    """A file of models, open for reading; only its footer has been read.

    Its pages have checksums, which are compared as they are read.

    Parameters
    ----------
    path : path
        What :func:`write_models` wrote.

    Attributes
    ----------
    path : Path
    info : FleetInfo
    n_models : int

    Raises
    ------
    InputError
        When it is not Parquet, not a fleet model, or of a newer format than this code knows.
    FileNotFoundError
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        try:
            file = self._open()
        except FileNotFoundError:
            raise
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{self.path}: this is not a fleet model: {error}") from error
        self.info = FleetInfo.of_schema(file.schema_arrow)
        self.n_models: int = file.metadata.num_rows
        self._n_groups: int = file.num_row_groups

    def parts(self) -> Iterator[FleetModel]:
        """The models, in the order of the devices, a row group at a time.

        Raises
        ------
        InputError
            When the file is damaged, or its devices are not sorted.
        """
        last = ""
        for rows in self.batches():
            part = FleetModel(rows.combine_chunks(), self.info).checked()
            if last and part.devices[0].as_py() <= last:
                raise InputError(f"{self.path}: devices are not sorted or not unique at {last!r}")
            last = part.devices[-1].as_py()
            yield part

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The rows as they are stored, a row group at a time; only these columns of schema MODELS.

        Raises
        ------
        InputError
            When the file is damaged.
        """
        own = threading.local()

        def read(group: int) -> pa.Table:
            if not hasattr(own, "file"):
                # An open Parquet file is one thread's.
                own.file = self._open()
            return own.file.read_row_group(group, columns, use_threads=False)

        try:
            yield from computed(read, range(self._n_groups), min(_READERS, len(os.sched_getaffinity(0))))
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                f"{self.path}: the file of models is damaged ({error}); publish its version again with "
                "`kedro models promote`"
            ) from error

    def _open(self) -> pq.ParquetFile:
        return pq.ParquetFile(self.path, pre_buffer=False, page_checksum_verification=True)

    def sha256(self) -> str:
        """The digest of the file's bytes, in hex."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def same_models(self, other: FleetFile) -> bool:
        """Whether both hold the same rows, whatever is said of them in their metadata."""
        if self.n_models != other.n_models:
            return False
        sources = [(MODELS, one.batches()) for one in (self, other)]
        return all(ours.equals(theirs) for ours, theirs in device_ranges(sources))

    def read(self) -> FleetModel:
        """All models at once: for fleets that fit into memory."""
        rows = [part.table for part in self.parts()]
        return FleetModel(pa.concat_tables([MODELS.empty_table(), *rows]).combine_chunks(), self.info)


def footer_sha256(path: Path) -> str:
    """The digest of a Parquet file's footer, in hex: of all that the checksums of its pages do not cover."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - _FOOTER_END, 0))
        length = int.from_bytes(file.read(4), "little")
        file.seek(max(size - _FOOTER_END - length, 0))
        return hashlib.sha256(file.read()).hexdigest()


def write_models(file: IO[bytes] | Path | str, info: FleetInfo, parts: Iterable[FleetModel]) -> None:
    """Write models part by part; the same models give the same bytes, however they were parted.

    Parameters
    ----------
    file : path or file open for writing
    info : FleetInfo
    parts : iterable of FleetModel
        In the order of the devices.
    """
    # Numbers hardly repeat, so dictionaries would be tried in vain; LZ4 unpacks faster than a disk reads.
    schema = MODELS.with_metadata(info.to_metadata())
    tables = (part.table.select(MODELS.names).cast(MODELS).replace_schema_metadata(None) for part in parts)
    with pq.ParquetWriter(
        file, schema, compression="lz4", use_dictionary=["device"], write_page_checksum=True
    ) as writer:
        for rows in in_row_groups(tables, ROW_GROUP_DEVICES):
            writer.write_table(rows)


def replace_models(former: FleetFile, newer: FleetFile) -> Iterator[FleetModel]:
    """The models of a file with those of another put in the place of their devices', or added.

    Raises
    ------
    InputError
        When sensor, features or window length differ.
    """
    sources = [(MODELS, (part.table for part in one.parts())) for one in (former, newer)]
    for old, new in device_ranges(sources):
        kept, changed = (FleetModel(rows.replace_schema_metadata(None), newer.info) for rows in (old, new))
        yield FleetModel(kept.table, former.info).replace(changed)
