"""Remember which readings were deleted on demand, so that no source file brings them back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from batch_scoring.core.moments import EPOCH, MICROSECOND, microseconds
from batch_scoring.ingestion.corrections import Corrected
from batch_scoring.ingestion.sql import literal
from batch_scoring.ingestion.staging import StagingArea
from batch_scoring.storage.row_table import Change, RowTable, Update
from batch_scoring.tables.arrow_arrays import from_rows
from batch_scoring.tables.schemas import ERASED


def read_erased(erased: RowTable | None) -> list[Corrected]:
    """Read what was deleted; nothing without a table."""
    if erased is None or not erased.exists:
        return []
    return [
        Corrected(
            row["device"], row["sensor"], *(one and microseconds(one) for one in (row["start"], row["end"]))
        )
        for row in erased.read().to_pylist()
    ]


def note_erased(corrected: Corrected, now: datetime) -> Update:
    """Return the update that remembers a deletion; what is sent later than now is not meant."""

    def update(table: RowTable) -> Change | None:
        end = min(microseconds(now), corrected.end if corrected.end is not None else microseconds(now))
        one = Corrected(corrected.device, corrected.sensor, corrected.start, end)
        known = read_erased(table)
        if one in known or (one.start is not None and one.start >= end):
            return None
        # Deleted once more, it reaches further.
        others = [old for old in known if not _covers(one, old)]
        rows = from_rows([_row(each) for each in (*others, one)], ERASED)
        return Change(ERASED, [[rows]], guard="erased", replaces_all=table.exists)

    return update


def leave_out(area: StagingArea, erased: Sequence[Corrected]) -> None:
    """Remove staged rows that were deleted before; refused ones, too, unless only times decide on them."""
    for one in erased:
        conditions = [f"device = {literal(one.device)}"]
        if one.sensor is not None:
            conditions.append(f"sensor = {literal(one.sensor)}")
        times = [
            f"timestamp {operator} TIMESTAMPTZ '{(EPOCH + time * MICROSECOND).isoformat()}'"
            for time, operator in ((one.start, ">="), (one.end, "<"))
            if time is not None
        ]
        inside = " AND ".join(times) or "true"
        conditions.append(f"({inside} OR timestamp IS NULL)" if one.start is None else f"({inside})")
        area.connection.execute(f"DELETE FROM staged WHERE {' AND '.join(conditions)}")


def _covers(one: Corrected, old: Corrected) -> bool:
    is_series = one.device == old.device and one.sensor in (None, old.sensor)
    begins = one.start is None or (old.start is not None and one.start <= old.start)
    return is_series and begins and (old.end or 0) <= (one.end or 0)


def _row(one: Corrected) -> dict[str, object]:
    start, end = (None if time is None else EPOCH + time * MICROSECOND for time in (one.start, one.end))
    return {"device": one.device, "sensor": one.sensor, "start": start, "end": end}
