"""Look up the incidents that a notification ledger needs, without reading the whole history."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.alerts.ledger import Ledger, as_rows
from batch_scoring.tables.arrow_arrays import are, empty_table, to_arrow, to_numpy
from batch_scoring.tables.partitions import Partitions, by_sensor
from batch_scoring.tables.schemas import INCIDENTS


def look_up(incidents: Partitions, ledger: Ledger, since: datetime) -> pa.Table:
    """Read recently ended incidents, and incidents notified before.

    Parameters
    ----------
    incidents : partitions
        Schema INCIDENTS. An incident is in the file of the day that closed it, or, while it is open,
        in its sensor's last one; never before the day on which it ended.
    ledger : Ledger
    since : datetime
        UTC.

    Returns
    -------
    pyarrow.Table
        Schema INCIDENTS: all that ended at ``since`` or later, all that the ledger knows and that are
        still there, and what lies in the place of the others. It may have more rows.
    """
    sensors = by_sensor(incidents)
    recent = {
        key
        for days in sensors.values()
        for day, key in days.items()
        if day >= since.date() or day == max(days)
    }
    found = _read(incidents, recent)
    notified = ledger.last_notified()
    is_found = to_numpy(pc.is_in(notified["incident_id"], value_set=found["incident_id"]))
    missing = notified.filter(to_arrow(~(is_found | are(notified["change"], "withdrawn"))))
    if missing.num_rows == 0:
        return found
    older = {
        key
        for row in as_rows(missing.select(["sensor", "start"]))
        for day, key in sensors.get(row["sensor"], {}).items()
        if day >= row["start"].date()
    }
    rows = _read(incidents, older - recent)
    return pa.concat_tables([found, rows.filter(pc.is_in(rows["device"], value_set=missing["device"]))])


def _read(incidents: Partitions, keys: Iterable[str]) -> pa.Table:
    files = (incidents[key]() for key in sorted(keys))
    return pa.concat_tables([empty_table(INCIDENTS), *(file.read() for file in files)]).combine_chunks()
