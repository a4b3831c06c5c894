"""A table in many Parquet files, one a sensor and day: ``<root>/<sensor>/<date>.parquet``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kedro_datasets.partitions import PartitionedDataset

from batch_scoring.datasets.arrow_parquet import ArrowParquetDataset


class ArrowPartitions(PartitionedDataset):  # type: ignore[misc]
    """kedro-datasets' PartitionedDataset over :class:`ArrowParquetDataset`; no partitions is no error.

    ``load`` gives ``{partition: function that opens the file}`` in the order of the names,
    ``save`` takes ``{partition: table or Stream}`` and replaces just these partitions, each of
    them atomically. A generator node may save many times.
    """

    def __init__(self, path: str, metadata: dict[str, Any] | None = None) -> None:
        super().__init__(
            path=path, dataset={"type": ArrowParquetDataset}, filename_suffix=".parquet", metadata=metadata
        )

    def load(self) -> dict[str, Callable[[], Any]]:
        """Every partition there is, by name, unopened."""
        self._invalidate_caches()
        return dict(sorted(super().load().items())) if self._exists() else {}
