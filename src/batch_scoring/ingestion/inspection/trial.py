"""Read a sample as ingestion would, with the code that reads the whole: what is stored, what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.core.scratch import scratch_folder
from batch_scoring.ingestion.new_readings import NewReadings
from batch_scoring.ingestion.settings import read_settings
from batch_scoring.ingestion.source_files import SourceFile
from batch_scoring.ingestion.staging import StagingArea, staging_area
from batch_scoring.storage import open_folder
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.schemas import READINGS

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Refused:
    """Rows refused for one reason.

    Attributes
    ----------
    rows : int
    first : str
        The first text that was refused.
    row : int
        Its row in the sample.
    """

    rows: int
    first: str
    row: int


@dataclass(frozen=True)
class Trial:
    """What reading a sample gives.

    Attributes
    ----------
    readings : pyarrow.Table
        Schema READINGS; what would be stored.
    refused : dict of str to Refused
        By reason.
    missing : int
        Rows without a value.
    errors : tuple of str
        A sentence for each file that cannot be read, or one on the settings.
    """

    readings: pa.Table
    refused: Mapping[str, Refused] = field(default_factory=dict)
    missing: int = 0
    errors: tuple[str, ...] = ()

    @cached_property
    def outcome(self) -> tuple[int, int, int]:
        """Files that cannot be read, refused rows, and the stored rows with a minus: the less the better."""
        return len(self.errors), self.in_error, -self.readings.num_rows

    @property
    def in_error(self) -> int:
        """Number of refused rows."""
        return sum(one.rows for one in self.refused.values())

    def gives_the_same(self, other: Trial) -> bool:
        """Whether the same would be stored, and no more refused."""
        return self.outcome == other.outcome and self.readings.equals(other.readings)

    @property
    def is_readable(self) -> bool:
        """Whether every file is read, and most of the rows are stored."""
        return not self.errors and self.readings.num_rows > self.in_error


def try_reading(
    samples: Sequence[SourceFile],
    values: Mapping[str, Any],
    database: duckdb.DuckDBPyConnection | None = None,
) -> Trial:
    """Read samples with some settings.

    Parameters
    ----------
    samples : sequence of SourceFile
    values : mapping
        ``params:ingest``.
    database : duckdb.DuckDBPyConnection, optional
        See :func:`~batch_scoring.ingestion.staging.staging_area`.
    """
    try:
        settings = read_settings(values)
        with staging_area(settings, database) as area, scratch_folder(settings.temp_directory) as folder:
            latest = datetime.now(UTC) + settings.max_future
            area.stage({number: (one, "true") for number, one in enumerate(samples)}, latest)
            new = NewReadings(area, lambda: area, settings, [one.changed_ns for one in samples])
            nothing = RowTable(open_folder(str(folder / "readings")))
            parts = [batch for part in new.rows_not_in(nothing) for batch in part]
            stored = pa.Table.from_batches(parts, READINGS)
            missing = sum(one.get("missing_value", 0) for one in area.aside_by_source().values())
            return Trial(stored, _refused(area, samples), missing, tuple(area.failed.values()))
    except InputError as error:
        return Trial(READINGS.empty_table(), errors=(str(error),))


def _refused(area: StagingArea, samples: Sequence[SourceFile]) -> dict[str, Refused]:
    counts: dict[str, int] = {}
    for reasons in area.refused_by_source().values():
        for reason, n in reasons.items():
            counts[reason] = counts.get(reason, 0) + n
    firsts: dict[str, tuple[str, int]] = {}
    for table in area.quarantine(dict(enumerate(samples))):
        for row in table.to_pylist():
            firsts.setdefault(row["reason"], (_text_of(row), row["row"]))
        if len(firsts) == len(counts):
            break
    return {reason: Refused(n, *firsts.get(reason, ("", 0))) for reason, n in counts.items()}


def _text_of(row: Mapping[str, Any]) -> str:
    """Return the text that a row was refused for."""
    column = "timestamp" if "time" in row["reason"] else "value"
    return "" if row[column] is None else str(row[column])
