"""What people write: labels, feedback, calendar and devices in files, and all of it as one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import require_zone
from batch_scoring.datasets.entries import Entries
from batch_scoring.datasets.own import OwnDataset
from batch_scoring.evaluation.annotation_files import LABEL_FORMATS
from batch_scoring.evaluation.annotations import read_calendar, read_devices, read_feedback, read_labels
from batch_scoring.operations.annotations import Annotations
from batch_scoring.operations.tables import read
from batch_scoring.operations.verdicts import feedback_of
from batch_scoring.storage import Folder, open_file, open_folder
from batch_scoring.storage.cache import run_folder
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrow_arrays import empty_table
from batch_scoring.tables.schemas import (
    CALENDAR,
    DEVICE_INCIDENTS,
    DEVICES,
    FEEDBACK,
    INCIDENT_ACTIONS,
    LABELS,
)

if TYPE_CHECKING:
    from kedro_datasets._typing import TablePreview


class WrittenFile(OwnDataset[NoReturn, pa.Table]):
    """A table in CSV, JSON lines or Parquet.

    Parameters
    ----------
    path : str, optional
        A file named by the user, or a folder of such files: it must exist. A local path, or a URL.
    otherwise : str, optional
        Default path; without a file there, the table has no rows.
    timezone : str
        The IANA time zone of times without an offset.
    **more
        Of :class:`.OwnDataset`.
    """

    _schema: pa.Schema
    _read: Callable[[Path, str, str], pa.Table]
    _may_be_folder = True

    def __init__(
        self, path: str | None = None, otherwise: str | None = None, timezone: str = "UTC", **more: Any
    ) -> None:
        super().__init__(**more)
        self._path = path
        self._timezone = timezone
        self._otherwise = otherwise

    def load(self) -> pa.Table:
        """Load all rows; raises InputError, naming the row and the column, where one is not valid."""
        if self._path is not None:
            return self._rows(self._path)
        if self._otherwise is not None and self._is_there(self._otherwise):
            return self._rows(self._otherwise)
        return empty_table(self._schema)

    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first rows for Kedro-Viz."""
        from batch_scoring.datasets.previews import preview_table

        return preview_table(self.load().slice(0, nrows))

    def _rows(self, path: str) -> pa.Table:
        folder, name = open_file(path.rstrip("/"), self._credentials)
        names = [name]
        if self._may_be_folder and folder.entry(name) is None:
            entries = folder.below(name).entries()
            names = [f"{name}/{one.name}" for one in entries if one.name.lower().endswith(LABEL_FORMATS)]
        if not names:
            raise InputError(
                f"{path}: there is no such file, nor a folder with files that end in "
                f"{', '.join(LABEL_FORMATS)}"
            )
        return pa.concat_tables([self._file(folder, one) for one in names])

    def _file(self, folder: Folder, name: str) -> pa.Table:
        path = folder.path(name)
        try:
            copy = folder.local_copy(name, run_folder())
        except FileNotFoundError:
            raise InputError(f"{path}: there is no such file") from None
        require_zone("ingest.timezone", self._timezone)
        return self._read(copy, path, self._timezone)

    def _is_there(self, path: str) -> bool:
        folder, name = open_file(path, self._credentials)
        return folder.entry(name) is not None

    def _exists(self) -> bool:
        return any(path is not None and self._is_there(path) for path in (self._path, self._otherwise))

    def _describe(self) -> dict[str, Any]:
        return {"path": self._path or self._otherwise}


class LabelFile(WrittenFile):
    """A :class:`WrittenFile` of labels: schema ``labels.LABELS``."""

    _schema, _read = LABELS, staticmethod(read_labels)


class FeedbackFile(WrittenFile):
    """A :class:`WrittenFile` of feedback, and the verdicts that people gave beside it: schema ``FEEDBACK``.

    Parameters
    ----------
    path, otherwise, timezone
        Of :class:`WrittenFile`.
    actions, incidents : str, optional
        The folders of the tables INCIDENT_ACTIONS and DEVICE_INCIDENTS.
    **more
        Of :class:`.OwnDataset`.
    """

    _schema, _read = FEEDBACK, staticmethod(read_feedback)

    def __init__(
        self,
        path: str | None = None,
        otherwise: str | None = None,
        timezone: str = "UTC",
        actions: str | None = None,
        incidents: str | None = None,
        **more: Any,
    ) -> None:
        super().__init__(path, otherwise, timezone, **more)
        self._actions, self._incidents = actions, incidents

    def load(self) -> pa.Table:
        """Load the rows of the file, then those of the verdicts."""
        rows = super().load()
        actions = self._table(self._actions, INCIDENT_ACTIONS)
        if not actions.num_rows:
            return rows
        return pa.concat_tables([rows, feedback_of(actions, self._table(self._incidents, DEVICE_INCIDENTS))])

    def _table(self, path: str | None, schema: pa.Schema) -> pa.Table:
        return (
            empty_table(schema)
            if path is None
            else read(RowTable(open_folder(path, self._credentials)), schema)
        )


class CalendarFile(WrittenFile):
    """A :class:`WrittenFile` of times in which nothing is judged: schema ``CALENDAR``."""

    _schema, _read = CALENDAR, staticmethod(read_calendar)


class DevicesFile(WrittenFile):
    """A :class:`WrittenFile` of devices that were renamed, replaced or retired: schema ``DEVICES``."""

    _schema, _read = DEVICES, staticmethod(read_devices)
    # Its rows are checked against each other.
    _may_be_folder = False


class AnnotationsDataset(Entries):
    """What people have written: ``load`` gives an :class:`.Annotations` of its entries."""

    def load(self) -> Annotations:
        """Return what people have written; nothing is read yet."""
        return Annotations(super().load())

    def _exists(self) -> bool:
        """Nothing is missing where nobody has written anything."""
        return True
