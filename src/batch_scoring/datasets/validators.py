"""Pandera schemas of readings, windows and predictions, and what applies them to a table of the catalog.

Kedro calls them as the ``validator:`` of an entry. Imported only then: pandera takes a second.
"""

from __future__ import annotations

import pandera.polars as pa
import polars as pl
from kedro.validation import PanderaValidator

from batch_scoring.storage.row_table import RowTable

_TIME = pl.Datetime("us", "UTC")


def _id() -> pa.Column:
    return pa.Column(pl.String, pa.Check.str_length(min_value=1))


def _number(*checks: pa.Check, nullable: bool = False, required: bool = True) -> pa.Column:
    finite = pa.Check(lambda data: data.lazyframe.select(pl.col(data.key).is_finite()), name="is_finite")
    return pa.Column(pl.Float64, [finite, *checks], nullable=nullable, required=required)


def _rows(name: str, says: str, is_right: pl.Expr) -> pa.Check:
    return pa.Check(lambda data: data.lazyframe.select(is_right), name=name, error=says)


READINGS = pa.DataFrameSchema(
    {"timestamp": pa.Column(_TIME), "device": _id(), "sensor": _id(), "value": _number()},
    unique=["device", "sensor", "timestamp"],
    name="readings",
)

_WINDOW = {"window_start": pa.Column(_TIME), "window_end": pa.Column(_TIME), "device": _id(), "sensor": _id()}
_ORDER = _rows(
    "ends_after_start", "window_end is after window_start", pl.col("window_start") < pl.col("window_end")
)
_SERIES = ["device", "sensor", "window_start"]

WINDOWS = pa.DataFrameSchema(
    {**_WINDOW, "count": pa.Column(pl.Int32, pa.Check.ge(1))},
    checks=_ORDER,
    unique=_SERIES,
    name="windows",
)

PREDICTIONS = pa.DataFrameSchema(
    {
        **_WINDOW,
        "value": _number(nullable=True),
        "score": _number(nullable=True),
        "threshold": _number(nullable=True),
        "is_anomaly": pa.Column(pl.Boolean),
        "severity": _number(pa.Check.ge(0), nullable=True),
        "model_version": _id(),
        "rule": pa.Column(pl.String, nullable=True),
    },
    checks=[
        _ORDER,
        _rows(
            "anomaly_is_below_threshold",
            "is_anomaly is score < threshold, unless a rule says otherwise",
            pl.col("rule").is_not_null()
            | (pl.col("is_anomaly") == (pl.col("score") < pl.col("threshold")).fill_null(False)),
        ),
    ],
    unique=_SERIES,
    name="predictions",
)


class TableValidator:
    """Applies a schema to all rows of a table, a piece of a file at a time.

    So rows are unique within a piece; a piece holds whole series of its file's days where they fit in memory.

    Parameters
    ----------
    schema : pandera.polars.DataFrameSchema
        Columns that it does not name are not read.
    """

    def __init__(self, schema: pa.DataFrameSchema) -> None:
        self._validator = PanderaValidator(schema)
        self._columns = list(schema.columns)

    def validate(self, data: RowTable) -> RowTable:
        """Return the table as it is; raises DataValidationError for the first piece that is not valid."""
        for file in data.files():
            names = [name for name in self._columns if name in data.schema.names]
            for rows in data.batches(file, names):
                self._validator.validate(pl.DataFrame(rows))
        return data


readings, windows, predictions = (
    TableValidator(READINGS),
    TableValidator(WINDOWS),
    TableValidator(PREDICTIONS),
)
