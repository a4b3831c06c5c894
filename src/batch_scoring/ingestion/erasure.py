"""Remember which readings were deleted or replaced on demand, so that no source file brings them back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from batch_scoring.core.moments import EPOCH, MICROSECOND, microseconds
from batch_scoring.ingestion.corrections import Corrected, ReadingRange
from batch_scoring.ingestion.sql import literal
from batch_scoring.storage.row_table import Change, RowTable, Update
from batch_scoring.tables.arrow_arrays import from_rows
from batch_scoring.tables.schemas import ERASED

if TYPE_CHECKING:
    from batch_scoring.ingestion.staging import StagingArea

_TIMES = ("start", "end", "written_before")


@dataclass(frozen=True)
class Erased(ReadingRange):
    """Readings that no source file brings back.

    Attributes
    ----------
    written_before : int or None
        Only of files that were last written before it; None is any file.
    """

    written_before: int | None = None

    def covers(self, old: Erased) -> bool:
        """Whether all that another one keeps away is kept away by this one."""
        is_series = self.device == old.device and self.sensor in (None, old.sensor)
        begins = self.start is None or (old.start is not None and self.start <= old.start)
        ends = (old.end or 0) <= (self.end or 0)
        of_files = self.written_before is None or (
            old.written_before is not None and old.written_before <= self.written_before
        )
        return is_series and begins and ends and of_files


def read_erased(erased: RowTable | None) -> list[Erased]:
    """Read what was deleted or replaced; nothing without a table."""
    if erased is None or not erased.exists:
        return []
    erased.require_known(ERASED)
    rows = erased.read().to_pylist()
    times = [[(moment := row.get(name)) and microseconds(moment) for name in _TIMES] for row in rows]
    return [Erased(row["device"], row["sensor"], *of) for row, of in zip(rows, times, strict=True)]


def deleted_devices(erased: RowTable | None) -> dict[str, int]:
    """Return when each device was deleted with all its readings, microseconds since the epoch."""
    return {
        one.device: one.end
        for one in read_erased(erased)
        if one.end is not None and (one.sensor, one.start, one.written_before) == (None, None, None)
    }


def note_erased(corrected: Corrected, now: datetime, is_replaced: bool = False) -> Update:
    """Return the update that remembers a deletion; what is sent later than now is not meant.

    Where the readings are replaced, files that are written later may have others.
    """

    def update(table: RowTable) -> Change | None:
        moment = microseconds(now)
        end = moment if corrected.end is None else min(moment, corrected.end)
        before = moment if is_replaced else None
        one = Erased(corrected.device, corrected.sensor, corrected.start, end, before)
        known = read_erased(table)
        if one in known or (one.start is not None and one.start >= end):
            return None
        # Deleted once more, it reaches further.
        others = [old for old in known if not one.covers(old)]
        rows = from_rows([_row(each) for each in (*others, one)], ERASED)
        return Change(ERASED, [[rows]], guard="erased", replaces_all=table.exists)

    return update


def leave_out(area: StagingArea, erased: Sequence[Erased], changed_ns: Sequence[int]) -> None:
    """Remove staged rows that were deleted before; refused ones, too, unless only times decide on them.

    Parameters
    ----------
    area : StagingArea
    erased : sequence of Erased
    changed_ns : sequence of int
        When each file was last written, by its number.
    """
    for one in erased:
        conditions = [f"device = {literal(one.device)}"]
        if one.sensor is not None:
            conditions.append(f"sensor = {literal(one.sensor)}")
        if one.written_before is not None:
            older = [n for n, ns in enumerate(changed_ns) if ns < one.written_before * 1000]
            conditions.append(f"source IN ({', '.join(map(str, older)) or 'NULL'})")
        times = [
            f"timestamp {operator} TIMESTAMPTZ '{(EPOCH + time * MICROSECOND).isoformat()}'"
            for time, operator in ((one.start, ">="), (one.end, "<"))
            if time is not None
        ]
        inside = " AND ".join(times) or "true"
        conditions.append(f"({inside} OR timestamp IS NULL)" if one.start is None else f"({inside})")
        area.connection.execute(f"DELETE FROM staged WHERE {' AND '.join(conditions)}")


def _row(one: Erased) -> dict[str, object]:
    times = {name: getattr(one, name) for name in _TIMES}
    moments = {name: None if time is None else EPOCH + time * MICROSECOND for name, time in times.items()}
    return {"device": one.device, "sensor": one.sensor} | moments
