"""What people have written is read when it is asked for, and once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from batch_scoring.operations.annotations import NOTHING_WRITTEN, Annotations
from batch_scoring.tables.schemas import CALENDAR, DEVICES, FEEDBACK, INCIDENT_ACTIONS, LABELS, SILENCES

WRITTEN = {
    "devices": pa.Table.from_pylist([{"id": "b", "replaces": "a"}], DEVICES),
    "calendar": CALENDAR.empty_table(),
    "feedback": FEEDBACK.empty_table(),
}


class Noted(Mapping[str, Any]):
    """Entries that note which of them were asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __getitem__(self, name: str) -> Any:
        self.asked.append(name)
        return WRITTEN[name]

    def __iter__(self) -> Iterator[str]:
        return iter(WRITTEN)

    def __len__(self) -> int:
        return len(WRITTEN)


def test_nothing_is_read_that_nobody_asks_for() -> None:
    entries = Noted()
    annotations = Annotations(entries)
    assert entries.asked == []
    assert annotations.calendar is annotations.calendar
    assert annotations.devices.machines == {"b": ("b", "a")}
    assert entries.asked == ["calendar", "devices"]


def test_where_nobody_has_written_anything_tables_have_no_rows() -> None:
    for rows, schema in (
        (NOTHING_WRITTEN.feedback, FEEDBACK),
        (NOTHING_WRITTEN.labels, LABELS),
        (NOTHING_WRITTEN.actions, INCIDENT_ACTIONS),
        (NOTHING_WRITTEN.silences, SILENCES),
    ):
        assert (rows.schema, rows.num_rows) == (schema, 0)
    assert NOTHING_WRITTEN.faults.num_rows == 0
    assert NOTHING_WRITTEN.erased is None
    assert NOTHING_WRITTEN.devices.machines == {}
