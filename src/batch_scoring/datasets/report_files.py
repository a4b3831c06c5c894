"""Files for people, local or blobs, replaced atomically: tables in CSV, without pandas, and the page."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.datasets.entries import Entries
from batch_scoring.datasets.own import FileDataset, require_kind
from batch_scoring.datasets.whole_files import WholeTextDataset
from batch_scoring.storage.cache import run_folder
from batch_scoring.storage.parquet import MAKE
from batch_scoring.tables.arrow_arrays import strings

if TYPE_CHECKING:
    from kedro_datasets._typing import PlotlyPreview, TablePreview

_ROWS, _END = 65_536, "\r\n"
# A spreadsheet takes a cell that begins with one of these for a formula, and runs it.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
# Makes the cell a text; spreadsheets do not show it.
_TEXT = "'"
_TO_MARK = frozenset((*_FORMULAS, _TEXT))


class WholeCSVDataset(FileDataset[pa.Table, pa.Table]):
    """An Arrow table in a CSV file in UTF-8; it appears whole or not at all.

    A text that a spreadsheet would take for a formula, such as an id ``=1+1``, is written with an apostrophe
    before it, and loaded without.
    """

    def load(self) -> pa.Table:
        """Load the table; types are inferred."""
        from pyarrow.csv import read_csv

        if not self._exists():
            raise InputError(f"{self._folder.path(self._name)}: {MAKE}")
        rows = read_csv(self._folder.local_copy(self._name, run_folder()))
        for place, column in enumerate(rows.columns):
            if pa.types.is_string(column.type):
                plain = pa.chunked_array([strings(list(map(_plain, column.to_pylist())))])
                rows = rows.set_column(place, rows.column_names[place], plain)
        return rows

    def save(self, data: pa.Table) -> None:
        """Write the table; only texts that need quotes have them."""
        require_kind(data, pa.Table, "a pyarrow.Table, such as pyarrow.table(frame)")
        with self._folder.writing(self._name) as file:
            file.write(_lines([data.column_names]))
            for rows in data.to_batches(_ROWS):
                file.write(_lines(zip(*(_cells(column) for column in rows.columns), strict=True)))

    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first rows for Kedro-Viz."""
        from batch_scoring.datasets.previews import preview_table

        return preview_table(self.load().slice(0, nrows))


class ReportPageDataset(WholeTextDataset):
    """The page of a report."""

    def preview(self) -> PlotlyPreview:
        """Return its heat map for Kedro-Viz, which runs no script of a page."""
        from kedro_datasets._typing import PlotlyPreview

        from batch_scoring.reporting.page_preview import heat_figure

        return PlotlyPreview(heat_figure(self.load()))


class ReportDataset(Entries):
    """The entries of a report: ``report_page`` and what belongs to it."""

    def preview(self) -> PlotlyPreview:
        """Return the heat map of the page for Kedro-Viz."""
        page = self._entries["report_page"]
        assert isinstance(page, ReportPageDataset)
        return page.preview()


def _cells(column: pa.Array) -> list[Any]:
    values: list[Any] = column.to_pylist()
    if not pa.types.is_string(column.type):
        return values
    return [f"{_TEXT}{one}" if one and one[0] in _TO_MARK else one for one in values]


def _plain(cell: str | None) -> str:
    return (cell or "").removeprefix(_TEXT)


class _Lines(list[str]):
    """The lines of a CSV file; the writer writes each at once."""

    write = list.append


def _lines(rows: Iterable[Iterable[Any]]) -> bytes:
    lines = _Lines()
    # A text with a character of the terminator has quotes: one with a carriage return is to have them, too.
    csv.writer(lines, lineterminator=_END).writerows(rows)
    return "\n".join([*(line[: -len(_END)] for line in lines), ""]).encode()
