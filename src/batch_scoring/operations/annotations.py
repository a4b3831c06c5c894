"""What people know of the fleet, and what they did: read when a step asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import pyarrow as pa

from batch_scoring.incidents.calendar import Calendar
from batch_scoring.operations.tables import read
from batch_scoring.plant.devices import Devices
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrow_arrays import empty_table
from batch_scoring.tables.schemas import FEEDBACK, INCIDENT_ACTIONS, LABELS, SILENCES


class Annotations:
    """What people have written, each part read once.

    Parameters
    ----------
    entries : mapping of str to object, optional
        By their names in the catalog: ``calendar``, ``devices``, ``feedback`` and ``labels`` are tables of
        these schemas, ``fault_labels`` a Parquet file, ``incident_actions``, ``silences`` and ``erased``
        tables on disk. Nobody has written what is not among them.
    """

    def __init__(self, entries: Mapping[str, Any] | None = None) -> None:
        self._entries = {} if entries is None else entries

    @cached_property
    def devices(self) -> Devices:
        """Which ids are one machine, which were retired, and the groups."""
        return Devices(self._entries.get("devices"))

    @cached_property
    def calendar(self) -> Calendar:
        """When nothing is judged."""
        return Calendar(self._entries.get("calendar"), self.devices)

    @cached_property
    def feedback(self) -> pa.Table:
        """The verdicts on alarms; schema FEEDBACK."""
        return self._table("feedback", FEEDBACK)

    @cached_property
    def labels(self) -> pa.Table:
        """The known events; schema LABELS."""
        return self._table("labels", LABELS)

    @cached_property
    def faults(self) -> pa.Table:
        """The faults and events of a simulated fleet; no columns where nothing was simulated."""
        file = self._entries.get("fault_labels")
        return pa.table({}) if file is None else file.read()

    @cached_property
    def actions(self) -> pa.Table:
        """What people did about incidents; schema INCIDENT_ACTIONS."""
        return self._rows("incident_actions", INCIDENT_ACTIONS)

    @cached_property
    def silences(self) -> pa.Table:
        """Where no alert is sent, and when; schema SILENCES."""
        return self._rows("silences", SILENCES)

    @cached_property
    def erased(self) -> RowTable | None:
        """What was deleted or replaced; schema ERASED."""
        return self._entries.get("erased")

    def _table(self, name: str, schema: pa.Schema) -> pa.Table:
        rows = self._entries.get(name)
        return empty_table(schema) if rows is None else rows

    def _rows(self, name: str, schema: pa.Schema) -> pa.Table:
        table = self._entries.get(name)
        return empty_table(schema) if table is None else read(table, schema)


NOTHING_WRITTEN = Annotations()
