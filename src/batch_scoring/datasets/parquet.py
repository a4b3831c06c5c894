"""One Parquet file: loaded lazily as a ``pyarrow.parquet.ParquetFile``, saved whole or not at all."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scoring.datasets.own import FileDataset, require_kind
from batch_scoring.storage.parquet import open_parquet, save_parquet
from batch_scoring.tables.streams import Stream

if TYPE_CHECKING:
    from kedro_datasets._typing import TablePreview


class ArrowParquetDataset(FileDataset[pa.Table | Stream, pq.ParquetFile]):
    """A Parquet file that appears whole or not at all.

    ``load`` opens the file and reads only its footer: ``file.schema_arrow.metadata`` and
    ``file.metadata`` cost nothing, ``file.read()`` and ``file.iter_batches()`` fetch rows.
    ``save`` takes a table or a :class:`Stream`. The same rows give the same bytes, however they
    come in batches: every row group but the last has ``ROW_GROUP_ROWS`` rows. The arguments
    are those of :class:`.FileDataset`.
    """

    def load(self) -> pq.ParquetFile:
        """Open the file; raises InputError when it does not exist or is not Parquet."""
        return open_parquet(self._folder, self._name)

    def save(self, data: pa.Table | Stream) -> None:
        """Write the rows to a temporary file, then replace the file."""
        require_kind(data, (pa.Table, Stream), "a pyarrow.Table, such as pyarrow.table(frame)")
        save_parquet(self._folder, self._name, data)

    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first rows for Kedro-Viz."""
        from batch_scoring.datasets.previews import preview_table

        file = self.load()
        return preview_table(next(file.iter_batches(nrows), file.schema_arrow.empty_table()))


class OptionalParquetDataset(ArrowParquetDataset):
    """An optional :class:`ArrowParquetDataset`; without a file it has no rows."""

    def load(self) -> pq.ParquetFile:
        """Open the file; if it does not exist, an empty one without columns."""
        if self._exists():
            return super().load()
        nothing = io.BytesIO()
        pq.write_table(pa.table({}), nothing)
        return pq.ParquetFile(io.BytesIO(nothing.getvalue()))
