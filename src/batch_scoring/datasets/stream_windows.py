"""Files of windows that a Stream Analytics job has written: which there are; `import_windows` reads them."""

from __future__ import annotations

from batch_scoring.core.errors import InputError
from batch_scoring.datasets.raw_readings import RawReadings
from batch_scoring.ingestion.source_files import SourceFile


class StreamWindows(RawReadings):
    """A file, folder or glob of Parquet files and of JSON files, one object a line; lists, reads nothing.

    Parameters
    ----------
    path : str
        As of :class:`~batch_scoring.datasets.raw_readings.RawReadings`.
    """

    def load(self) -> list[SourceFile]:
        """List the files.

        Raises
        ------
        InputError
            When there is none.
        """
        found = [file for file in self._list() if file.format in ("parquet", "json")]
        if not found:
            raise InputError(
                f"stream_windows: {self._path!r} has no Parquet or JSON files; name the folder that the "
                "Stream Analytics job writes to, or wait for its first windows"
            )
        return found
