"""Match one method's alarms and ranking on one sensor with the labels, device by device."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from batch_scoring.core.moments import DAY_US
from batch_scoring.evaluation.metrics.sensor_windows import Verdict
from batch_scoring.tables.arrays import Bool, Float, Int
from batch_scoring.tables.intervals import Spans, Timeline, overlapping, runs, slices

WEEK_US = 7 * DAY_US

# Thresholds of the sweep, as multiples of the distance from the usual to the calibrated threshold;
# close together about 1, where the scores of a one-class SVM end.
SWEEP = np.unique(
    np.concatenate(
        [np.geomspace(0.05, 100.0, 60), 1.0 + np.array([-0.03, -0.01, -0.003, 0.0, 0.003, 0.01, 0.03])]
    )
)


@dataclass(frozen=True)
class Events:
    """Labelled intervals ``[start, end)``, m of them, of one sensor or of whole devices.

    Attributes
    ----------
    device : array of shape (m,), int64
        The device's number among those of the sensor; -1 where the sensor has no such device.
    start, end : array of shape (m,), int64
        Microseconds since the epoch.
    since : array of shape (m,), int64
        From when on the event could be noticed: its start, or the start of the evaluated range.
    """

    device: Int
    start: Int
    end: Int
    since: Int


@dataclass(frozen=True)
class Truth:
    """The evaluated windows of a sensor, n of them, and their labels.

    Attributes
    ----------
    is_predicted : array of shape (n,), bool
    budget : array of shape (n,), float64
        The share of normal windows that may be flagged.
    events : Events
        Of this sensor.
    device_events : Events
        Of any sensor of the devices.
    """

    windows: Timeline
    n_devices: int
    is_predicted: Bool
    budget: Float
    events: Events
    device_events: Events

    @cached_property
    def spans(self) -> Spans:
        """Return the windows of each event."""
        return self._spans(self.events)

    @cached_property
    def device_spans(self) -> Spans:
        """Return the windows of each event of a device."""
        return self._spans(self.device_events)

    @cached_property
    def is_labelled(self) -> Bool:
        """Which windows a label of the sensor overlaps, shape (n,)."""
        return self.spans.cover(self.windows.series.size)

    @cached_property
    def is_labelled_anywhere(self) -> Bool:
        """Which windows a label of any sensor of the device overlaps, shape (n,)."""
        return self.device_spans.cover(self.windows.series.size)

    def _spans(self, events: Events) -> Spans:
        return overlapping(self.windows, events.device, events.start, events.end)


@dataclass(frozen=True)
class Outcome:
    """How a method fared on one sensor.

    Attributes
    ----------
    sums : dict of str to array of shape (n_devices,), float64
        Numbers that add up over devices and sensors; see ``figures.SUMS``.
    is_found : array of shape (m,), bool
        Which events an anomalous window overlaps.
    delay_seconds : array of shape (m,), float64
        From when an event could be noticed to the end of its first anomalous window; NaN where it was
        not found.
    is_device_event_found : array of shape (k,), bool
        Which events of devices an anomalous window of this sensor overlaps.
    pooled : dict of str to float
        ``roc_auc`` and ``pr_auc`` of the windows of all devices in one ranking; NaN where they are all
        labelled or all are not.
    sweep_found, sweep_false_alerts : array of shape (len(SWEEP),), float64
        Events found and false alerts at each threshold of the sweep.
    """

    sums: dict[str, Float]
    is_found: Bool
    delay_seconds: Float
    is_device_event_found: Bool
    pooled: dict[str, float]
    sweep_found: Float
    sweep_false_alerts: Float


def match_verdict(truth: Truth, verdict: Verdict) -> Outcome:
    """Match a verdict with the labels.

    An event is found when an anomalous window of its device and sensor overlaps it. An alert is a run
    of neighbouring anomalous windows; it is right when one of its windows overlaps a label of the
    sensor. A window without a prediction is not anomalous: labelled, it is missed.
    """
    alarm = verdict.is_anomaly
    first = truth.spans.first_flagged(alarm)
    found = first >= 0
    delay = np.full(found.size, np.nan)
    delay[found] = (truth.windows.end[first[found]] - truth.events.since[found]) / 1e6
    sums = _window_sums(truth, alarm) | _event_sums(truth, alarm, found) | _alert_sums(truth, alarm)
    ranking, pooled = _rank(truth, verdict.excess)
    return Outcome(
        sums | ranking, found, delay, truth.device_spans.have(alarm), pooled, *_sweep(truth, verdict.excess)
    )


def _count(device: Int, n_devices: int, weights: Float | None = None) -> Float:
    return np.bincount(device, weights, n_devices).astype(np.float64)


def _window_sums(truth: Truth, alarm: Bool) -> dict[str, Float]:
    windows, labelled = truth.windows, truth.is_labelled
    normal = truth.is_predicted & ~labelled

    def count(rows: Bool) -> Float:
        return _count(windows.series[rows], truth.n_devices)

    length = (windows.end[normal] - windows.start[normal]) / WEEK_US
    return {
        "series": (count(np.ones(labelled.size, bool)) > 0).astype(np.float64),
        "windows": count(np.ones(labelled.size, bool)),
        "windows_without_prediction": count(~truth.is_predicted),
        "labelled_windows": count(labelled),
        "normal_windows": count(normal),
        "anomalous_windows": count(alarm),
        "true_windows": count(alarm & labelled),
        "true_windows_any_sensor": count(alarm & truth.is_labelled_anywhere),
        "false_windows": count(alarm & ~labelled),
        "budgeted_windows": _count(windows.series[normal], truth.n_devices, truth.budget[normal]),
        "sensor_weeks": _count(windows.series[normal], truth.n_devices, length),
    }


def _event_sums(truth: Truth, alarm: Bool, found: Bool) -> dict[str, Float]:
    there = truth.events.device >= 0
    unseen = ~truth.spans.have(truth.is_predicted)

    def count(rows: Bool) -> Float:
        return _count(truth.events.device[rows & there], truth.n_devices)

    overlap = truth.spans.share(alarm)[there]
    return {
        "event_overlap": _count(truth.events.device[there], truth.n_devices, overlap),
        "events": count(there),
        "events_found": count(found),
        "events_without_windows": count(unseen),
    }


def _alert_sums(truth: Truth, alarm: Bool) -> dict[str, Float]:
    alerts = runs(truth.windows, alarm)
    device = truth.windows.series[alerts.first]
    right, right_anywhere = alerts.have(truth.is_labelled), alerts.have(truth.is_labelled_anywhere)
    return {
        "alert_overlap": _count(device, truth.n_devices, alerts.share(truth.is_labelled)),
        "alerts": _count(device, truth.n_devices),
        "right_alerts": _count(device[right], truth.n_devices),
        "right_alerts_any_sensor": _count(device[right_anywhere], truth.n_devices),
    }


def rank(labelled: Bool, suspicion: Float) -> tuple[float, float, float]:
    """Compute ROC AUC, PR AUC (average precision) and best F1 of one ranking; NaN without both classes.

    Parameters
    ----------
    labelled : array of shape (n,), bool
    suspicion : array of shape (n,), float64
        The higher, the more abnormal; rows that are NaN are left out.
    """
    known = np.isfinite(suspicion)
    y, score = labelled[known], suspicion[known]
    if not y.any() or y.all():
        return np.nan, np.nan, np.nan
    from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

    precision, recall, _ = precision_recall_curve(y, score)
    both = np.maximum(precision + recall, 1e-300)
    return (
        float(roc_auc_score(y, score)),
        float(average_precision_score(y, score)),
        float((2 * precision * recall / both).max()),
    )


def _rank(truth: Truth, suspicion: Float) -> tuple[dict[str, Float], dict[str, float]]:
    """Rank each device's windows as sums, 0 where a device lacks one of the classes; and all devices'."""
    labelled = truth.is_labelled
    rankings = np.array(
        [rank(labelled[rows], suspicion[rows]) for rows in slices(truth.windows.series, truth.n_devices)]
    ).reshape(-1, 3)
    is_ranked = np.isfinite(rankings[:, 0])
    roc, pr, f1 = np.where(is_ranked, rankings.T, 0.0)
    sums = {"ranked_series": is_ranked.astype(np.float64), "roc_auc": roc, "pr_auc": pr, "best_f1": f1}
    pooled_roc, pooled_pr, _ = rank(labelled, suspicion)
    return sums, {"roc_auc": pooled_roc, "pr_auc": pooled_pr}


def _sweep(truth: Truth, suspicion: Float) -> tuple[Float, Float]:
    """Count events found and false alerts at each threshold of ``SWEEP``."""
    found, wrong = np.zeros(SWEEP.size), np.zeros(SWEEP.size)
    for place, threshold in enumerate(SWEEP):
        alarm = suspicion > threshold
        found[place] = np.count_nonzero(truth.spans.have(alarm))
        wrong[place] = np.count_nonzero(~runs(truth.windows, alarm).have(truth.is_labelled))
    return found, wrong
