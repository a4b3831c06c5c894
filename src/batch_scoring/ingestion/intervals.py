"""How often series send, and which window suits that."""

from __future__ import annotations

# A window holds at least so many readings, to have a spread.
READINGS_A_WINDOW = 10
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_LENGTHS = (
    *((n, f"{n}s") for n in (1, 5, 10, 30)),
    *((n * _MINUTE, f"{n}m") for n in (1, 5, 10, 15, 30)),
    *((n * _HOUR, f"{n}h") for n in (1, 2, 3, 4, 6, 8, 12)),
    *((n * _DAY, f"{n}d") for n in (1, 2, 7, 14, 28, 84)),
)


def suitable_window(interval_seconds: float) -> str:
    """Return the length of window that suits readings at an interval, as ``aggregate.window`` is written.

    Examples
    --------
    >>> [suitable_window(seconds) for seconds in (0.1, 10, 300, 3600, 86400)]
    ['1s', '5m', '1h', '12h', '14d']
    """
    wanted = READINGS_A_WINDOW * interval_seconds
    return next((text for seconds, text in _LENGTHS if seconds >= wanted), _LENGTHS[-1][1])
