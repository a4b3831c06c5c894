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
        # Of the window as it was scored: it shows that a window has changed and is to be scored again.
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


FEEDBACK = pa.schema(
    [
        pa.field("device", pa.string()),
        pa.field("sensor", pa.string()),
        pa.field("start", TIMESTAMP),
        pa.field("end", TIMESTAMP),
        pa.field("verdict", pa.string()),
        pa.field("note", pa.string()),
    ]
)
FALSE_ALARM, TRUE_EVENT = "false_alarm", "true_event"


LABELS = pa.schema(
    [
        pa.field("device", pa.string()),
        pa.field("sensor", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("start", TIMESTAMP),
        pa.field("end", TIMESTAMP),
    ]
)


INCIDENTS = pa.schema(
    [
        pa.field("incident_id", pa.string()),
        pa.field("device", pa.string()),
        pa.field("sensor", pa.string()),
        pa.field("start", TIMESTAMP),
        pa.field("end", TIMESTAMP),
        pa.field("state", pa.string()),
        pa.field("n_windows", pa.int64()),
        pa.field("peak_severity", pa.float64()),
        pa.field("peak_at", TIMESTAMP),
        pa.field("top_feature", pa.string()),
        pa.field("model_version", pa.string()),
    ]
)
# What the windows of a stretch of time hand on to the next: of each device the incident that may go on,
# or the anomalous windows that are not enough for one yet.
UNFINISHED = pa.schema(
    [
        pa.field("device", pa.string()),
        *(INCIDENTS.field(name) for name in ("start", "end", "n_windows", "peak_severity", "peak_at")),
        *(INCIDENTS.field(name) for name in ("top_feature", "model_version")),
        pa.field("is_incident", pa.bool_()),
        pa.field("seen_until", TIMESTAMP),
    ]
)
# What of predictions makes incidents.
JUDGED = ("device", "window_start", "window_end", "is_anomaly", "severity", "top_feature", "model_version")


EVALUATED_EVENTS = pa.schema(
    [
        *(pa.field(name, pa.string()) for name in ("method", "device", "sensor", "kind")),
        pa.field("start", TIMESTAMP),
        pa.field("end", TIMESTAMP),
        pa.field("n_windows", pa.int64()),
        pa.field("n_missing", pa.int64()),
        pa.field("is_found", pa.bool_()),
        pa.field("delay_seconds", pa.float64()),
    ]
)


DEVICE_INCIDENTS = pa.schema(
    [
        pa.field("device_incident_id", pa.string()),
        pa.field("device", pa.string()),
        pa.field("start", TIMESTAMP),
        pa.field("end", TIMESTAMP),
        pa.field("state", pa.string()),
        pa.field("priority", pa.float64()),
        pa.field("n_sensors", pa.int64()),
        pa.field("sensors", pa.list_(pa.string())),
        pa.field("n_incidents", pa.int64()),
        pa.field("n_windows", pa.int64()),
        pa.field("peak_severity", pa.float64()),
        pa.field("peak_at", TIMESTAMP),
        pa.field("top_feature", pa.string()),
    ]
)


DRIFT = pa.schema(
    [
        pa.field("device", pa.string()),
        pa.field("sensor", pa.string()),
        pa.field("range_start", TIMESTAMP),
        pa.field("range_end", TIMESTAMP),
        pa.field("n_windows", pa.int64()),
        pa.field("coverage", pa.float64()),
        pa.field("n_judged", pa.int64()),
        pa.field("n_alarms", pa.int64()),
        pa.field("flag_rate", pa.float64()),
        pa.field("target_rate", pa.float64()),
        pa.field("is_over_budget", pa.bool_()),
        pa.field("psi", pa.float64()),
        pa.field("status", pa.string()),
    ]
)
# What of predictions it is made of.
WATCHED = ("device", "window_start", "window_end", "score", "threshold", "is_anomaly", "model_version")


# The columns of an event that describe its incident, as it was when the change was found.
OF_INCIDENT = tuple(name for name in INCIDENTS.names if name != "state")
NOTIFICATIONS = pa.schema(
    [
        pa.field("event_id", pa.string()),
        pa.field("change", pa.string()),
        pa.field("number", pa.int64()),
        *(INCIDENTS.field(name) for name in OF_INCIDENT),
        pa.field("merged_into", pa.string()),
        pa.field("sink", pa.string()),
        pa.field("is_delivered", pa.bool_()),
    ]
)


LEDGER = pa.schema(
    [
        pa.field("source", pa.string()),
        pa.field("size", pa.int64()),
        pa.field("content", pa.string()),
        pa.field("settings", pa.string()),
        pa.field("selections", pa.string()),
        pa.field("rows", pa.int64()),
        pa.field("accepted", pa.int64()),
        pa.field("refused", pa.int64()),
        # The earliest reading refused as "future_timestamp": then the source is read again.
        pa.field("first_future", TIMESTAMP),
    ]
)


REFUSED_DEVICES = pa.schema(
    [
        pa.field("device", pa.string()),
        pa.field("sensor", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("count", pa.int64()),
    ]
)


FAULT_LABELS = pa.schema(
    [
        pa.field("device", pa.string()),
        pa.field("sensor", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("start", TIMESTAMP),
        pa.field("end", TIMESTAMP),
        pa.field("size", pa.float64()),
    ]
)


# Without nulls, in lists or instead of them.
_FLOATS = pa.list_(pa.field("element", pa.float64(), nullable=False))
MODELS = pa.schema(
    [
        pa.field("device", pa.string()),
        pa.field("n_train", pa.int64()),
        pa.field("trained_from", TIMESTAMP),
        pa.field("trained_to", TIMESTAMP),
        pa.field("nu", pa.float64()),
        pa.field("gamma", pa.float64()),
        pa.field("rho", pa.float64()),
        pa.field("mean", _FLOATS, nullable=False),
        pa.field("scale", _FLOATS, nullable=False),
        pa.field("support_vectors", _FLOATS, nullable=False),
        pa.field("dual_coef", _FLOATS, nullable=False),
        pa.field("threshold", pa.float64()),
        pa.field("train_flag_rate", pa.float64()),
    ]
)
# What every model's row has, whatever its detector.
MODEL_KEYS = pa.schema(
    [
        MODELS.field(name)
        for name in ("device", "n_train", "trained_from", "trained_to", "threshold", "train_flag_rate")
    ]
)
# What the combined detector has besides; see `combined_fit.CombinedColumns`.
COMBINED = pa.schema(
    [
        *MODELS,
        pa.field("kind", pa.string()),
        *(
            pa.field(name, _FLOATS, nullable=False)
            for name in ("center", "spread", "time_of_day", "distance_curve", "svm_curve", "curve")
        ),
    ]
)
