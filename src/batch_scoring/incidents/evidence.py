"""Weigh the evidence of windows and incidents: the order in which a person should look at them.

It never decides what is anomalous; see ``detection/`` for that.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.moments import DAY_US, HOUR_US
from batch_scoring.plant.rules import LIMIT
from batch_scoring.tables.arrays import Bool, Float, Int
from batch_scoring.tables.arrow_arrays import are, strings, to_arrow, to_numpy

# What is left of a window's evidence a window later: half of it after 7.
KEPT_A_WINDOW = 0.9
# A window counts this much for being anomalous at all.
_ANOMALOUS = 0.3
# A window beyond a limit counts at least as one of this evidence.
_BEYOND_A_LIMIT = 9.0
# Beyond measure: the evidence of a window may be infinite.
_MOST = 1e6
# Sensors of a device beyond the worst ones add nothing: a device with many sensors is not worse for that.
WORST_SENSORS = 3
# Single windows lie below everything else, in the order of their evidence.
MOST_OF_AN_OUTLIER = 0.5
# A silence as long as twice its limit counts like a high incident of a sensor.
_SILENT, _SILENT_DEVICE, SILENT_SOURCE = 5.0, WORST_SENSORS, 10

# In the order of the list an open incident counts three times. One that is over counts in full for a week, in
# which a weekend and a few shifts lie, and half as much with every week since.
_OPEN, _WEEK_US = 3.0, 7 * DAY_US

LEVELS = ("low", "medium", "high", "critical")
# The smallest priority of each level but the first.
LEVEL_FROM = (3.0, 6.0, 12.0)


def window_evidence(windows: pa.Table) -> Float:
    """Return what anomalous windows count in their incident, shape (n,); larger than 0.

    Evidence counts by its order of magnitude, so that one wild reading does not outweigh an hour: with all
    of it, 9 to 12 of the first 15 device incidents of simulated fleets are true ones, with its logarithm 13
    to 15 (seeds 7, 1, 2; with outliers among the others, 9 to 12 and 13 to 14).

    Parameters
    ----------
    windows : pyarrow.Table
        The columns JUDGED of predictions. Those stored before there was evidence count by their severity.
    """
    found = pc.coalesce(windows["evidence"], windows["severity"])
    found = np.nan_to_num(to_numpy(found, null=0.0), nan=0.0, posinf=_MOST)
    found = np.where(are(windows["rule"], LIMIT), np.maximum(found, _BEYOND_A_LIMIT), found)
    counted: Float = _ANOMALOUS + np.log10(1 + np.clip(found, 0.0, _MOST))
    return counted


def for_how_long(length_us: Int) -> Float:
    """Return by how much longer incidents count more, from 1 for an hour; as silences do, by the decade.

    Parameters
    ----------
    length_us : array of shape (n,), int64
        Microseconds.

    Examples
    --------
    >>> for_how_long(np.array([1, 1, 10, 100]) * 3_600_000_000 // np.array([2, 1, 1, 1])).tolist()
    [1.0, 1.0, 2.0, 3.0]
    """
    times: Float = 1 + np.log10(np.maximum(length_us / HOUR_US, 1.0))
    return times


def for_how_many(n_devices: Int) -> Float:
    """Return by how much events of many devices count more, from 1 for one; by the decade."""
    times: Float = 1 + np.log10(n_devices)
    return times


def outlier_priority(evidence: Float) -> Float:
    """Return the priority of single windows by their evidence: below that of any two windows in a row."""
    priority: Float = MOST_OF_AN_OUTLIER * (1 - np.exp2(-evidence))
    return priority


def silence_priority(decades: Float, is_device: Bool, is_source: Bool) -> Float:
    """Return the priority of silences.

    Parameters
    ----------
    decades : array of shape (n,), float64
        log10 of the length of each by the longest that would be usual.
    is_device, is_source : array of shape (n,), bool
        Whether it is that of a whole device, or of the whole source; else of a sensor.
    """
    scale = np.where(is_source, SILENT_SOURCE, np.where(is_device, _SILENT_DEVICE, 1))
    priority: Float = _SILENT * (1 + decades) * scale
    return priority


def urgency(priority: Float, age_us: Int, is_open: Bool) -> Float:
    """Return what the list is ordered by: the priority, by whether it can still be acted upon.

    Parameters
    ----------
    priority : array of shape (n,), float64
    age_us : array of shape (n,), int64
        How long ago each ended, microseconds.
    is_open : array of shape (n,), bool

    Examples
    --------
    >>> age = np.array([0, 7, 14, 21]) * 24 * HOUR_US
    >>> urgency(np.full(4, 8.0), age, np.array([True, False, False, False])).tolist()
    [24.0, 8.0, 4.0, 2.0]
    """
    fades: Float = np.exp2(-np.maximum(age_us / _WEEK_US - 1, 0.0))
    return priority * np.where(is_open, _OPEN, fades)


def levels_of(priority: Float) -> pa.Array:
    """Return the level of each priority as a word.

    Examples
    --------
    >>> levels_of(np.array([0.4, 3.0, 11.9, 70.0])).to_pylist()
    ['low', 'medium', 'high', 'critical']
    """
    place = np.searchsorted(np.array(LEVEL_FROM), priority, "right")
    return pc.take(strings(LEVELS), to_arrow(place.astype(np.int64)))
