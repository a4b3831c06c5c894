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
        pa.field("model_version", pa.string()),
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
