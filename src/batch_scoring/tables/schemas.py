"""The data contracts: the Arrow schema of every table that passes between pipelines.

Times are UTC, timezone-aware, in microseconds. Windows are half-open, ``[window_start, window_end)``,
and aligned to the epoch. Devices and sensors are strings of any characters.
"""

import pyarrow as pa

TIMESTAMP = pa.timestamp("us", tz="UTC")

READINGS = pa.schema(
    [
        pa.field("timestamp", TIMESTAMP),
        pa.field("device", pa.string()),
        pa.field("sensor", pa.string()),
        pa.field("value", pa.float64()),
    ]
)

# The raw text of the refused fields, so that nothing of a refused measurement is lost.
QUARANTINE = pa.schema(
    [
        pa.field("timestamp", pa.string()),
        pa.field("device", pa.string()),
        pa.field("sensor", pa.string()),
        pa.field("value", pa.string()),
        pa.field("source", pa.string()),
        pa.field("row", pa.int64()),
        pa.field("reason", pa.string()),
    ]
)

# Events of a hub as they landed; what is in the bodies is not looked into before `ingest`.
EVENTS = pa.schema(
    [
        pa.field("partition", pa.string()),
        pa.field("sequence_number", pa.int64()),
        pa.field("offset", pa.string()),
        pa.field("enqueued_time", TIMESTAMP),
        pa.field("body", pa.binary()),
    ]
)

WINDOW_KEYS = pa.schema(
    [
        pa.field("window_start", TIMESTAMP),
        pa.field("window_end", TIMESTAMP),
        pa.field("device", pa.string()),
        pa.field("sensor", pa.string()),
        pa.field("count", pa.int32()),
    ]
)

PREDICTIONS = pa.schema(
    [
        pa.field("window_start", TIMESTAMP),
        pa.field("window_end", TIMESTAMP),
        pa.field("device", pa.string()),
        pa.field("sensor", pa.string()),
        pa.field("value", pa.float64()),
        pa.field("score", pa.float64()),
        pa.field("threshold", pa.float64()),
        pa.field("is_anomaly", pa.bool_()),
        pa.field("severity", pa.float64()),
        pa.field("top_feature", pa.string()),
        # Of anomalies, by the combined detector; empty otherwise.
        pa.field("contributions", pa.map_(pa.string(), pa.float64())),
        pa.field("model_version", pa.string()),
        # Of the window as it was scored: a changed window is told from it, and is scored again.
        pa.field("window_fingerprint", pa.uint64()),
    ]
)

STATUS = pa.schema(
    [
        pa.field("device", pa.string()),
        pa.field("sensor", pa.string()),
        pa.field("stage", pa.string()),
        pa.field("status", pa.string()),
        pa.field("n_windows", pa.int64()),
        pa.field("n_anomalies", pa.int64()),
        pa.field("message", pa.string()),
    ]
)


def feature_columns(windows: pa.Table | pa.Schema) -> list[str]:
    """The columns of a windows table that are no keys: its features but ``count``, in order."""
    names = windows.column_names if isinstance(windows, pa.Table) else windows.names
    return [name for name in names if name not in WINDOW_KEYS.names]


def windows_schema(features: list[str] | tuple[str, ...]) -> pa.Schema:
    """The schema of a windows table: the keys, ``count``, then one float64 column a feature.

    Parameters
    ----------
    features : sequence of str
        Feature names in the order of their columns. ``count`` is a key column already and
        is not repeated.

    Examples
    --------
    >>> windows_schema(["mean", "std"]).names
    ['window_start', 'window_end', 'device', 'sensor', 'count', 'mean', 'std']
    """
    fields = list(WINDOW_KEYS)
    fields += [pa.field(name, pa.float64()) for name in features if name != "count"]
    return pa.schema(fields)
