"""What happens to machines, one effect a kind: on their load, on what they read, on what they send.

A happening is data; a scenario lists them. To add a kind, write its effect into one of the three tables.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from batch_scoring.tables.arrays import Bool, Float

OFF, IDLE, RUNNING, IN_MAINTENANCE = range(4)  # what the sensor `state` reads


@dataclass(frozen=True)
class Happening:
    """What happens to some machines for a while.

    Attributes
    ----------
    kind : str
        A key of ``ON_LOAD``, ``ON_VALUES`` or ``ON_SENDING``, or another one that has no effect, such as
        ``summer_time``, and is only labelled.
    begins : str
        Local time, such as ``2026-03-27 10:00``.
    hours : float
        How long; infinite to the end of the simulation.
    machines, sensors : tuple of str
        Which ones; empty for all.
    size : float
        Of a drift or level shift in sigmas of the sensor's spread, of ``fleet_event`` as a share of the
        value, of a wild reading the value itself.
    name : str
        The new id of a renamed device.
    """

    kind: str
    begins: str
    hours: float
    machines: tuple[str, ...] = ()
    sensors: tuple[str, ...] = ()
    size: float = math.nan
    name: str = ""


@dataclass(frozen=True)
class During:
    """The cells of a happening, c of them.

    Attributes
    ----------
    hours : array of shape (c,), float64
        Since it began.
    done : array of shape (c,), float64
        The share of it that is over, above 0 and up to 1.
    spread : array of shape (n, s, 1), float64
        Standard deviation of each machine's sensors over the simulation, in the sensor's unit.
    """

    hours: Float
    done: Float
    size: float
    spread: Float


def _test_runs(during: During) -> Float:
    """Twenty minutes of half load, twenty of none."""
    return np.where(during.hours % (2 / 3) < 1 / 3, 0.5, 0.0)


# The load, shape (c,), and the state of a machine.
ON_LOAD: dict[str, tuple[Callable[[During], Float], int]] = {
    "off": (lambda during: np.zeros_like(during.hours), OFF),
    "maintenance": (_test_runs, IN_MAINTENANCE),
}

# The readings of machines, shape (n, s, c), from what they would have been.
ON_VALUES: dict[str, Callable[[Float, During], Float]] = {
    "drift": lambda values, during: values + during.size * during.spread * during.done,
    "level_shift": lambda values, during: values + during.size * during.spread,
    "stuck_value": lambda values, _: np.broadcast_to(values[..., :1], values.shape),
    "fleet_event": lambda values, during: values * (1 + during.size),
    "wild_reading": lambda values, during: np.full_like(values, during.size),
    "unit_change": lambda values, _: values * 1.8 + 32,  # from °C to °F
}

# Whether readings are sent at all: all of the time, and during the happening; arrays of shape (t,).
ON_SENDING: dict[str, Callable[[Bool, slice], Bool]] = {
    "silence": lambda sent, cells: sent & ~_within(sent, cells),
    "young": lambda sent, cells: sent & ~_within(sent, slice(0, cells.start)),
    "renamed": lambda sent, cells: sent & ~_within(sent, slice(cells.start, len(sent))),
}


def _within(sent: Bool, cells: slice) -> Bool:
    inside = np.zeros(len(sent), bool)
    inside[cells] = True
    return inside
