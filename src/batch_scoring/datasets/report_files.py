"""Tables as CSV files, local or blobs, for people and spreadsheets; replaced atomically, without pandas."""

import csv
import io
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
from kedro_datasets._typing import TablePreview

from batch_scoring.datasets.own import FileDataset
from batch_scoring.storage.cache import run_folder

_ROWS = 65_536


class WholeCSVDataset(FileDataset[pa.Table, pa.Table]):
    """An Arrow table in a CSV file in UTF-8; it appears whole or not at all."""

    def load(self) -> pa.Table:
        """Load the table; types are inferred."""
        from pyarrow.csv import read_csv

        return read_csv(self._folder.local_copy(self._name, run_folder()))

    def save(self, data: pa.Table) -> None:
        """Write the table; only texts that need quotes have them."""
        with self._folder.writing(self._name) as file:
            file.write(_lines([data.column_names]))
            for rows in data.to_batches(_ROWS):
                file.write(_lines(zip(*(column.to_pylist() for column in rows.columns), strict=True)))

    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first rows for Kedro-Viz; its annotation decides how they are shown."""
        rows = self.load().slice(0, nrows)
        columns = [column.to_pylist() for column in rows.columns]
        return TablePreview(
            {
                "index": list(range(rows.num_rows)),
                "columns": rows.column_names,
                "data": [list(row) for row in zip(*columns, strict=True)],
            }
        )


def _lines(rows: Iterable[Iterable[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
