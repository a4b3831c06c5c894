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


class Column(NamedTuple):
    """A column of a stored table.

    Attributes
    ----------
    type : pyarrow.DataType
    unit : str
        Empty where the value has none.
    meaning : str
        Sign, range and when it is null, in Markdown.
    nullable : bool
        Whether the Arrow field says so. Not the unit or the meaning: those would change the files.
    """

    type: pa.DataType
    unit: str
    meaning: str
    nullable: bool = True


def _text(meaning: str) -> Column:
    return Column(pa.string(), "", meaning)


def _time(meaning: str) -> Column:
    return Column(TIMESTAMP, "UTC", meaning)


def _flag(meaning: str) -> Column:
    return Column(pa.bool_(), "", meaning)


def _texts(meaning: str) -> Column:
    return Column(pa.list_(pa.string()), "", meaning)


def _int(unit: str, meaning: str) -> Column:
    return Column(pa.int64(), unit, meaning)


def _float(unit: str, meaning: str) -> Column:
    return Column(pa.float64(), unit, meaning)


def _floats(unit: str, meaning: str) -> Column:
    """Describe a list of numbers, without nulls in it or instead of it."""
    return Column(pa.list_(pa.field("element", pa.float64(), nullable=False)), unit, meaning, nullable=False)


# The columns of each table by its heading in the reference.
COLUMNS: dict[str, dict[str, Column]] = {}


def _table(heading: str, **columns: Column) -> pa.Schema:
    """Describe a table under its heading and return its schema."""
    COLUMNS[heading] = columns
    return pa.schema([pa.field(name, one.type, nullable=one.nullable) for name, one in columns.items()])


def _columns_of(heading: str, *names: str) -> dict[str, Column]:
    """Columns of a table above, all of them where none is named."""
    columns = COLUMNS[heading]
    return {name: columns[name] for name in names or columns}


_DEVICE = _text("id of the device")
_SENSOR = _text("name of the sensor")
_WINDOW_START = _time("first moment of the window")
_WINDOW_END = _time("first moment after the window")


# --- Readings ---

# Events of a hub as they landed; `ingest` is the first to open their bodies.
EVENTS = _table(
    "events",
    partition=_text("id of the hub's partition"),
    sequence_number=_int("", "number the service gave the event; ascending in its partition"),
    offset=_text("place in the partition"),
    enqueued_time=_time("when the service accepted it"),
    body=Column(pa.binary(), "", "what the device sent, undecoded"),
    properties=_text(
        "JSON of what IoT Hub states of the device, and of the sender's properties; null without any"
    ),
)

READINGS = _table(
    "readings",
    timestamp=_time("when it was measured"),
    device=_DEVICE,
    sensor=_SENSOR,
    value=_float("the sensor's", "measured value; always finite"),
)

# The raw text of the refused fields, so that nothing of a refused measurement is lost.
QUARANTINE = _table(
    "quarantine",
    timestamp=_text("raw text; null where the row has none"),
    device=_text("raw text; null where the row has none"),
    sensor=_text("raw text; null where the row has none"),
    value=_text("raw text, null where the row has none; the whole row where it is malformed"),
    source=_text(
        "source file, relative to the folder that was read; of an event, landed or captured, followed by "
        "`: partition 3, offset 4096, sequence number 17`"
    ),
    row=_int(
        "",
        "from 1: line of a text file, record of a JSON array, row of a Parquet file, or reading of a file "
        "of events",
    ),
    reason=_text("why it was refused, such as `out_of_range`"),
)

ERASED = _table(
    "erased",
    device=_text("id of the device"),
    sensor=_text("name of the sensor; null is all of the device"),
    start=_time("first moment; null is all time before `end`"),
    end=_time("first moment after; at the latest when they were deleted"),
    written_before=_time("of files last written before it only, as they were replaced; null is any file"),
)

SOURCES = _table(
    "sources",
    source=_text("source file, relative to the folder that was read"),
    size=_int("bytes", "size of the file"),
    version=_text("changes with its bytes: time of the last change, or ETag of a blob"),
    content=_text("SHA-256 of the file, 64 hexadecimal digits"),
    settings=_text("digest of the settings it was read with"),
    selections=_text("devices and sensors taken from it, as JSON"),
    rows=_int("rows", "rows of the file in those selections"),
    accepted=_int("rows", "accepted rows"),
    refused=_int("rows", "refused rows"),
    first_future=_time(
        "earliest reading refused as `future_timestamp`, at which the source is read again; null without one"
    ),
    missing=_int("rows", "rows without a value; `rows` is the sum of these three"),
    state=_text("`read`, or `refused` as a whole"),
    reason=_text("why it was refused; null where it was read"),
    first_text=_text("its beginning, where it was refused, else null"),
)

_OF_SOURCE = [name for name in SOURCES.names if name not in ("missing", "state", "reason", "first_text")]
IMPORTED_WINDOWS = _table(
    "imported windows",
    # A file of these that cannot be read ends the run.
    **_columns_of("sources", *_OF_SOURCE),
    first_start=_time("start of its first window; null without one"),
    last_start=_time("start of its last window; null without one"),
)

# What the simulator broke, and what else happened; `faults_only` tells them apart.
FAULT_LABELS = _table(
    "fault labels",
    device=_DEVICE,
    sensor=_SENSOR,
    kind=_text(
        "a fault: `spike`, `level_shift`, `drift`, `stuck_value`, `noise_burst`, `dropout`, `silence` (of a "
        "whole device) or `fleet_event`; or no fault: `wild_reading`, `maintenance`, `off`, `young`, "
        "`renamed`, `unit_change` or `summer_time`"
    ),
    start=_time("first moment of the fault or event"),
    end=_time("first moment after it"),
    size=_float(
        "sigmas",
        "of the noise for spikes and noise bursts, of the sensor's spread over a week for shifts and "
        "drifts; the value itself of a wild reading, a share of the value of a fleet event; null for the "
        "others",
    ),
)


# --- Windows ---

# The key columns; `windows_schema` adds one column a feature.
WINDOW_KEYS = _table(
    "windows",
    window_start=_WINDOW_START,
    window_end=_WINDOW_END,
    device=_DEVICE,
    sensor=_SENSOR,
    count=Column(pa.int32(), "readings", "readings in the window"),
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
    device=_text("id of the device; sorted, each once"),
    n_train=_int("windows", "usable training windows"),
    trained_from=_time("start of the first training window; null for an imported model"),
    trained_to=_time("end of the last training window; null for an imported model"),
    nu=_float("", "the one-class SVM's nu, after the guard"),
    gamma=_float("", "width of the RBF kernel, as a number"),
    rho=_float("", "offset: scikit-learn's `-intercept_`"),
    mean=_floats("the feature's", "one number a feature, subtracted before scoring"),
    scale=_floats("the feature's", "one number a feature, divided by before scoring"),
    support_vectors=_floats("scaled", "one vector after the other, one number a feature"),
    dual_coef=_floats("", "one number a support vector"),
    threshold=_float(
        "", "an anomaly scores below it; 0 is the plain one-class SVM's, of the combined detector decades"
    ),
    train_flag_rate=_float(
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
    **_columns_of("fleet model"),
    kind=_text("`plain`, `counter`, also of a steady trend, or `constant`"),
    center=_floats("the feature's", "median of each preprocessed feature"),
    spread=_floats("the feature's", "one step away from the median, of each feature"),
    time_of_day=_floats(
        "the sensor's",
        "24 numbers, one an hour of the day, for each of the levels `mean`, `min` and `max` among the "
        "features: what the hour adds; or 48, the hours of working days before those of Saturday and "
        "Sunday. Empty where the time of day plays no part",
    ),
    distance_curve=_floats("decades", "11 numbers: tail probability of the largest `log(1 + z)` of a window"),
    svm_curve=_floats("decades", "11 numbers: tail probability of `−score / rho`"),
    curve=_floats(
        "",
        "of both together: where the tail begins, its scale, the decades there, the margin, and the tail's "
        "shape",
    ),
    levels=_floats(
        "the feature's",
        "of a machine that stays at k levels of its mean: where each begins, where each ends, and center and "
        "spread of each feature at each level, in the first window at each, and while it changes. Empty "
        "without levels",
    ),
    may_stay=_floats(
        "hours",
        "up to it a stay at each of these levels is usual; infinite where training has too few. Empty "
        "without levels",
    ),
    time_zone=_text("IANA time zone of those hours"),
    fit_version=_int(
        "", "version of the fit; in 1 a change of the mean back to its usual level does not count"
    ),
)

STATUS = _table(
    "status",
    device=_DEVICE,
    sensor=_SENSOR,
    stage=_text("`train` or `score`"),
    status=_text("such as `ok` or `too_few_windows`"),
    n_windows=_int("windows", "train: usable training windows; score: predictions of that day"),
    n_anomalies=_int("windows", "anomalous ones among them; null for an imported model"),
    message=_text("what a person should know; empty when there is nothing"),
)

# All that a training knows of its devices but the support vectors; an artifact of the run in MLflow.
# A device without a model has nulls in the model's columns, a device that was not trained in those of the
# status.
TRAINED_DEVICES = _table(
    "trained devices",
    device=_DEVICE,
    status=_text("as in status; `carried over` for a device that was not trained this time"),
    n_windows=_int("windows", "usable training windows; null for a device that was not trained"),
    **{
        name: one._replace(meaning=f"{one.meaning.split('; null')[0]}; null without a model")
        for name, one in _columns_of(
            "fleet model of the combined detector",
            *("n_train", "trained_from", "trained_to", "nu", "gamma", "rho", "threshold", "train_flag_rate"),
            "fit_version",
        ).items()
    },
    n_support_vectors=_int("vectors", "support vectors; null without a model"),
    message=_text("as in status; null for a device that was not trained"),
)


# --- Predictions ---

# Filled by `detection.score._predictions`, in this order; `plant.rules` then overrides what is known.
# A detector's own numbers come through `detectors.base.Scores`. A new column is null in rows scored before.
PREDICTIONS = _table(
    "predictions",
    window_start=_WINDOW_START,
    window_end=_WINDOW_END,
    device=_DEVICE,
    sensor=_SENSOR,
    value=_float(
        "the sensor's", "mean of the window; null when `mean` is not among the features of the windows"
    ),
    score=_float(
        "decades",
        "the lower, the more abnormal. Combined detector: log10 of the largest share of normal windows that "
        "are as unusual; −3 is one in a thousand. One-class SVM: its decision function, without a unit. "
        "Null while the machine is off",
    ),
    threshold=_float(
        "decades",
        "threshold of the model; of the combined detector log10 of the share of normal windows that may be "
        "flagged",
    ),
    is_anomaly=_flag("`score < threshold`, unless `rule` says otherwise"),
    severity=_float(
        "decades",
        "0 at the threshold or above it. Combined detector: `threshold − score`, which ends at 100; 1 is ten "
        "times rarer than an anomaly must be. One-class SVM: 0 to 1, where 1 is far from all support "
        "vectors",
    ),
    top_feature=_text(
        "feature farthest from its median, in spreads; `mean` where it, `min` and `max` are all unusual, on "
        "one side. Of the one-class SVM farthest from its mean, in standard deviations"
    ),
    contributions=Column(
        pa.map_(pa.string(), pa.float64()),
        "decades",
        "of an anomaly, by the combined detector: how rare the window would be if only this feature were "
        "unusual; of a rare window, too, that a rule lets pass. Empty otherwise",
    ),
    model_version=_text("version of the sensor's models that scored it"),
    window_fingerprint=_int(
        "",
        "64-bit fingerprint of the window as it was scored; the next run scores a window again when its "
        "fingerprint differs",
    ),
    evidence=_float(
        "decades",
        "how much speaks for an anomaly, 0 or more: it ranks windows and sets no flag. Combined detector: "
        "decades of the distance and of the SVM added up, neither of them capped. One-class SVM: "
        "`−score / rho`, 0 inside and 1 far from all support vectors, without a unit",
    ),
    top_value=_float("the feature's", "value of `top_feature`"),
    expected=_float(
        "the feature's",
        "what `top_feature` usually is, at that hour where the time of day counts; null for the one-class "
        "SVM",
    ),
    lower=_float(
        "the feature's",
        "down to it `top_feature` is usual, and alone no anomaly; about one normal window in a hundred is "
        "farther out, and need not be an anomaly. Not below 0 where the feature never is. Null where nothing "
        "is too low, and for the one-class SVM",
    ),
    upper=_float("the feature's", "the same above it; null where nothing is too high"),
    warming_up=_flag(
        "whether the model was trained on less than `train.warm_up`, so that its alarms are not to be "
        "relied on; null in predictions made before this column existed"
    ),
    calibrated=_time(
        "midnight of the day of its calibration, see calibrations; null with the curve of the model itself"
    ),
    rule=_text(
        "why it is judged otherwise than by its score, see `domain.rules`: `direction` or `deviation`, it "
        "is rare, and no anomaly; `limit`, it is beyond a limit; `off`, the machine is off. Null elsewhere"
    ),
    may_stay=_float(
        "hours",
        "up to it a stay at the level that the machine comes to in this window is usual; infinite where "
        "training does not show it, and while the machine is off by a rule. Null where it comes to no level, "
        "and in predictions made before this column existed",
    ),
)

# Written before the predictions that are scored with it, and never changed: a window that is scored again has
# the same score.
CALIBRATIONS = _table(
    "calibrations",
    day=_time("midnight; it is of the windows that start on that day"),
    device=_DEVICE,
    sensor=_SENSOR,
    model_version=_text("version of the model whose `curve` it replaces"),
    n_windows=_int(
        "windows",
        "windows scored since training that it learned from, each in place of a training window; 0: it is "
        "the curve of the model itself",
    ),
    curve=_floats(
        "", "where the tail begins, its scale, the decades there, the margin, and the tail's shape"
    ),
)


# What a day's predictions add up to, so that a longer range costs a row a day. Where two versions scored a
# device on one day, it has two rows; where nothing was scored, one without a version.
DAILY = _table(
    "daily totals",
    day=_time("midnight; windows count for the day on which they start"),
    device=_DEVICE,
    sensor=_SENSOR,
    model_version=_text("version that scored the windows; empty where none was scored"),
    status=_text(
        "`ok`; `no_model`; `no_data`: a model but no window; `bad_features`: a feature that is not finite"
    ),
    n_unscored=_int("windows", "closed windows without a prediction"),
    n_windows=_int("windows", "predictions"),
    n_anomalies=_int("windows", "anomalous ones among them"),
    n_alarms=_int("alarms", "runs of neighbouring anomalous windows"),
    begins_flagged=_flag("whether the first window is anomalous"),
    ends_flagged=_flag("whether the last window is anomalous"),
    first_start=_time("start of the first window; null without windows"),
    last_start=_time("start of the last window; null without windows"),
    last_end=_time("end of the last window; null without windows"),
    last_anomaly=_time("start of the last anomalous window; null without one"),
    severity=_float("decades", "largest severity of a window; 0 without windows"),
    threshold=_float("decades", "threshold of the last window; null without windows"),
    decades=Column(
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

# The worst window of an incident, and what would have been usual.
_OF_PEAK = {
    "top_value": _float("the feature's", "value of `top_feature` in that window"),
    "expected": _float("the feature's", "what it would usually have been; see predictions"),
    "lower": _float("the feature's", "down to it it would have been usual; see predictions"),
    "upper": _float("the feature's", "up to it it would have been usual; see predictions"),
}
OF_PEAK = tuple(_OF_PEAK)
# The same of the window that pages and alerts show.
_OF_LEAD = _OF_PEAK | {
    "top_value": _float(
        "the feature's", "value of `top_feature` in the worst window of `peak_sensor` that it leads"
    )
}
# The worst of the windows that the mean leads: pages and alerts show it where these are most.
_OF_LEVEL = {
    "n_level": _int(
        "windows", "anomalous windows that the mean leads; null in rows of before this column existed"
    ),
    "level_severity": _float("decades", "largest severity of one of these; null without any"),
    "level_value": _float("the sensor's", "mean of the first window of that severity"),
    "level_expected": _float("the sensor's", "what it would usually have been; see predictions"),
    "level_lower": _float("the sensor's", "down to it it would have been usual; see predictions"),
    "level_upper": _float("the sensor's", "up to it it would have been usual; see predictions"),
}
# In the order of ``OF_PEAK``.
OF_LEVEL_PEAK = ("level_value", "level_expected", "level_lower", "level_upper")
OF_LEVEL = tuple(_OF_LEVEL)
LEVEL_FEATURE = "mean"
# What leads an incident in which a machine stays at a level for too long: hours, no feature of a window.
STAY = "stay_hours"
INCIDENTS = _table(
    "incidents",
    incident_id=_text(
        "16 hexadecimal digits, made of sensor, device and start: it stays while the incident grows"
    ),
    device=_DEVICE,
    sensor=_SENSOR,
    start=_time("start of the first anomalous window"),
    end=_time("end of the last anomalous window so far"),
    state=_text(
        "`open` while the next window of the series could extend it, else `closed`. The incident of a "
        "device that falls silent stays open: nobody has seen it recover; in the device incidents it ends. "
        "`forming`: fewer anomalous windows than `incidents.min_windows` so far, no incident yet"
    ),
    n_windows=_int("windows", "anomalous windows"),
    peak_severity=_float("decades", "largest severity of a window; see predictions"),
    peak_at=_time("start of the first window of that severity"),
    top_feature=_text("of that window"),
    model_version=_text("of that window"),
    evidence=_float(
        "",
        "largest sum of what its anomalous windows count: each `0.3 + log10(1 + evidence)`, and a tenth "
        "less with every window since",
    ),
    evidence_at_end=_float("", "that sum at its end, from which it grows"),
    warming_up=_flag("whether all its anomalous windows are warming up, see predictions; null as there"),
    beyond_limits=_flag(
        "whether one of its windows is beyond a limit of `domain.rules`; null in rows of before this column "
        "existed"
    ),
    shift=_float(
        "the sensor's",
        "by how much the level is off between two steps, that to it and that back; null where it is no such "
        "pair",
    ),
    among_rare=_flag(
        "whether it is shorter than an hour, but most windows of the hour before or after are rare, too: no "
        "wild reading; null in rows of before this column existed"
    ),
    step=_float(
        "the sensor's",
        "by how much the level steps in it, where it is shorter than an hour and no such pair: the level "
        "after it is another one than before it; null elsewhere, and where the machine comes to a level of "
        "its training",
    ),
    unit=_text("the change of unit that it looks like, such as `°C → °F`, once it is closed; null elsewhere"),
    **_OF_PEAK,
    **_OF_LEVEL,
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
    *("is_anomaly", "severity", "evidence", "top_feature", "contributions", "rule", "may_stay"),
)

# Where a series has no windows for long; what `incidents` finds silence in.
GAPS = _table(
    "gaps",
    device=_DEVICE,
    sensor=_SENSOR,
    start=_time("end of the last window before"),
    end=_time("start of the next window; null while none has come"),
    first_start=_time("start of the first window of the series; null in gaps that have ended"),
    state=_text(
        "`last`: nothing has come since, one row a series however short; `ended`: as long as "
        "`incidents.silence.after` or longer, and longer than a window"
    ),
)

# How long machines stay at their levels; what `incidents` finds stays in that last too long.
STAYS = _table(
    "stays",
    device=_DEVICE,
    sensor=_SENSOR,
    start=_time("start of the window in which it came to the level"),
    end=_time("start of the next window in which it came to one; null while there is none"),
    may_stay=_float("hours", "up to it the stay is usual; see predictions"),
    state=_text("`last`: the newest stay, one row a series; `ended`: one that was longer than usual"),
)

DEVICE_INCIDENTS = _table(
    "device incidents",
    incident_id=_text(
        "16 hexadecimal digits, made of kind, device and start; it stays when an outlier grows, and when "
        "something unusual goes on as a silence, or a silence as something unusual"
    ),
    kind=_text(
        "`anomaly`: of a device; `fleet_event`: of many devices of a sensor at once; `sensor_silent`, "
        "`device_silent`, `source_silent`: nothing is sent by some sensors of a device, by a device, by "
        "most of the fleet, and something may have been unusual before; `outlier`: one or two windows of a "
        "device, shorter than an hour, among usual ones, or a single longer one near the threshold"
    ),
    device=_text("id of the device; empty for a fleet event and a silent source"),
    start=_time(
        "start of the first incident; of a silence with nothing unusual before it, end of the last window"
    ),
    end=_time("end of the last incident so far; of a silence, start of the next window, or now"),
    last_start=_time("of what flaps, start of the last flap; of a silence, its start; else `start`"),
    state=_text("`open` while one of its incidents is, or nothing has come, else `closed`"),
    priority=_float(
        "",
        "by which the list is ordered: sum of the evidence of the worst three sensors, see incidents; of "
        "what lasts longer than an hour times `1 + log10` of its hours, without those between flaps. Of a "
        "fleet event times `1 + log10(n_devices)`. Of silence `5 (1 + d)`, with d the log10 of its length "
        "by the longest that would be usual; 3 times that for a device, 10 times for the source; with "
        "something unusual before or after it the larger of both. A tenth of that for what is unusual for "
        "the time only, and for what is over where a counter began again. Of an outlier, a change of unit "
        "and a device that may be renamed less than 0.5",
    ),
    level=_text("the priority in a word: `low`, from 3 `medium`, from 6 `high`, from 12 `critical`"),
    n_devices=_int("devices", "devices it is about"),
    devices=_texts("the first 100 of them, the worst first"),
    n_sensors=_int("sensors", "sensors it is about"),
    sensors=_texts("those sensors, the one with the most evidence first"),
    n_incidents=_int("incidents", "incidents of all sensors, or silences"),
    n_windows=_int("windows", "anomalous windows of all sensors"),
    peak_severity=_float("decades", "largest severity of a window; 0 for silence"),
    peak_at=_time("start of the first window of that severity; of silence its start"),
    top_feature=_text(
        "the feature that leads: that of the worst window of `peak_sensor`, or `mean` where it leads most of "
        "its windows; empty for silence"
    ),
    peak_sensor=_text("sensor with the most evidence, which leads the incident; empty for silence"),
    **_OF_LEAD,
    warming_up=_flag(
        "whether all its anomalous windows are warming up, see predictions; never so for silence"
    ),
    advice=_text("what else is known of it, such as `beyond a limit`; mostly empty"),
)
OUTLIER, FLEET_EVENT = "outlier", "fleet_event"

# The columns of an incident that an event repeats, as they were when the change was noticed.
OF_INCIDENT = tuple(name for name in DEVICE_INCIDENTS.names if name != "state")
NOTIFICATIONS = _table(
    "notifications",
    event_id=_text("`incident_id` and `number`; a receiver knows repetitions by it"),
    change=_text(
        "`opened`; `escalated`: its level rose, or it fell silent; `overdue`: open for "
        "`alerts.escalate_after` and acknowledged by nobody; `reminded`: so again after "
        "`alerts.remind_every`; `closed`; or `withdrawn`"
    ),
    number=_int("", "counts the events of an incident from 1"),
    **_columns_of("device incidents", *OF_INCIDENT),
    merged_into=_text("of a withdrawn incident: id of the incident that lies there now; else empty"),
    at=_time("scheduled time of the run that noticed it; null before this column existed"),
    opened_at=_time("the same of the last `opened` event of the incident; null likewise"),
    silenced_by=_text("id of the silence for which nobody is notified of it; empty where there is none"),
    sink=_text("name of the sink"),
    message_id=_text(
        "id of the message that carries it: `event_id`, or in a storm one that it shares with others"
    ),
    is_delivered=_flag("whether the sink has acknowledged it"),
)

# --- What people on shift do ---

# Rows are only ever added: a run and a page, or two people, never overwrite each other.
INCIDENT_ACTIONS = _table(
    "incident actions",
    action_id=_text("32 hexadecimal digits"),
    at=_time("when the person did it"),
    who=_text("who did it, as the page knows them"),
    action=_text("`acknowledge`, `unacknowledge`, `comment` or `verdict`"),
    verdict=_text(
        "of a verdict: `true_event`, `false_alarm` or `accepted`, see feedback; null takes the verdict "
        "back, and is that of all other actions"
    ),
    text=_text("what the person wrote; null where there is none"),
    incident_id=_text("id of the incident, as the person saw it"),
    kind=_text("kind of the incident, as the person saw it"),
    devices=_texts("the first 100 devices it was about, as the person saw it"),
    sensors=_texts("the sensors it was about, as the person saw it"),
    start=_time("start of the incident, as the person saw it"),
    end=_time("its end, as the person saw it"),
)

SILENCES = _table(
    "silences",
    silence_id=_text("32 hexadecimal digits"),
    at=_time("when the row was written"),
    who=_text("who wrote it, as the page knows them"),
    change=_text("`set`, or `revoked`: from `at` on nothing is silenced by it"),
    device=_text("id of the device, or a pattern with `*` and `?`; `*` for all"),
    sensor=_text("name of the sensor, or a pattern with `*` and `?`; `*` for all"),
    group=_text("group of the device, see devices, or a pattern with `*` and `?`; `*` for all"),
    start=_time("first moment in which no alert is sent; the first time, of several"),
    end=_time("first moment after it; the first time, of several"),
    every=_text("`day` or `week`: it comes again, in UTC; null for once"),
    until=_time("from then on it does not come again; null for never, and where it is once"),
    comment=_text("why; null where the person gave no reason"),
)


# --- Drift ---

DRIFT = _table(
    "drift",
    device=_DEVICE,
    sensor=_SENSOR,
    range_start=_time("first moment of the monitored range"),
    range_end=_time("first moment after it"),
    n_windows=_int("windows", "predictions in the range"),
    coverage=_float(
        "0 to 1",
        "`n_windows` by the number there would be had the device sent without a break: since the range "
        "began, or since its first window where its model learned from nothing before the range",
    ),
    n_judged=_int("windows", "those scored by the champion; the columns below are of these"),
    n_alarms=_int("alarms", "runs of neighbouring anomalous windows"),
    flag_rate=_float("0 to 1", "share of anomalous windows; null without windows"),
    target_rate=_float(
        "0 to 1",
        "share of normal windows that may be flagged; null for the one-class SVM, whose thresholds do not "
        "give it",
    ),
    is_over_budget=_flag(
        "whether the flag rate is over the target, 99 % sure; null where there is no target. Alarms are "
        "counted as independent, not windows: one long event is no proof"
    ),
    psi=_float(
        "",
        "population stability index of the scores against what calibration promises: one normal window in "
        "10^k is rarer than k decades, at most. Bins begin at 1, 1.5, 2 and 3 decades. Only too many rare "
        "windows count, too few do not. Null for the one-class SVM, and for few windows",
    ),
    status=_text(
        "the first that holds: `over_budget`, `drifted`, `sparse`, `too_few_windows` (for an index) or `ok`"
    ),
)


# --- Evaluation ---

LABELS = _table(
    "labels",
    device=_DEVICE,
    sensor=_text("name of the sensor; `*` in a file for all of the device"),
    kind=_text("kind of fault; null where the file does not say"),
    start=_time("first moment of the fault"),
    end=_time("first moment after it"),
)

FEEDBACK = _table(
    "feedback",
    device=_DEVICE,
    sensor=_SENSOR,
    start=_time("first moment the verdict is about"),
    end=_time("first moment after it"),
    verdict=_text(
        "`false_alarm`, `true_event`, or `accepted`: the new normal, which the series is trained on from "
        "`start` on"
    ),
    note=_text("what the person wrote; null where there is none"),
)
CALENDAR = _table(
    "calendar",
    device=_text("id of the device, or a pattern with `*` and `?`; `*` for all"),
    sensor=_text("name of the sensor, or a pattern; `*` for all"),
    start=_time("first moment in which nothing is judged; the first time, of several"),
    end=_time("first moment after it"),
    every=_text("`day` or `week`: it comes again; null for once"),
    reason=_text("what the person wrote; null where there is none"),
    zone=_text("IANA time zone by whose clocks it comes again; null for UTC"),
)
DEVICES = _table(
    "devices",
    id=_text("id of the device; once"),
    replaces=_text("id that it goes on for, after a new name or a new device; null for none"),
    retired=_time("since when it no longer sends; null while it is in use"),
    group=_text("a name that patterns of the calendar match, too; null for none"),
)
FALSE_ALARM, TRUE_EVENT, ACCEPTED = "false_alarm", "true_event", "accepted"

_METHOD = _text("`fleet_models` or a baseline")


# A label counts for its sensor; `_any_sensor` counts the labels of all sensors of the device. Of sensors
# and series, the figures about whole devices are null; so is a figure without anything to divide by.
FIGURES = _table(
    "evaluation figures",
    level=_text("`fleet`, `sensor`, `device` or `series` (a device and sensor)"),
    method=_METHOD,
    sensor=_text("name of the sensor; null at the levels `fleet` and `device`"),
    device=_text("id of the device; null at the levels `fleet` and `sensor`"),
    series=_int("series", "series with evaluated windows"),
    windows=_int("windows", "evaluated windows"),
    windows_without_prediction=_int(
        "windows", "evaluated windows without a prediction; they are never anomalous"
    ),
    labelled_windows=_int("windows", "windows that overlap a label"),
    normal_windows=_int("windows", "windows with a prediction and no label"),
    anomalous_windows=_int("windows", "windows flagged by the method"),
    true_windows=_int("windows", "anomalous windows that overlap a label of the sensor"),
    true_windows_any_sensor=_int("windows", "anomalous windows that overlap a label of the device"),
    false_windows=_int("windows", "anomalous windows that overlap no label of the sensor"),
    events=_int("events", "labelled events"),
    events_found=_int("events", "events with an anomalous window"),
    events_without_windows=_int(
        "events", "events without a window that has a prediction; no method can find them"
    ),
    alerts=_int("alerts", "runs of neighbouring anomalous windows of a series"),
    right_alerts=_int("alerts", "alerts that overlap a label of the sensor"),
    right_alerts_any_sensor=_int("alerts", "alerts that overlap a label of the device"),
    ranked_series=_int("series", "series with windows of both classes"),
    ranked_devices=_int("devices", "devices with windows of both classes; null for sensors and series"),
    device_events=_int("events", "events of devices; null for sensors and series"),
    device_events_found=_int("events", "found events of devices; null for sensors and series"),
    sensor_weeks=_float("weeks", "length of all normal windows"),
    roc_auc=_float("0 to 1", "area under the ROC curve, mean over the ranked series; null without one"),
    pr_auc=_float("0 to 1", "average precision, mean over the ranked series; null without one"),
    best_f1=_float("0 to 1", "best F1 of any threshold, mean over the ranked series; null without one"),
    event_recall=_float("0 to 1", "`events_found` by `events`; null without events"),
    range_recall=_float(
        "0 to 1", "share of an event's windows that is flagged, mean over the events; null without events"
    ),
    range_precision=_float(
        "0 to 1", "share of an alert's windows that is labelled, mean over the alerts; null without alerts"
    ),
    alerts_per_event_found=_float("alerts", "`alerts` by `events_found`; null where none was found"),
    alert_precision=_float("0 to 1", "`right_alerts` by `alerts`; null without alerts"),
    alert_precision_any_sensor=_float("0 to 1", "`right_alerts_any_sensor` by `alerts`; null without alerts"),
    window_recall=_float("0 to 1", "`true_windows` by `labelled_windows`; null without labels"),
    window_precision=_float("0 to 1", "`true_windows` by `anomalous_windows`; null without anomalies"),
    window_precision_any_sensor=_float(
        "0 to 1", "`true_windows_any_sensor` by `anomalous_windows`; null without anomalies"
    ),
    false_alarm_rate=_float("0 to 1", "`false_windows` by `normal_windows`; null without normal windows"),
    false_windows_per_sensor_week=_float(
        "per week", "`false_windows` by `sensor_weeks`; null without normal windows"
    ),
    false_alerts_per_sensor_week=_float(
        "per week", "`alerts` less `right_alerts`, by `sensor_weeks`; null without normal windows"
    ),
    device_roc_auc=_float(
        "0 to 1", "`roc_auc` of devices, mean over the ranked ones; null for sensors and series"
    ),
    device_pr_auc=_float(
        "0 to 1", "`pr_auc` of devices, mean over the ranked ones; null for sensors and series"
    ),
    device_event_recall=_float(
        "0 to 1", "`device_events_found` by `device_events`; null for sensors and series"
    ),
    realised_over_target=_float(
        "", "`false_alarm_rate` by the budget; 1 is on target; null without normal windows"
    ),
    pooled_roc_auc=_float(
        "0 to 1",
        "`roc_auc` of the windows of all devices of a sensor in one ranking; over the fleet, mean of the "
        "sensors; null for devices and series",
    ),
    pooled_pr_auc=_float("0 to 1", "`pr_auc` in the same way; null for devices and series"),
    delay_median_seconds=_float("s", "median delay of the found events; null without one"),
    delay_p90_seconds=_float("s", "90th percentile of the delays of the found events; null without one"),
)

EVALUATED_EVENTS = _table(
    "evaluation events",
    method=_METHOD,
    **_columns_of("labels"),
    n_windows=_int("windows", "evaluated windows in it that have a prediction"),
    n_missing=_int("windows", "further windows there would be, were no reading missing"),
    is_found=_flag("whether one of its windows is anomalous"),
    delay_seconds=_float(
        "s",
        "from its start, or that of the evaluated range, to the end of its first anomalous window; null "
        "where it was not found",
    ),
)
