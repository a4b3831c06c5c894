"""Tell faults from the other events that the simulator labels."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.tables.arrow_arrays import strings

# No machine is broken: an alarm on one of these is a false one.
NOT_FAULTS = ("maintenance", "off", "renamed", "summer_time", "unit_change", "wild_reading", "young")


def faults_only(labels: pa.Table) -> pa.Table:
    """Select the labels that are faults of machines, or news of the whole fleet.

    Parameters
    ----------
    labels : pyarrow.Table
        With the column ``kind``; a table without columns is returned as it is.
    """
    if not labels.num_columns:
        return labels
    return labels.filter(pc.invert(pc.is_in(labels["kind"], value_set=strings(NOT_FAULTS))))
