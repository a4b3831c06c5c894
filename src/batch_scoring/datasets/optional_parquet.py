"""One Parquet file that need not be there: a table that only some projects have, such as known faults."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scoring.datasets.parquet import ArrowParquetDataset


class OptionalParquetDataset(ArrowParquetDataset):
    """An :class:`ArrowParquetDataset` whose ``load`` never fails for want of a file."""

    def load(self) -> pq.ParquetFile:
        """Open the file; where there is none, one without rows and columns."""
        if self._exists():
            return super().load()
        nothing = io.BytesIO()
        pq.write_table(pa.table({}), nothing)
        return pq.ParquetFile(io.BytesIO(nothing.getvalue()))
