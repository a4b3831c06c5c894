"""Open Parquet files lazily; save them whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scoring.core.errors import InputError
from batch_scoring.core.stopwatch import stopwatch
from batch_scoring.core.system_errors import system_error
from batch_scoring.storage import Folder
from batch_scoring.tables.row_groups import in_row_groups
from batch_scoring.tables.streams import Stream

REMAKE = "delete it and run again"
MAKE = "this file does not exist yet; run the preceding pipelines first"


def open_parquet(
    folder: Folder,
    name: str,
    if_damaged: str = REMAKE,
    if_missing: str = MAKE,
    encoded: Sequence[str] = (),
) -> pq.ParquetFile:
    """Open a Parquet file; only its footer is read.

    Parameters
    ----------
    folder : Folder
    name : str
    if_damaged : str
        What a person is to do with a file that is no Parquet.
    if_missing : str
        What a person is to do when there is no file.
    encoded : sequence of str
        Columns of texts to read as dictionaries.

    Raises
    ------
    InputError
        When it does not exist or is not valid Parquet.
    """
    try:
        # With pre-buffering, everything read of a file would stay in memory until it is closed.
        with stopwatch.during("read"):
            return pq.ParquetFile(
                folder.open_ranges(name),
                read_dictionary=list(encoded),
                pre_buffer=False,
                page_checksum_verification=True,
            )
    except FileNotFoundError:
        raise InputError(f"{folder.path(name)}: {if_missing}") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise system_error(error, folder.path(name)) or InputError(
            f"{folder.path(name)}: not a readable Parquet file ({error}); {if_damaged}"
        ) from error


def save_parquet(folder: Folder, name: str, data: pa.Table | Stream) -> None:
    """Write rows as a Parquet file that appears whole or not at all.

    Raises
    ------
    InputError
        When another run is writing it.
    """
    stream = data if isinstance(data, Stream) else Stream(data.schema, iter([data]))
    # Numbers hardly repeat: dictionary encoding takes three times as long and a fifth more space.
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
