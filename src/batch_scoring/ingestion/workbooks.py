"""Read the sheets of a workbook as CSV: one of them, or all with the same columns."""

from __future__ import annotations

import csv
import logging
import re
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from batch_scoring.core.errors import InputError
from batch_scoring.ingestion.settings import IngestSettings

logger = logging.getLogger(__name__)

# Titles stand above the header; more lines are rows.
_HEAD_ROWS = 20
# How a number, or a time, begins.
_NUMBER = re.compile(r"\s*[-+.,]?\d")


def sheet_names(path: str) -> list[str]:
    """Return the names of the sheets of a workbook; none of what is no workbook."""
    try:
        with _opened(path) as book:
            return _names(book)
    except InputError:
        return []


def is_pattern(sheet: str | None) -> bool:
    """Whether a setting stands for several sheets: no name of one has these marks."""
    return sheet is not None and ("*" in sheet or "?" in sheet)


def sheets_alike(path: str, sheet: str | None) -> list[str]:
    """Return the names of files for the sheets that a pattern fits and that have the same columns, or none.

    The others, such as notes, are left out with a warning.
    """
    if not is_pattern(sheet):
        return []
    with _opened(path) as book:
        heads = {
            name: _header(book.get_sheet_by_name(name))
            for name in _names(book)
            if fnmatchcase(name, str(sheet))
        }
    most = max(Counter(filter(None, heads.values())).items(), key=lambda one: one[1], default=((), 0))[0]
    others = [name for name, head in heads.items() if head != most]
    if others:
        listed = ", ".join(map(repr, others))
        logger.warning("%s: not read, as they have other columns: the sheets %s", path, listed)
    return [_file_name(name) for name, head in heads.items() if head and head == most]


def write_sheets(path: str, names: Collection[str], folder: Path) -> dict[str, str]:
    """Write sheets as CSV into a folder; returns the path of each by the name that its file was given."""
    copies = {}
    with _opened(path) as book:
        for number, sheet in enumerate(book.sheet_names):
            if _file_name(sheet) in names:
                copies[_file_name(sheet)] = str(_write(book, sheet, folder / f"{number}.csv"))
    return copies


def csv_of_workbook(path: str, settings: IngestSettings, folder: Path) -> str:
    """Write a sheet as CSV; its rows keep their numbers."""
    with _opened(path) as book:
        names = _names(book)
        name = names[0] if settings.sheet is None else settings.sheet
        if is_pattern(name):
            name = next((one for one in names if fnmatchcase(one, name)), name)
        if name not in names:
            raise InputError(f"{path}: no sheet {name!r}; expected one of {', '.join(map(repr, names))}")
        if settings.sheet is None and len(names) > 1:
            others = ", ".join(map(repr, names[1:]))
            logger.warning(
                "%s: the sheet %r is read, and not %s; set ingest.sheet, '*' for all with the same columns",
                path,
                name,
                others,
            )
        return str(_write(book, name, folder / f"{Path(path).stem}.csv"))


@contextmanager
def _opened(path: str) -> Iterator[Any]:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        yield CalamineWorkbook.from_path(path)
    except (CalamineError, OSError, IndexError) as error:
        raise InputError(f"{path}: not a workbook that can be read ({error}); save it as CSV") from None


def _names(book: Any) -> list[str]:
    """Return the names of the sheets with cells: a drawing may have one of its own."""
    from python_calamine import SheetTypeEnum

    return [one.name for one in book.sheets_metadata if one.typ == SheetTypeEnum.WorkSheet]


def _header(sheet: Any) -> tuple[str, ...]:
    """Return the names of the columns of a sheet, in order; none where no row has two cells.

    That is the row at its top with the most texts: rows of readings have numbers and times, and may have more
    cells than a header that names no index, or no remarks.
    """
    rows = [
        [text for text in map(_cell_text, row) if text.strip()]
        for row in sheet.to_python(skip_empty_area=False, nrows=_HEAD_ROWS)
    ]
    if max(map(len, rows), default=0) < 2:
        return ()
    named = max(rows, key=lambda row: sum(not _NUMBER.match(text) for text in row))
    return tuple(sorted(text.strip().casefold() for text in named))


def _file_name(sheet: str) -> str:
    return f"{sheet.replace('/', '_')}.csv"


def _write(book: Any, name: str, copy: Path) -> Path:
    rows = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
    with copy.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([_cell_text(cell) for cell in row] for row in rows)
    return copy


def _cell_text(cell: Any) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))  # a workbook has no whole numbers: the device 7 is 7.0
    if isinstance(cell, (datetime, date, time)):
        return cell.isoformat()
    return str(cell).lower() if isinstance(cell, bool) else str(cell)
