"""Three weeks of seven machines, with all that happens to machines in three weeks of life.

The last 30 % of the time, from 26 March in the afternoon, test the models trained on the rest. Three
faults, a silent device and a fall of pressure in the whole plant are what an operator wants to hear of.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from batch_scoring.simulation.scenarios.happenings import Happening
from batch_scoring.simulation.scenarios.plant import Machine, Scenario
from batch_scoring.simulation.scenarios.shifts import EVERY_DAY, Shift

_EARLY, _LATE, _DAY = Shift(6, 14), Shift(14, 22), Shift(7, 16.5)
_SATURDAY = Shift(6, 12, days=(5,))
_ALWAYS = Shift(0, 24, days=EVERY_DAY, pause_hours=0)
_ON_SHIFTS = ("mill-1", "mill-2", "mill-3", "press-1", "press-2", "press-3")

THREE_WEEKS = Scenario(
    zone="Europe/Berlin",
    start=datetime(2026, 3, 12, tzinfo=UTC),
    days=21,
    interval=timedelta(minutes=1),
    machines=(
        Machine("mill-1", (_EARLY, _LATE, _SATURDAY)),
        Machine("mill-2", (_EARLY, _LATE)),
        Machine("mill-3", (_EARLY, _LATE)),
        Machine("press-1", (_DAY,), is_switched_off=True),
        Machine("press-2", (_EARLY, _LATE), is_switched_off=True),
        Machine("press-3", (_EARLY, _SATURDAY)),
        Machine("pump-1", (_ALWAYS,)),
    ),
    happenings=(
        # What a training should not mind.
        Happening("maintenance", "2026-03-17 13:00", 2, ("press-1",)),
        Happening("wild_reading", "2026-03-18 09:41", 0, ("mill-1",), ("temperature",), 2000.0),
        Happening("young", "2026-03-20 18:00", 168, ("mill-3",)),
        # Faults.
        Happening("level_shift", "2026-03-27 07:30", 7, ("mill-1",), ("pressure",), -1.8),
        Happening("drift", "2026-03-28 06:00", 36, ("pump-1",), ("vibration",), 6.0),
        Happening("drift", "2026-03-28 06:00", 36, ("pump-1",), ("temperature",), 3.0),
        Happening("stuck_value", "2026-03-31 12:30", 8, ("press-1",), ("temperature",)),
        # Not faults of one machine, but news.
        Happening("silence", "2026-03-30 03:10", 9, ("pump-1",)),
        Happening("fleet_event", "2026-03-31 10:20", 0.75, (), ("pressure",), -0.35),
        # Neither.
        Happening("wild_reading", "2026-03-26 21:17", 0, ("pump-1",), ("power",), -9999.0),
        Happening("unit_change", "2026-03-27 10:00", math.inf, ("mill-2",), ("temperature",)),
        Happening("wild_reading", "2026-03-27 13:05", 0, ("press-2",), ("vibration",), 940.0),
        Happening("summer_time", "2026-03-29 03:00", 168, _ON_SHIFTS),
        Happening("wild_reading", "2026-03-29 16:48", 0, ("mill-1",), ("pressure",), 0.0),
        Happening("renamed", "2026-03-30 08:00", math.inf, ("press-3",), name="press-3b"),
        Happening("maintenance", "2026-03-30 13:00", 3, ("mill-1",)),
        Happening("off", "2026-03-31 00:00", math.inf, ("press-2",)),
        Happening("wild_reading", "2026-03-31 19:22", 0, ("pump-1",), ("temperature",), 850.0),
        Happening("wild_reading", "2026-04-01 11:03", 0, ("mill-2",), ("vibration",), 88.8),
    ),
)
