"""Files that people write for us, each read as a whole: labels and feedback. There need not be one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
from kedro.io import AbstractDataset
from kedro.io.core import DatasetError

from batch_scoring.feedback import FEEDBACK, read_feedback
from batch_scoring.labels import LABELS, read_labels


class WrittenFile(AbstractDataset[NoReturn, pa.Table]):
    """A table in CSV, JSON lines or Parquet.

    Parameters
    ----------
    path : str, optional
        A file that a person named: it must be there.
    otherwise : str, optional
        Where to look when none was named; without a file there, the table has no rows.
    """

    _schema: pa.Schema
    _read: Callable[[Path], pa.Table]

    def __init__(
        self, path: str | None = None, otherwise: str | None = None, metadata: dict[str, Any] | None = None
    ) -> None:
        self._path = Path(path) if path is not None else None
        self._otherwise = Path(otherwise) if otherwise is not None else None
        self.metadata = metadata

    def load(self) -> pa.Table:
        """All rows; raises InputError, naming the row and the column, where one makes no sense."""
        if self._path is not None:
            return self._read(self._path)
        if self._otherwise is not None and self._otherwise.exists():
            return self._read(self._otherwise)
        return self._schema.empty_table()

    def save(self, data: NoReturn) -> None:
        """Raise: these files are written by people."""
        raise DatasetError(f"{type(self).__name__} is read only: people write these files")

    def _exists(self) -> bool:
        return any(path is not None and path.exists() for path in (self._path, self._otherwise))

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._path or self._otherwise)}


class LabelFile(WrittenFile):
    """A :class:`WrittenFile` of labels: schema ``labels.LABELS``."""

    _schema, _read = LABELS, staticmethod(read_labels)


class FeedbackFile(WrittenFile):
    """A :class:`WrittenFile` of feedback: schema ``feedback.FEEDBACK``."""

    _schema, _read = FEEDBACK, staticmethod(read_feedback)
