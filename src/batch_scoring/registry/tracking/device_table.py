"""Write the devices of a training as one table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scoring.core.ids import require_known
from batch_scoring.detection.detectors.levels import levels_of_models
from batch_scoring.detection.detectors.preprocessing import RUN
from batch_scoring.detection.model_file import FleetFile
from batch_scoring.tables.device_ranges import device_ranges
from batch_scoring.tables.schemas import STATUS

_STATUS_COLUMNS = pa.schema([STATUS.field(name) for name in ("device", "status", "n_windows", "message")])
# Columns of models' rows that are shown by their length.
_LENGTHS = {"dual_coef": "n_support_vectors"}
# Columns with a number a feature.
_OF_FEATURES = ("mean", "scale", "center", "spread")


def device_tables(models: FleetFile, status: pa.Table | None) -> Iterator[pa.Table]:
    """Yield all data of every device except the support vectors, some thousand devices at a time.

    Parameters
    ----------
    models : FleetFile
        The new version.
    status : pyarrow.Table, optional
        Schema ``STATUS``, of the devices that were trained; None where
        their status is unknown.

    Yields
    ------
    pyarrow.Table
        One row for each device that has a model or a status, sorted by device, over all tables.
        ``status`` is ``carried over`` for the devices that were not trained this time. Without
        ``status``, its columns are left out.
    """
    schema = models.info.schema
    lengths = [name for name in _LENGTHS if name in schema.names]
    names = ["device", *_numbers(schema)]
    shown = pa.schema([*map(schema.field, names), *((_LENGTHS[name], pa.int64()) for name in lengths)])
    numbers = (_shown(batch, names, lengths, shown) for batch in models.batches([*names, *lengths]))
    if status is None:
        yield from numbers
        return
    outcomes = status.select(_STATUS_COLUMNS.names).sort_by("device").to_batches(max_chunksize=8_192)
    # A table without a status leaves its columns out.
    columns = ["device", "status", "n_windows", *shown.names[1:], "message"]
    for own, outcome in device_ranges([(shown, numbers), (_STATUS_COLUMNS, outcomes)]):
        joined = own.join(outcome, "device", join_type="full outer", use_threads=False).sort_by("device")
        text = pc.fill_null(joined["status"], "carried over")
        place = joined.schema.get_field_index("status")
        yield joined.set_column(place, "status", text).select(columns).combine_chunks()


def write_device_table(path: Path, models: FleetFile, status: pa.Table) -> None:
    """Write :func:`device_tables` as Parquet, without holding them all."""
    writer = None
    for rows in device_tables(models, status):
        writer = writer or pq.ParquetWriter(path, rows.schema)
        writer.write_table(rows)
    if writer is not None:
        writer.close()


def first_devices(path: Path, at_most: int) -> pa.Table:
    """Read the first rows of a table of :func:`write_device_table`: devices without a model come first.

    When all fit, they are in the order of the devices.
    """
    file = pq.ParquetFile(path)
    if file.metadata.num_rows <= at_most:
        return file.read()
    without, others = (file.schema_arrow.empty_table() for _ in range(2))
    for batch in file.iter_batches():
        rows = pa.Table.from_batches([batch])
        has_model = pc.is_valid(rows["threshold"])
        without = pa.concat_tables([without, rows.filter(pc.invert(has_model))]).slice(0, at_most)
        others = pa.concat_tables([others, rows.filter(has_model)]).slice(0, at_most)
    return pa.concat_tables([without, others]).slice(0, at_most)


def model_numbers(models: FleetFile, device: str) -> dict[str, Any]:
    """Return the numbers of one device's model by name.

    Raises
    ------
    InputError
        When the device has no model; suggests near ones.

    Examples
    --------
    A model over ``mean`` and ``std`` has ``mean of mean``, ``mean of std``, ``scale of mean``, …
    """
    known: list[str] = []
    for batch in models.batches():
        known += batch["device"].to_pylist()
        if device in known:
            row = batch.filter(pc.equal(batch["device"], device)).to_pylist()[0]
            break
    else:
        require_known("device", [device], known)
    numbers: dict[str, Any] = {"device": device} | {name: row[name] for name in _numbers(models.info.schema)}
    features = models.info.features
    # A list of one number fewer is the combined detector's SVM's, which knows nothing of equal runs.
    of_svm = [name for name in features if name != RUN]
    for name in (one for one in _OF_FEATURES if one in row):
        named = features if len(row[name]) == len(features) else of_svm
        numbers |= {f"{name} of {feature}": value for feature, value in zip(named, row[name], strict=True)}
    if "kind" in row:
        numbers["kind"] = row["kind"]
    of_levels = np.array(row.get("levels") or ())
    levels = levels_of_models(of_levels, np.array([0, of_levels.size]), len(features))
    if levels is not None:
        bounds = zip(levels.low[0].tolist(), levels.high[0].tolist(), strict=True)
        # Where the mean stays at each; center and spread above are those of all windows.
        numbers |= {f"level {number} of mean": list(both) for number, both in enumerate(bounds, 1)}
        hours = enumerate(row.get("may_stay") or (), 1)
        numbers |= {f"hours usual at level {number}": one for number, one in hours if np.isfinite(one)}
    if "support_vectors" not in row:
        return numbers
    d = len(row["mean"])
    vectors = [
        row["support_vectors"][first : first + d] for first in range(0, len(row["support_vectors"]), d)
    ]
    return numbers | {"support_vectors": vectors, "dual_coef": row["dual_coef"]}


def to_split_json(table: pa.Table) -> str:
    """Convert a table to the JSON that MLflow's page shows as a table: column names, then rows."""
    columns = [_jsonable(table[name]).to_pylist() for name in table.column_names]
    rows = [list(row) for row in zip(*columns, strict=True)]
    return json.dumps({"columns": table.column_names, "data": rows}, ensure_ascii=False, allow_nan=False)


def _numbers(schema: pa.Schema) -> list[str]:
    """Return the columns of a model's row that hold one number or time."""
    return [
        field.name for field in schema if not (pa.types.is_list(field.type) or pa.types.is_string(field.type))
    ]


def _shown(batch: pa.Table, names: list[str], lengths: list[str], schema: pa.Schema) -> pa.Table:
    columns = [batch[name] for name in names]
    columns += [pc.list_value_length(batch[name]).cast(pa.int64()) for name in lengths]
    return pa.Table.from_arrays(columns, schema=schema)


def _jsonable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_timestamp(column.type):
        return pc.strftime(column, format="%Y-%m-%dT%H:%MZ")
    if pa.types.is_floating(column.type):
        # JSON knows no NaN and no infinity.
        return pc.if_else(pc.is_finite(column), column, None)
    return column
