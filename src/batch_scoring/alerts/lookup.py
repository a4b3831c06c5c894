"""Look up the incidents that a notification ledger needs, without reading the whole history."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.alerts.ledger import Ledger
from batch_scoring.core.moments import microseconds
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrow_arrays import are, empty_table, to_arrow, to_numpy
from batch_scoring.tables.schemas import INCIDENTS


def look_up(incidents: RowTable, ledger: Ledger, since: datetime) -> pa.Table:
    """Read recently ended incidents, and incidents notified before.

    Parameters
    ----------
    incidents : RowTable
        Schema INCIDENTS.
    ledger : Ledger
    since : datetime
        UTC.

    Returns
    -------
    pyarrow.Table
        Schema INCIDENTS: all that ended at ``since`` or later, all that the ledger knows and that are
        still there, and what lies in the place of the others. It may have more rows.
    """
    found = recent_incidents(incidents, since)
    notified = ledger.last_notified()
    is_found = to_numpy(pc.is_in(notified["incident_id"], value_set=found["incident_id"]))
    missing = notified.filter(to_arrow(~(is_found | are(notified["change"], "withdrawn"))))
    if missing.num_rows == 0:
        return found
    first = int(to_numpy(missing["start"]).min())
    older = [
        rows.filter(pc.is_in(rows["device"], value_set=missing["device"]))
        for file in incidents.files(sensors=pc.unique(missing["sensor"]).to_pylist())
        if file.bounds.get("end", (0, first))[1] >= first
        for rows in incidents.batches(file)
    ]
    rows = pa.concat_tables([empty_table(INCIDENTS), *older])
    is_new = ~to_numpy(pc.is_in(rows["incident_id"], value_set=found["incident_id"]))
    is_new &= ~are(rows["state"], "forming")
    return pa.concat_tables([found, rows.filter(to_arrow(is_new))]).combine_chunks()


def recent_incidents(incidents: RowTable, since: datetime) -> pa.Table:
    """Read the incidents that ended at ``since`` or later, UTC, or are open; schema INCIDENTS."""
    first = microseconds(since)
    found = [empty_table(INCIDENTS)]
    for file in incidents.files():
        is_closed = file.bounds.get("state") == ("closed", "closed")
        if is_closed and file.bounds.get("end", (0, first))[1] < first:
            continue
        for rows in incidents.batches(file):
            is_recent = (to_numpy(rows["end"]) >= first) | are(rows["state"], "open")
            found.append(rows.filter(to_arrow(is_recent & ~are(rows["state"], "forming"))))
    return pa.concat_tables(found).combine_chunks()
