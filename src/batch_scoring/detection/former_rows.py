"""Read rows of models stored in an older format as rows of today's, so that they score as before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from batch_scoring.tables.arrow_arrays import constant, to_arrow, to_numpy
from batch_scoring.tables.schemas import COMBINED

# Numbers of the combined curve in format 2, which had an exponential tail: of shape 0, the fifth number now.
_FORMER_CURVE = 4
_FORMER_FIT, _FORMER_ZONE = 1, "UTC"


def as_rows(rows: pa.Table, wanted: Sequence[str]) -> pa.Table:
    """Return these columns of models, including columns that the older format lacks.

    Parameters
    ----------
    rows : pyarrow.Table
        The stored ones among the columns.
    wanted : sequence of str
        Names of columns, in their order.
    """
    n = rows.num_rows
    if "curve" in rows.column_names:
        place = rows.schema.get_field_index("curve")
        curve = rows["curve"].combine_chunks() if rows["curve"].num_chunks != 1 else rows["curve"].chunk(0)
        sizes = np.diff(to_numpy(curve.offsets))
        if n and (sizes == _FORMER_CURVE).all():
            numbers = to_numpy(curve.flatten()).reshape(n, _FORMER_CURVE)
            numbers = np.column_stack([numbers, np.zeros(n)])
            offsets = np.arange(n + 1, dtype=np.int32) * (_FORMER_CURVE + 1)
            lists = pa.ListArray.from_arrays(to_arrow(offsets), to_arrow(numbers.ravel()))
            rows = rows.set_column(place, COMBINED.field("curve"), lists.cast(COMBINED.field("curve").type))
    if "fit_version" in wanted and "fit_version" not in rows.column_names:
        version = to_arrow(np.full(n, _FORMER_FIT, np.int64))
        rows = rows.append_column(COMBINED.field("fit_version"), version)
        rows = rows.append_column(COMBINED.field("time_zone"), constant(_FORMER_ZONE, n))
    for name in ("levels", "may_stay"):
        if name in wanted and name not in rows.column_names:
            none = pa.ListArray.from_arrays(to_arrow(np.zeros(n + 1, np.int32)), pa.array([], pa.float64()))
            rows = rows.append_column(COMBINED.field(name), none.cast(COMBINED.field(name).type))
    return rows.select(list(wanted))
