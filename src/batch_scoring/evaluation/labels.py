"""Read labels: known faults, and when they occurred."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from batch_scoring.evaluation.annotation_files import BEGIN, END, WrittenRow, read_table
from batch_scoring.tables.schemas import LABELS


def read_labels(path: Path | str) -> pa.Table:
    """Read a file of labels: CSV, JSON lines or Parquet.

    Its columns are ``device``, ``sensor``, when it began (``start`` or ``first``, the same), when it
    ended (``end``, the first moment after it, or ``last``, the last moment in it) and, if there is
    one, ``kind``. Times without an offset are UTC. Other columns are left alone.

    Parameters
    ----------
    path : path

    Returns
    -------
    pyarrow.Table
        Schema ``LABELS``: intervals ``[start, end)``, in the order of the file.

    Raises
    ------
    InputError
        Naming the file, the row and the column.
    """
    return read_table(Path(path), LABELS, [("device",), ("sensor",), BEGIN, END], _label)


def _label(row: WrittenRow) -> tuple[Any, ...]:
    return row.text("device"), row.text("sensor"), row.optional_text("kind"), *row.interval()
