"""Read feedback on alarms: which were false, and which were true events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.evaluation.annotation_files import BEGIN, END, WrittenRow, read_table
from batch_scoring.tables.schemas import FALSE_ALARM, FEEDBACK, TRUE_EVENT


def read_feedback(path: Path | str) -> pa.Table:
    """Read a file of feedback: CSV, JSON lines or Parquet.

    Its columns are ``device``, ``sensor``, ``start`` or ``first``, ``end`` or ``last`` as in
    :func:`batch_scoring.evaluation.labels.read_labels`, ``verdict`` (``false_alarm`` or ``true_event``)
    and, if there is one, ``note``.

    Returns
    -------
    pyarrow.Table
        Schema ``FEEDBACK``: intervals ``[start, end)``, in the order of the file.

    Raises
    ------
    InputError
        Naming the file, the row and the column.
    """
    required = [("device",), ("sensor",), BEGIN, END, ("verdict",)]
    return read_table(Path(path), FEEDBACK, required, _finding)


def _finding(row: WrittenRow) -> tuple[Any, ...]:
    note = row.optional_text("note")
    return row.text("device"), row.text("sensor"), *row.interval(), _verdict(row), note


def _verdict(row: WrittenRow) -> str:
    verdict = row.text("verdict").strip().lower()
    if verdict not in (FALSE_ALARM, TRUE_EVENT):
        raise InputError(
            f"{row.where}, column 'verdict': {row.values['verdict']!r} is not one of "
            f"{FALSE_ALARM!r}, {TRUE_EVENT!r}"
        )
    return verdict
