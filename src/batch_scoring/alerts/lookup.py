"""Look up the incidents that a notification ledger needs."""

from __future__ import annotations

import pyarrow as pa

from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrow_arrays import empty_table
from batch_scoring.tables.schemas import DEVICE_INCIDENTS


def look_up(incidents: RowTable) -> pa.Table:
    """Read the ranked incidents; schema DEVICE_INCIDENTS."""
    is_known = incidents.schema == DEVICE_INCIDENTS
    return incidents.read().combine_chunks() if is_known else empty_table(DEVICE_INCIDENTS)
