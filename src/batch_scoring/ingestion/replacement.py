"""Read a file whose readings replace stored ones of a range."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Selection
from batch_scoring.core.moments import EPOCH, MICROSECOND
from batch_scoring.ingestion.corrections import Corrected
from batch_scoring.ingestion.new_readings import NewReadings
from batch_scoring.ingestion.settings import IngestSettings
from batch_scoring.ingestion.source_files import list_source_files
from batch_scoring.ingestion.sources import PendingSource
from batch_scoring.ingestion.staging import staging_area


@contextmanager
def read_replacement(
    path: Path, corrected: Corrected, settings: IngestSettings, latest: datetime
) -> Iterator[NewReadings]:
    """Read the readings of a file that are of a device, sensor and range.

    Parameters
    ----------
    path : Path
    corrected : Corrected
    settings : IngestSettings
    latest : datetime
        Readings after it are in the future.

    Raises
    ------
    InputError
        When the file cannot be read, or has no such reading.
    """
    files = list_source_files(str(path))
    if len(files) != 1 or not path.is_file():
        raise InputError(f"{path}: is not a file of readings; expected one file, such as corrected.csv")
    sensors = None if corrected.sensor is None else frozenset({corrected.sensor})
    source = PendingSource(files[0], "", [Selection(frozenset({corrected.device}), sensors)])
    with staging_area(settings) as area:
        area.stage({0: (source.file, source.where)}, latest)
        for error in area.failed.values():
            raise InputError(error)
        for time, operator in ((corrected.start, "<"), (corrected.end, ">=")):
            if time is not None:
                moment = (EPOCH + time * MICROSECOND).isoformat()
                area.connection.execute(
                    f"DELETE FROM staged WHERE reason IS NULL AND timestamp {operator} TIMESTAMPTZ '{moment}'"
                )
        if not area.days():
            raise InputError(
                f"{path}: has no reading of device {corrected.device!r} in the range; nothing is replaced"
            )
        # Of this file, whatever is stored.
        newest = replace(settings, on_conflict="newest")
        yield NewReadings(area, lambda: area, newest, [files[0].changed_ns])
