"""Compute figures from sums, and bootstrap intervals of the fleet's figures."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from batch_scoring.tables.arrays import Float

# What adds up over series. An AUC is a sum too: over the ranked series, each counted once.
SUMS = (
    "series",
    "windows",
    "windows_without_prediction",
    "labelled_windows",
    "normal_windows",
    "anomalous_windows",
    "true_windows",
    "true_windows_any_sensor",
    "false_windows",
    "budgeted_windows",
    "sensor_weeks",
    "event_overlap",
    "alert_overlap",
    "events",
    "events_found",
    "events_without_windows",
    "alerts",
    "right_alerts",
    "right_alerts_any_sensor",
    "ranked_series",
    "roc_auc",
    "pr_auc",
    "best_f1",
)
# What adds up over devices.
DEVICE_SUMS = ("ranked_devices", "device_roc_auc", "device_pr_auc", "device_events", "device_events_found")

RATIOS = {
    "roc_auc": ("roc_auc", "ranked_series"),
    "pr_auc": ("pr_auc", "ranked_series"),
    "best_f1": ("best_f1", "ranked_series"),
    "event_recall": ("events_found", "events"),
    # Range-based recall and precision (Tatbul et al., 2018), flat, with the overlap as the only reward.
    "range_recall": ("event_overlap", "events"),
    "range_precision": ("alert_overlap", "alerts"),
    "alerts_per_event_found": ("alerts", "events_found"),
    "alert_precision": ("right_alerts", "alerts"),
    "alert_precision_any_sensor": ("right_alerts_any_sensor", "alerts"),
    "window_recall": ("true_windows", "labelled_windows"),
    "window_precision": ("true_windows", "anomalous_windows"),
    "window_precision_any_sensor": ("true_windows_any_sensor", "anomalous_windows"),
    "false_alarm_rate": ("false_windows", "normal_windows"),
    "realised_over_target": ("false_windows", "budgeted_windows"),
    "false_windows_per_sensor_week": ("false_windows", "sensor_weeks"),
    "false_alerts_per_sensor_week": ("false_alerts", "sensor_weeks"),
    "device_roc_auc": ("device_roc_auc", "ranked_devices"),
    "device_pr_auc": ("device_pr_auc", "ranked_devices"),
    "device_event_recall": ("device_events_found", "device_events"),
}


def figures(sums: Mapping[str, Float]) -> dict[str, Float]:
    """Compute the ratios of rows of sums.

    Parameters
    ----------
    sums : mapping of str to array of shape (m,), float64
        ``SUMS``, and ``DEVICE_SUMS`` where there are.

    Returns
    -------
    dict of str to array of shape (m,), float64
        ``RATIOS``; NaN where there is nothing to divide by.
    """
    known = {**sums, "false_alerts": sums["alerts"] - sums["right_alerts"]}
    return {
        name: _ratio(known[part], known[whole])
        for name, (part, whole) in RATIOS.items()
        if part in known and whole in known
    }


def intervals(
    methods: Mapping[str, Mapping[str, Float]], draws: int, seed: int, against: str
) -> tuple[dict[str, dict[str, Float]], dict[str, dict[str, Float]]]:
    """Compute intervals that hold 95 % of the figures of fleets drawn from these devices, with replacement.

    Whole devices are drawn, for the windows of a device resemble each other. All methods see the same
    draws, so the differences between them vary less than they do.

    Parameters
    ----------
    methods : mapping of str to mapping of str to array of shape (n_devices,)
        ``SUMS`` and ``DEVICE_SUMS`` of each device, by method.
    draws : int
        How many fleets.
    against : str
        The method whose lead over the others is reported.

    Returns
    -------
    of_methods, of_leads : dict of str to dict of str to array of shape (2,), float64
        By method and figure: the low and the high end; NaN with less than two devices. A lead is the
        figure of ``against`` less that of the other method.
    """
    names = (*SUMS, *DEVICE_SUMS)
    sums = {method: np.stack([of[name] for name in names], axis=1) for method, of in methods.items()}
    n_devices = len(next(iter(sums.values())))
    generator = np.random.default_rng(seed)
    drawn = {method: np.zeros((draws, len(names))) for method in methods}
    for draw in range(draws):
        times = np.bincount(generator.integers(0, n_devices, n_devices), minlength=n_devices)
        for method, rows in sums.items():
            drawn[method][draw] = times @ rows
    of = {method: figures(dict(zip(names, rows.T, strict=True))) for method, rows in drawn.items()}
    few = n_devices < 2
    return (
        {method: {name: _middle(values, few) for name, values in own.items()} for method, own in of.items()},
        {
            method: {name: _middle(of[against][name] - values, few) for name, values in own.items()}
            for method, own in of.items()
            if method != against
        },
    )


def _ratio(part: Float, whole: Float) -> Float:
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def _middle(values: Float, few: bool) -> Float:
    known = values[np.isfinite(values)]
    return np.full(2, np.nan) if few or not known.size else np.quantile(known, [0.025, 0.975])
