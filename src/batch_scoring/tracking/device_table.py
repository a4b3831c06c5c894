"""The devices of a training as one table, for people to look at."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.fleet.model import FleetModel

_NUMBERS = ["n_train", "trained_from", "trained_to", "nu", "gamma", "rho", "threshold", "train_flag_rate"]


def device_table(model: FleetModel, status: pa.Table | None) -> pa.Table:
    """Everything about every device but the support vectors themselves.

    Parameters
    ----------
    model : FleetModel
        The new version.
    status : pyarrow.Table, optional
        Schema ``tables.STATUS``, of the devices that were trained; None where nothing is known of that.

    Returns
    -------
    pyarrow.Table
        One row for each device that has a model or a status, sorted by device. ``status`` is
        ``carried over`` for the devices that were not trained this time. Without ``status``, its
        columns are left out.
    """
    numbers = model.table.select(["device", *_NUMBERS]).replace_schema_metadata(None)
    numbers = numbers.append_column("n_support_vectors", pa.array(model.n_support_vectors, pa.int64()))
    if status is None:
        return numbers
    own = status.select(["device", "status", "n_windows", "message"])
    joined = numbers.join(own, "device", join_type="full outer", use_threads=False).sort_by("device")
    told = pc.fill_null(joined["status"], "carried over")
    columns = ["device", "status", "n_windows", *_NUMBERS, "n_support_vectors", "message"]
    return joined.set_column(joined.schema.get_field_index("status"), "status", told).select(columns)


def model_numbers(model: FleetModel, device: str) -> dict[str, Any]:
    """One device's model, with the names of its features.

    Examples
    --------
    A model over ``mean`` and ``std`` has ``mean of mean``, ``scale of mean``, ``mean of std``, …
    """
    row = model.select([device]).table.to_pylist()[0]
    d = len(model.info.features)
    numbers: dict[str, Any] = {"device": device} | {name: row[name] for name in _NUMBERS}
    for place, feature in enumerate(model.info.features):
        numbers |= {f"mean of {feature}": row["mean"][place], f"scale of {feature}": row["scale"][place]}
    vectors = [
        row["support_vectors"][first : first + d] for first in range(0, len(row["support_vectors"]), d)
    ]
    return numbers | {"support_vectors": vectors, "dual_coef": row["dual_coef"]}


def to_split_json(table: pa.Table) -> str:
    """A table as the JSON that MLflow's page shows as a table: column names, then rows."""
    columns = [_jsonable(table[name]).to_pylist() for name in table.column_names]
    rows = [list(row) for row in zip(*columns, strict=True)]
    return json.dumps({"columns": table.column_names, "data": rows}, ensure_ascii=False, allow_nan=False)


def _jsonable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_timestamp(column.type):
        return pc.strftime(column, format="%Y-%m-%dT%H:%MZ")
    if pa.types.is_floating(column.type):
        # JSON knows no NaN and no infinity.
        return pc.if_else(pc.is_finite(column), column, None)
    return column
