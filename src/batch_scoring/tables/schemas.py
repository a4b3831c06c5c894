"""The stored tables, column by column: name, type, unit and meaning, in the order of the pipeline.

Each table is an Arrow schema here and a section of ``docs/reference/tables.md``, which
``python -m tests.table_reference`` writes from this module.

Times are UTC, timezone-aware, in microseconds. Windows are half-open, ``[window_start, window_end)``,
and aligned to the epoch. Devices and sensors are strings of any characters. A column is null only
where its meaning says when.
"""

from typing import NamedTuple

import pyarrow as pa

TIMESTAMP = pa.timestamp("us", tz="UTC")
# Without nulls, in lists or instead of them.
_FLOATS = pa.list_(pa.field("element", pa.float64(), nullable=False))


class Column(NamedTuple):
    """A column of a stored table.

    Attributes
    ----------
    name : str
    type : pyarrow.DataType
    unit : str
        Empty where the value has none.
    meaning : str
        Sign, range and when it is null, in Markdown.
    nullable : bool
        Whether the Arrow field says so. Not the unit or the meaning: those would change the files.
    """

    name: str
    type: pa.DataType
    unit: str
    meaning: str
    nullable: bool = True


# The columns of each table by its heading in the reference.
COLUMNS: dict[str, tuple[Column, ...]] = {}


def _table(heading: str, *columns: Column) -> pa.Schema:
    """Describe a table under its heading and return its schema."""
    COLUMNS[heading] = columns
    return pa.schema([pa.field(one.name, one.type, nullable=one.nullable) for one in columns])


def _columns_of(heading: str, *names: str) -> list[Column]:
    """Columns of a table above, all of them where none is named."""
    columns = {one.name: one for one in COLUMNS[heading]}
    return [columns[name] for name in names or columns]


_DEVICE = Column("device", pa.string(), "", "id of the device")
_SENSOR = Column("sensor", pa.string(), "", "name of the sensor")
_WINDOW_START = Column("window_start", TIMESTAMP, "UTC", "first moment of the window")
_WINDOW_END = Column("window_end", TIMESTAMP, "UTC", "first moment after the window")


# --- Readings ---

# Events of a hub as they landed; `ingest` is the first to open their bodies.
EVENTS = _table(
    "events",
    Column("partition", pa.string(), "", "id of the hub's partition"),
    Column(
        "sequence_number", pa.int64(), "", "number the service gave the event; ascending in its partition"
    ),
    Column("offset", pa.string(), "", "place in the partition"),
    Column("enqueued_time", TIMESTAMP, "UTC", "when the service accepted it"),
    Column("body", pa.binary(), "", "what the device sent, undecoded"),
    Column(
        "properties",
        pa.string(),
        "",
        "JSON of what IoT Hub states of the device, and of the sender's properties; null without any",
    ),
)

READINGS = _table(
    "readings",
    Column("timestamp", TIMESTAMP, "UTC", "when it was measured"),
    _DEVICE,
    _SENSOR,
    Column("value", pa.float64(), "the sensor's", "measured value; always finite"),
)

# The raw text of the refused fields, so that nothing of a refused measurement is lost.
QUARANTINE = _table(
    "quarantine",
    Column("timestamp", pa.string(), "", "raw text; null where the row has none"),
    Column("device", pa.string(), "", "raw text; null where the row has none"),
    Column("sensor", pa.string(), "", "raw text; null where the row has none"),
    Column(
        "value", pa.string(), "", "raw text, null where the row has none; the whole row where it is malformed"
    ),
    Column(
        "source",
        pa.string(),
        "",
        "source file, relative to the folder that was read; of an event, landed or captured, followed by "
        "`: partition 3, offset 4096, sequence number 17`",
    ),
    Column(
        "row",
        pa.int64(),
        "",
        "from 1: line of a text file, record of a JSON array, row of a Parquet file, "
        "or reading of a file of events",
    ),
    Column("reason", pa.string(), "", "why it was refused, such as `out_of_range`"),
)

ERASED = _table(
    "erased",
    Column("device", pa.string(), "", "id of the device"),
    Column("sensor", pa.string(), "", "name of the sensor; null is all of the device"),
    Column("start", TIMESTAMP, "UTC", "first moment; null is all time before `end`"),
    Column("end", TIMESTAMP, "UTC", "first moment after; at the latest when they were deleted"),
    Column(
        "written_before",
        TIMESTAMP,
        "UTC",
        "of files last written before it only, as they were replaced; null is any file",
    ),
)

SOURCES = _table(
    "sources",
    Column("source", pa.string(), "", "source file, relative to the folder that was read"),
    Column("size", pa.int64(), "bytes", "size of the file"),
    Column("version", pa.string(), "", "changes with its bytes: time of the last change, or ETag of a blob"),
    Column("content", pa.string(), "", "SHA-256 of the file, 64 hexadecimal digits"),
    Column("settings", pa.string(), "", "digest of the settings it was read with"),
    Column("selections", pa.string(), "", "devices and sensors taken from it, as JSON"),
    Column("rows", pa.int64(), "rows", "rows of the file in those selections"),
    Column("accepted", pa.int64(), "rows", "accepted rows"),
    Column("refused", pa.int64(), "rows", "refused rows"),
    Column(
        "first_future",
        TIMESTAMP,
        "UTC",
        "earliest reading refused as `future_timestamp`, at which the source is read again; null without one",
    ),
    Column("missing", pa.int64(), "rows", "rows without a value; `rows` is the sum of these three"),
    Column("state", pa.string(), "", "`read`, or `refused` as a whole"),
    Column("reason", pa.string(), "", "why it was refused; null where it was read"),
    Column("first_text", pa.string(), "", "its beginning, where it was refused, else null"),
)

IMPORTED_WINDOWS = _table(
    "imported windows",
    *_columns_of("sources")[:-4],  # a file of these that cannot be read ends the run
    Column("first_start", TIMESTAMP, "UTC", "start of its first window; null without one"),
    Column("last_start", TIMESTAMP, "UTC", "start of its last window; null without one"),
)

# What the simulator broke, and what else happened; `faults_only` tells them apart.
FAULT_LABELS = _table(
    "fault labels",
    _DEVICE,
    _SENSOR,
    Column(
        "kind",
        pa.string(),
        "",
        "a fault: `spike`, `level_shift`, `drift`, `stuck_value`, `noise_burst`, `dropout`, `silence` (of a "
        "whole device) or `fleet_event`; or no fault: `wild_reading`, `maintenance`, `off`, `young`, "
        "`renamed`, `unit_change` or `summer_time`",
    ),
    Column("start", TIMESTAMP, "UTC", "first moment of the fault or event"),
    Column("end", TIMESTAMP, "UTC", "first moment after it"),
    Column(
        "size",
        pa.float64(),
        "sigmas",
        "of the noise for spikes and noise bursts, of the sensor's spread over a week for shifts and drifts; "
        "the value itself of a wild reading, a share of the value of a fleet event; null for the others",
    ),
)


# --- Windows ---

# The key columns; `windows_schema` adds one column a feature.
WINDOW_KEYS = _table(
    "windows",
    _WINDOW_START,
    _WINDOW_END,
    _DEVICE,
    _SENSOR,
    Column("count", pa.int32(), "readings", "readings in the window"),
)


# What names a window.
WINDOW_KEY = ("sensor", "device", "window_start")


def feature_columns(windows: pa.Table | pa.Schema) -> list[str]:
    """Name the feature columns of a windows table but ``count``, in order."""
    names = windows.column_names if isinstance(windows, pa.Table) else windows.names
    return [name for name in names if name not in WINDOW_KEYS.names]


def windows_schema(features: list[str] | tuple[str, ...]) -> pa.Schema:
    """Build the schema of a windows table: the keys, ``count``, then one float64 column a feature.

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


# --- Models ---

MODELS = _table(
    "fleet model",
    _DEVICE._replace(meaning="id of the device; sorted, each once"),
    Column("n_train", pa.int64(), "windows", "usable training windows"),
    Column(
        "trained_from", TIMESTAMP, "UTC", "start of the first training window; null for an imported model"
    ),
    Column("trained_to", TIMESTAMP, "UTC", "end of the last training window; null for an imported model"),
    Column("nu", pa.float64(), "", "the one-class SVM's nu, after the guard"),
    Column("gamma", pa.float64(), "", "width of the RBF kernel, as a number"),
    Column("rho", pa.float64(), "", "offset: scikit-learn's `-intercept_`"),
    Column(
        "mean", _FLOATS, "the feature's", "one number a feature, subtracted before scoring", nullable=False
    ),
    Column(
        "scale", _FLOATS, "the feature's", "one number a feature, divided by before scoring", nullable=False
    ),
    Column(
        "support_vectors",
        _FLOATS,
        "scaled",
        "one vector after the other, one number a feature",
        nullable=False,
    ),
    Column("dual_coef", _FLOATS, "", "one number a support vector", nullable=False),
    Column(
        "threshold",
        pa.float64(),
        "",
        "an anomaly scores below it; 0 is the plain one-class SVM's, of the combined detector decades",
    ),
    Column(
        "train_flag_rate",
        pa.float64(),
        "0 to 1",
        "share of the training windows that score below the threshold, of the combined detector by models "
        "fitted without them; null for an imported model",
    ),
)

# What every model's row has, whatever its detector.
MODEL_KEYS = pa.schema(
    [
        MODELS.field(name)
        for name in ("device", "n_train", "trained_from", "trained_to", "threshold", "train_flag_rate")
    ]
)

# What the combined detector adds. Its SVM is fitted to preprocessed windows, without `equal_run`.
COMBINED = _table(
    "fleet model of the combined detector",
    *_columns_of("fleet model"),
    Column("kind", pa.string(), "", "`plain`, `counter` or `constant`"),
    Column("center", _FLOATS, "the feature's", "median of each preprocessed feature", nullable=False),
    Column(
        "spread", _FLOATS, "the feature's", "one step away from the median, of each feature", nullable=False
    ),
    Column(
        "time_of_day",
        _FLOATS,
        "the sensor's",
        "24 numbers, one an hour of the day, for each of the levels `mean`, `min` and `max` among the "
        "features: what the hour adds; or 48, the hours of working days before those of Saturday and Sunday. "
        "Empty where the time of day plays no part",
        nullable=False,
    ),
    Column(
        "distance_curve",
        _FLOATS,
        "decades",
        "11 numbers: tail probability of the largest `log(1 + z)` of a window",
        nullable=False,
    ),
    Column("svm_curve", _FLOATS, "decades", "11 numbers: tail probability of `−score / rho`", nullable=False),
    Column(
        "curve",
        _FLOATS,
        "",
        "of both together: where the tail begins, its scale, the decades there, the margin, and the tail's "
        "shape",
        nullable=False,
    ),
    Column("time_zone", pa.string(), "", "IANA time zone of those hours"),
    Column(
        "fit_version",
        pa.int64(),
        "",
        "version of the fit; in 1 a change of the mean back to its usual level does not count",
    ),
)

STATUS = _table(
    "status",
    _DEVICE,
    _SENSOR,
    Column("stage", pa.string(), "", "`train` or `score`"),
    Column("status", pa.string(), "", "such as `ok` or `too_few_windows`"),
    Column(
        "n_windows", pa.int64(), "windows", "train: usable training windows; score: predictions of that day"
    ),
    Column("n_anomalies", pa.int64(), "windows", "anomalous ones among them; null for an imported model"),
    Column("message", pa.string(), "", "what a person should know; empty when there is nothing"),
)

# All that a training knows of its devices but the support vectors; an artifact of the run in MLflow.
# A device without a model has nulls in the model's columns, a device that was not trained in those of the
# status.
TRAINED_DEVICES = _table(
    "trained devices",
    _DEVICE,
    Column(
        "status", pa.string(), "", "as in status; `carried over` for a device that was not trained this time"
    ),
    Column(
        "n_windows", pa.int64(), "windows", "usable training windows; null for a device that was not trained"
    ),
    *(
        one._replace(meaning=f"{one.meaning.split('; null')[0]}; null without a model")
        for one in _columns_of(
            "fleet model",
            *("n_train", "trained_from", "trained_to", "nu", "gamma", "rho", "threshold", "train_flag_rate"),
        )
    ),
    Column("n_support_vectors", pa.int64(), "vectors", "support vectors; null without a model"),
    Column("message", pa.string(), "", "as in status; null for a device that was not trained"),
)


# --- Predictions ---

# Filled by `detection.score._predictions`, in this order; `plant.rules` then overrides what is known.
# A detector's own numbers come through `detectors.base.Scores`. A new column is null in rows scored before.
PREDICTIONS = _table(
    "predictions",
    _WINDOW_START,
    _WINDOW_END,
    _DEVICE,
    _SENSOR,
    Column(
        "value",
        pa.float64(),
        "the sensor's",
        "mean of the window; null when `mean` is not among the features of the windows",
    ),
    Column(
        "score",
        pa.float64(),
        "decades",
        "the lower, the more abnormal. Combined detector: log10 of the largest share of normal windows that "
        "are as unusual; −3 is one in a thousand. One-class SVM: its decision function, without a unit. Null "
        "while the machine is off",
    ),
    Column(
        "threshold",
        pa.float64(),
        "decades",
        "threshold of the model; of the combined detector log10 of the share of normal windows that may be "
        "flagged",
    ),
    Column("is_anomaly", pa.bool_(), "", "`score < threshold`, unless `rule` says otherwise"),
    Column(
        "severity",
        pa.float64(),
        "decades",
        "0 at the threshold or above it. Combined detector: `threshold − score`, without an upper end; 1 is "
        "ten "
        "times rarer than an anomaly must be. One-class SVM: 0 to 1, where 1 is far from all support vectors",
    ),
    Column(
        "top_feature",
        pa.string(),
        "",
        "feature farthest from its median, in spreads; of the one-class SVM from its mean, in standard "
        "deviations",
    ),
    Column(
        "contributions",
        pa.map_(pa.string(), pa.float64()),
        "decades",
        "of an anomaly, by the combined detector: how rare the window would be if only this feature were "
        "unusual; of a rare window, too, that a rule lets pass. Empty otherwise",
    ),
    Column("model_version", pa.string(), "", "version of the sensor's models that scored it"),
    Column(
        "window_fingerprint",
        pa.int64(),
        "",
        "64-bit fingerprint of the window as it was scored; the next run scores a window again when its "
        "fingerprint differs",
    ),
    Column(
        "evidence",
        pa.float64(),
        "decades",
        "how much speaks for an anomaly, 0 or more: it ranks windows and sets no flag. Combined detector: "
        "decades of the distance and of the SVM added up, neither of them capped. One-class SVM: "
        "`−score / rho`, 0 inside and 1 far from all support vectors, without a unit",
    ),
    Column("top_value", pa.float64(), "the feature's", "value of `top_feature`"),
    Column(
        "expected",
        pa.float64(),
        "the feature's",
        "what `top_feature` usually is, at that hour where the time of day counts; null for the one-class "
        "SVM",
    ),
    Column(
        "lower",
        pa.float64(),
        "the feature's",
        "down to it `top_feature` is usual, and alone no anomaly; about one normal window in a hundred is "
        "farther out, and need not be an anomaly. Null where nothing is too low, and for the one-class SVM",
    ),
    Column("upper", pa.float64(), "the feature's", "the same above it; null where nothing is too high"),
    Column(
        "warming_up",
        pa.bool_(),
        "",
        "whether the model was trained on less than `train.warm_up`, so that its alarms are not to be relied "
        "on; null in predictions made before this column existed",
    ),
    Column(
        "calibrated",
        TIMESTAMP,
        "UTC",
        "midnight of the day of its calibration, see calibrations; null with the curve of the model itself",
    ),
    Column(
        "rule",
        pa.string(),
        "",
        "why it is judged otherwise than by its score, see `domain.rules`: `direction` or `deviation`, it is "
        "rare, and no anomaly; `limit`, it is beyond a limit; `off`, the machine is off. Null elsewhere",
    ),
)

# Written before the predictions that are scored with it, and never changed: a window that is scored again has
# the same score.
CALIBRATIONS = _table(
    "calibrations",
    Column("day", TIMESTAMP, "UTC", "midnight; it is of the windows that start on that day"),
    _DEVICE,
    _SENSOR,
    Column("model_version", pa.string(), "", "version of the model whose `curve` it replaces"),
    Column(
        "n_windows",
        pa.int64(),
        "windows",
        "windows scored since training that it learned from, each in place of a training window; 0: it is "
        "the curve of the model itself",
    ),
    Column(
        "curve",
        _FLOATS,
        "",
        "where the tail begins, its scale, the decades there, the margin, and the tail's shape",
        nullable=False,
    ),
)


# What a day's predictions add up to, so that a longer range costs a row a day. Where two versions scored a
# device on one day, it has two rows; where nothing was scored, one without a version.
DAILY = _table(
    "daily totals",
    Column("day", TIMESTAMP, "UTC", "midnight; windows count for the day on which they start"),
    _DEVICE,
    _SENSOR,
    Column("model_version", pa.string(), "", "version that scored the windows; empty where none was scored"),
    Column(
        "status",
        pa.string(),
        "",
        "`ok`; `no_model`; `no_data`: a model but no window; `bad_features`: a feature that is not finite",
    ),
    Column("n_unscored", pa.int64(), "windows", "closed windows without a prediction"),
    Column("n_windows", pa.int64(), "windows", "predictions"),
    Column("n_anomalies", pa.int64(), "windows", "anomalous ones among them"),
    Column("n_alarms", pa.int64(), "alarms", "runs of neighbouring anomalous windows"),
    Column("begins_flagged", pa.bool_(), "", "whether the first window is anomalous"),
    Column("ends_flagged", pa.bool_(), "", "whether the last window is anomalous"),
    Column("first_start", TIMESTAMP, "UTC", "start of the first window; null without windows"),
    Column("last_start", TIMESTAMP, "UTC", "start of the last window; null without windows"),
    Column("last_end", TIMESTAMP, "UTC", "end of the last window; null without windows"),
    Column("last_anomaly", TIMESTAMP, "UTC", "start of the last anomalous window; null without one"),
    Column("severity", pa.float64(), "decades", "largest severity of a window; 0 without windows"),
    Column("threshold", pa.float64(), "decades", "threshold of the last window; null without windows"),
    Column(
        "decades",
        pa.list_(pa.int64()),
        "windows",
        "windows by −log10 of the tail probability: below 1, from 1, 1.5, 2 and 3; empty where scores are "
        "none",
    ),
)
# Where the bins of ``decades`` begin, but the first.
BIN_EDGES = (1.0, 1.5, 2.0, 3.0)
DAILY_KEY = ("sensor", "device", "day", "model_version")


# --- Incidents and alerts ---

_OF_PEAK = (
    Column("top_value", pa.float64(), "the feature's", "value of `top_feature` in that window"),
    Column("expected", pa.float64(), "the feature's", "what it would usually have been; see predictions"),
    Column("lower", pa.float64(), "the feature's", "down to it it would have been usual; see predictions"),
    Column("upper", pa.float64(), "the feature's", "up to it it would have been usual; see predictions"),
)
# Its names: the worst window of an incident, and what would have been usual.
OF_PEAK = tuple(column.name for column in _OF_PEAK)
INCIDENTS = _table(
    "incidents",
    Column(
        "incident_id",
        pa.string(),
        "",
        "16 hexadecimal digits, made of sensor, device and start: it stays while the incident grows",
    ),
    _DEVICE,
    _SENSOR,
    Column("start", TIMESTAMP, "UTC", "start of the first anomalous window"),
    Column("end", TIMESTAMP, "UTC", "end of the last anomalous window so far"),
    Column(
        "state",
        pa.string(),
        "",
        "`open` while the next window of the series could extend it, else `closed`. The incident of a device "
        "that falls silent stays open: nobody has seen it recover. `forming`: fewer anomalous windows than "
        "`incidents.min_windows` so far, no incident yet",
    ),
    Column("n_windows", pa.int64(), "windows", "anomalous windows"),
    Column("peak_severity", pa.float64(), "decades", "largest severity of a window; see predictions"),
    Column("peak_at", TIMESTAMP, "UTC", "start of the first window of that severity"),
    Column("top_feature", pa.string(), "", "of that window"),
    Column("model_version", pa.string(), "", "of that window"),
    Column(
        "evidence",
        pa.float64(),
        "",
        "largest sum of what its anomalous windows count: each `0.3 + log10(1 + evidence)`, and a tenth less "
        "with every window since",
    ),
    Column("evidence_at_end", pa.float64(), "", "that sum at its end, from which it grows"),
    Column(
        "warming_up",
        pa.bool_(),
        "",
        "whether all its anomalous windows are warming up, see predictions; null as there",
    ),
    Column(
        "beyond_limits",
        pa.bool_(),
        "",
        "whether one of its windows is beyond a limit of `domain.rules`; null in rows of before this column "
        "existed",
    ),
    Column(
        "shift",
        pa.float64(),
        "the sensor's",
        "by how much the level is off between two steps, that to it and that back; null where it is no such "
        "pair",
    ),
    Column(
        "among_rare",
        pa.bool_(),
        "",
        "whether it is shorter than an hour, but most windows of the hour before or after are rare, too: no "
        "wild reading; null in rows of before this column existed",
    ),
    Column(
        "step",
        pa.float64(),
        "the sensor's",
        "by how much the level steps in it, where it is shorter than an hour and no such pair: the level "
        "after it is another one than before it; null elsewhere",
    ),
    Column(
        "unit",
        pa.string(),
        "",
        "the change of unit that it looks like, such as `°C → °F`, once it is closed; null elsewhere",
    ),
    *_OF_PEAK,
)
# The columns of predictions that make incidents.
JUDGED = (
    *("sensor", "device", "window_start", "window_end"),
    *("is_anomaly", "severity", "evidence", "top_feature", "model_version", "warming_up", "rule"),
    *OF_PEAK,
)
# Those that are read of single series, hour after hour; see storage/series_copies.
COPIED = (
    *("device", "sensor", "window_start", "window_end", "value", "score", "threshold"),
    *("is_anomaly", "severity", "evidence", "top_feature", "contributions", "rule"),
    *("top_value", "lower", "upper"),
)

# Where a series has no windows for long; what `incidents` finds silence in.
GAPS = _table(
    "gaps",
    _DEVICE,
    _SENSOR,
    Column("start", TIMESTAMP, "UTC", "end of the last window before"),
    Column("end", TIMESTAMP, "UTC", "start of the next window; null while none has come"),
    Column(
        "first_start",
        TIMESTAMP,
        "UTC",
        "start of the first window of the series; null in gaps that have ended",
    ),
    Column(
        "state",
        pa.string(),
        "",
        "`last`: nothing has come since, one row a series however short; `ended`: as long as "
        "`incidents.silence.after` or longer, and longer than a window",
    ),
)

DEVICE_INCIDENTS = _table(
    "device incidents",
    Column(
        "incident_id",
        pa.string(),
        "",
        "16 hexadecimal digits, made of kind, device and start; that of an outlier stays when it grows",
    ),
    Column(
        "kind",
        pa.string(),
        "",
        "`anomaly`: of a device; `fleet_event`: of many devices of a sensor at once; `sensor_silent`, "
        "`device_silent`, `source_silent`: nothing is sent by some sensors of a device, by a device, by most "
        "of the fleet; `outlier`: one or two windows of a device, shorter than an hour, among usual ones",
    ),
    _DEVICE._replace(meaning="id of the device; empty for a fleet event and a silent source"),
    Column("start", TIMESTAMP, "UTC", "start of the first incident; of a silence, end of the last window"),
    Column(
        "end",
        TIMESTAMP,
        "UTC",
        "end of the last incident so far; of a silence, start of the next window, or now",
    ),
    Column("last_start", TIMESTAMP, "UTC", "of what flaps, start of the last flap; else `start`"),
    Column(
        "state", pa.string(), "", "`open` while one of its incidents is, or nothing has come, else `closed`"
    ),
    Column(
        "priority",
        pa.float64(),
        "",
        "the order in which to look at them: sum of the evidence of the worst three sensors, see incidents; "
        "of what lasts longer than an hour times `1 + log10` of its hours, without those between flaps. Of a "
        "fleet event times `1 + log10(n_devices)`. Of silence `5 (1 + d)`, "
        "with d the log10 of its length by the longest that would be usual; 3 times that for a device, 10 "
        "times for the source. Of an outlier less than 0.5",
    ),
    Column(
        "level",
        pa.string(),
        "",
        "the priority in a word: `low`, from 3 `medium`, from 6 `high`, from 12 `critical`",
    ),
    Column("n_devices", pa.int64(), "devices", "devices it is about"),
    Column("devices", pa.list_(pa.string()), "", "the first 100 of them, the worst first"),
    Column("n_sensors", pa.int64(), "sensors", "sensors it is about"),
    Column("sensors", pa.list_(pa.string()), "", "those sensors, the one with the most evidence first"),
    Column("n_incidents", pa.int64(), "incidents", "incidents of all sensors, or silences"),
    Column("n_windows", pa.int64(), "windows", "anomalous windows of all sensors"),
    Column("peak_severity", pa.float64(), "decades", "largest severity of a window; 0 for silence"),
    Column("peak_at", TIMESTAMP, "UTC", "start of the first window of that severity; of silence its start"),
    Column("top_feature", pa.string(), "", "of that window; empty for silence"),
    Column("peak_sensor", pa.string(), "", "sensor of that window; empty for silence"),
    *_OF_PEAK,
    Column(
        "warming_up",
        pa.bool_(),
        "",
        "whether all its anomalous windows are warming up, see predictions; never so for silence",
    ),
    Column("advice", pa.string(), "", "what else is known of it, such as `beyond a limit`; mostly empty"),
)
OUTLIER, FLEET_EVENT = "outlier", "fleet_event"

# The columns of an incident that an event repeats, as they were when the change was noticed.
OF_INCIDENT = tuple(name for name in DEVICE_INCIDENTS.names if name != "state")
NOTIFICATIONS = _table(
    "notifications",
    Column("event_id", pa.string(), "", "`incident_id` and `number`; a receiver knows repetitions by it"),
    Column(
        "change",
        pa.string(),
        "",
        "`opened`; `escalated`: its level rose; `overdue`: open for `alerts.escalate_after` and acknowledged "
        "by nobody; `reminded`: so again after `alerts.remind_every`; `closed`; or `withdrawn`",
    ),
    Column("number", pa.int64(), "", "counts the events of an incident from 1"),
    *_columns_of("device incidents", *OF_INCIDENT),
    Column(
        "merged_into",
        pa.string(),
        "",
        "of a withdrawn incident: id of the incident that lies there now; else empty",
    ),
    Column(
        "at", TIMESTAMP, "UTC", "scheduled time of the run that noticed it; null before this column existed"
    ),
    Column(
        "opened_at", TIMESTAMP, "UTC", "the same of the last `opened` event of the incident; null likewise"
    ),
    Column(
        "silenced_by",
        pa.string(),
        "",
        "id of the silence for which nobody is notified of it; empty where there is none",
    ),
    Column("sink", pa.string(), "", "name of the sink"),
    Column(
        "message_id",
        pa.string(),
        "",
        "id of the message that carries it: `event_id`, or in a storm one that it shares with others",
    ),
    Column("is_delivered", pa.bool_(), "", "whether the sink has acknowledged it"),
)

# --- What people on shift do ---

# Rows are only ever added: a run and a page, or two people, never overwrite each other.
INCIDENT_ACTIONS = _table(
    "incident actions",
    Column("action_id", pa.string(), "", "32 hexadecimal digits"),
    Column("at", TIMESTAMP, "UTC", "when the person did it"),
    Column("who", pa.string(), "", "who did it, as the page knows them"),
    Column("action", pa.string(), "", "`acknowledge`, `unacknowledge`, `comment` or `verdict`"),
    Column(
        "verdict",
        pa.string(),
        "",
        "of a verdict: `true_event`, `false_alarm` or `accepted`, see feedback; null takes the verdict "
        "back, and is that of all other actions",
    ),
    Column("text", pa.string(), "", "what the person wrote; null where there is none"),
    *(
        one._replace(meaning=f"{meaning}, as the person saw it")
        for one, meaning in zip(
            _columns_of("device incidents", "incident_id", "kind", "devices", "sensors", "start", "end"),
            (
                "id of the incident",
                "kind of the incident",
                "the first 100 devices it was about",
                "the sensors it was about",
                "start of the incident",
                "its end",
            ),
            strict=True,
        )
    ),
)

SILENCES = _table(
    "silences",
    Column("silence_id", pa.string(), "", "32 hexadecimal digits"),
    Column("at", TIMESTAMP, "UTC", "when the row was written"),
    Column("who", pa.string(), "", "who wrote it, as the page knows them"),
    Column("change", pa.string(), "", "`set`, or `revoked`: from `at` on nothing is silenced by it"),
    *(
        Column(name, pa.string(), "", f"{what}, or a pattern with `*` and `?`; `*` for all")
        for name, what in (
            ("device", "id of the device"),
            ("sensor", "name of the sensor"),
            ("group", "group of the device, see devices"),
        )
    ),
    Column("start", TIMESTAMP, "UTC", "first moment in which no alert is sent; the first time, of several"),
    Column("end", TIMESTAMP, "UTC", "first moment after it; the first time, of several"),
    Column("every", pa.string(), "", "`day` or `week`: it comes again, in UTC; null for once"),
    Column(
        "until", TIMESTAMP, "UTC", "from then on it does not come again; null for never, and where it is once"
    ),
    Column("comment", pa.string(), "", "why; null where the person gave no reason"),
)


# --- Drift ---

DRIFT = _table(
    "drift",
    _DEVICE,
    _SENSOR,
    Column("range_start", TIMESTAMP, "UTC", "first moment of the monitored range"),
    Column("range_end", TIMESTAMP, "UTC", "first moment after it"),
    Column("n_windows", pa.int64(), "windows", "predictions in the range"),
    Column(
        "coverage",
        pa.float64(),
        "0 to 1",
        "`n_windows` by the number there would be had the device sent without a break: since the range "
        "began, or since its first window where its model learned from nothing before the range",
    ),
    Column(
        "n_judged",
        pa.int64(),
        "windows",
        "those scored by the champion; the columns below are of these",
    ),
    Column("n_alarms", pa.int64(), "alarms", "runs of neighbouring anomalous windows"),
    Column("flag_rate", pa.float64(), "0 to 1", "share of anomalous windows; null without windows"),
    Column(
        "target_rate",
        pa.float64(),
        "0 to 1",
        "share of normal windows that may be flagged; null for the one-class SVM, whose thresholds do not "
        "give it",
    ),
    Column(
        "is_over_budget",
        pa.bool_(),
        "",
        "whether the flag rate is over the target, 99 % sure; null where there is no target. Alarms are "
        "counted "
        "as independent, not windows: one long event is no proof",
    ),
    Column(
        "psi",
        pa.float64(),
        "",
        "population stability index of the scores against what calibration promises: one normal window in "
        "10^k "
        "is rarer than k decades, at most. Bins begin at 1, 1.5, 2 and 3 decades. Only too many rare windows "
        "count, too few do not. Null for the one-class SVM, and for few windows",
    ),
    Column(
        "status",
        pa.string(),
        "",
        "the first that holds: `over_budget`, `drifted`, `sparse`, `too_few_windows` (for an index) or `ok`",
    ),
)


# --- Evaluation ---

LABELS = _table(
    "labels",
    _DEVICE,
    Column("sensor", pa.string(), "", "name of the sensor; `*` in a file for all of the device"),
    Column("kind", pa.string(), "", "kind of fault; null where the file does not say"),
    Column("start", TIMESTAMP, "UTC", "first moment of the fault"),
    Column("end", TIMESTAMP, "UTC", "first moment after it"),
)

FEEDBACK = _table(
    "feedback",
    _DEVICE,
    _SENSOR,
    Column("start", TIMESTAMP, "UTC", "first moment the verdict is about"),
    Column("end", TIMESTAMP, "UTC", "first moment after it"),
    Column(
        "verdict",
        pa.string(),
        "",
        "`false_alarm`, `true_event`, or `accepted`: the new normal, which the series is trained on from "
        "`start` on",
    ),
    Column("note", pa.string(), "", "what the person wrote; null where there is none"),
)
CALENDAR = _table(
    "calendar",
    Column("device", pa.string(), "", "id of the device, or a pattern with `*` and `?`; `*` for all"),
    Column("sensor", pa.string(), "", "name of the sensor, or a pattern; `*` for all"),
    Column("start", TIMESTAMP, "UTC", "first moment in which nothing is judged; the first time, of several"),
    Column("end", TIMESTAMP, "UTC", "first moment after it"),
    Column("every", pa.string(), "", "`day` or `week`: it comes again, in UTC; null for once"),
    Column("reason", pa.string(), "", "what the person wrote; null where there is none"),
)
DEVICES = _table(
    "devices",
    Column("id", pa.string(), "", "id of the device; once"),
    Column(
        "replaces",
        pa.string(),
        "",
        "id that it goes on for, after a new name or a new device; null for none",
    ),
    Column("retired", TIMESTAMP, "UTC", "since when it no longer sends; null while it is in use"),
    Column("group", pa.string(), "", "a name that patterns of the calendar match, too; null for none"),
)
FALSE_ALARM, TRUE_EVENT, ACCEPTED = "false_alarm", "true_event", "accepted"

_METHOD = Column("method", pa.string(), "", "`fleet_models` or a baseline")


def _n(name: str, unit: str, meaning: str) -> Column:
    return Column(name, pa.int64(), unit, meaning)


def _x(name: str, unit: str, meaning: str) -> Column:
    return Column(name, pa.float64(), unit, meaning)


# A label counts for its sensor; `_any_sensor` counts the labels of all sensors of the device. Of sensors
# and series, the figures about whole devices are null; so is a figure without anything to divide by.
FIGURES = _table(
    "evaluation figures",
    Column("level", pa.string(), "", "`fleet`, `sensor`, `device` or `series` (a device and sensor)"),
    _METHOD,
    _SENSOR._replace(meaning="name of the sensor; null at the levels `fleet` and `device`"),
    _DEVICE._replace(meaning="id of the device; null at the levels `fleet` and `sensor`"),
    _n("series", "series", "series with evaluated windows"),
    _n("windows", "windows", "evaluated windows"),
    _n(
        "windows_without_prediction",
        "windows",
        "evaluated windows without a prediction; they are never anomalous",
    ),
    _n("labelled_windows", "windows", "windows that overlap a label"),
    _n("normal_windows", "windows", "windows with a prediction and no label"),
    _n("anomalous_windows", "windows", "windows flagged by the method"),
    _n("true_windows", "windows", "anomalous windows that overlap a label of the sensor"),
    _n("true_windows_any_sensor", "windows", "anomalous windows that overlap a label of the device"),
    _n("false_windows", "windows", "anomalous windows that overlap no label of the sensor"),
    _n("events", "events", "labelled events"),
    _n("events_found", "events", "events with an anomalous window"),
    _n(
        "events_without_windows",
        "events",
        "events without a window that has a prediction; no method can find them",
    ),
    _n("alerts", "alerts", "runs of neighbouring anomalous windows of a series"),
    _n("right_alerts", "alerts", "alerts that overlap a label of the sensor"),
    _n("right_alerts_any_sensor", "alerts", "alerts that overlap a label of the device"),
    _n("ranked_series", "series", "series with windows of both classes"),
    _n("ranked_devices", "devices", "devices with windows of both classes; null for sensors and series"),
    _n("device_events", "events", "events of devices; null for sensors and series"),
    _n("device_events_found", "events", "found events of devices; null for sensors and series"),
    _x("sensor_weeks", "weeks", "length of all normal windows"),
    _x("roc_auc", "0 to 1", "area under the ROC curve, mean over the ranked series; null without one"),
    _x("pr_auc", "0 to 1", "average precision, mean over the ranked series; null without one"),
    _x("best_f1", "0 to 1", "best F1 of any threshold, mean over the ranked series; null without one"),
    _x("event_recall", "0 to 1", "`events_found` by `events`; null without events"),
    _x(
        "range_recall",
        "0 to 1",
        "share of an event's windows that is flagged, mean over the events; null without events",
    ),
    _x(
        "range_precision",
        "0 to 1",
        "share of an alert's windows that is labelled, mean over the alerts; null without alerts",
    ),
    _x("alerts_per_event_found", "alerts", "`alerts` by `events_found`; null where none was found"),
    _x("alert_precision", "0 to 1", "`right_alerts` by `alerts`; null without alerts"),
    _x("alert_precision_any_sensor", "0 to 1", "`right_alerts_any_sensor` by `alerts`; null without alerts"),
    _x("window_recall", "0 to 1", "`true_windows` by `labelled_windows`; null without labels"),
    _x("window_precision", "0 to 1", "`true_windows` by `anomalous_windows`; null without anomalies"),
    _x(
        "window_precision_any_sensor",
        "0 to 1",
        "`true_windows_any_sensor` by `anomalous_windows`; null without anomalies",
    ),
    _x("false_alarm_rate", "0 to 1", "`false_windows` by `normal_windows`; null without normal windows"),
    _x(
        "false_windows_per_sensor_week",
        "per week",
        "`false_windows` by `sensor_weeks`; null without normal windows",
    ),
    _x(
        "false_alerts_per_sensor_week",
        "per week",
        "`alerts` less `right_alerts`, by `sensor_weeks`; null without normal windows",
    ),
    _x(
        "device_roc_auc",
        "0 to 1",
        "`roc_auc` of devices, mean over the ranked ones; null for sensors and series",
    ),
    _x(
        "device_pr_auc",
        "0 to 1",
        "`pr_auc` of devices, mean over the ranked ones; null for sensors and series",
    ),
    _x(
        "device_event_recall",
        "0 to 1",
        "`device_events_found` by `device_events`; null for sensors and series",
    ),
    _x(
        "realised_over_target",
        "",
        "`false_alarm_rate` by the budget; 1 is on target; null without normal windows",
    ),
    _x(
        "pooled_roc_auc",
        "0 to 1",
        "`roc_auc` of the windows of all devices of a sensor in one ranking; over the fleet, mean of the "
        "sensors; "
        "null for devices and series",
    ),
    _x("pooled_pr_auc", "0 to 1", "`pr_auc` in the same way; null for devices and series"),
    _x("delay_median_seconds", "s", "median delay of the found events; null without one"),
    _x("delay_p90_seconds", "s", "90th percentile of the delays of the found events; null without one"),
)

EVALUATED_EVENTS = _table(
    "evaluation events",
    _METHOD,
    *_columns_of("labels"),
    _n("n_windows", "windows", "evaluated windows in it that have a prediction"),
    _n("n_missing", "windows", "further windows there would be, were no reading missing"),
    Column("is_found", pa.bool_(), "", "whether one of its windows is anomalous"),
    _x(
        "delay_seconds",
        "s",
        "from its start, or that of the evaluated range, to the end of its first anomalous window; null "
        "where it was not found",
    ),
)
