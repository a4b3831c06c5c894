"""Say in words what led an incident, and what would have been usual, with the digits that matter.

A range has two digits of its width and is rounded outward: what was usual stays inside, and a value outside
stays outside. So a value in steps of 0.1 reads "3.4, expected 3.0 to 3.2".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from batch_scoring.tables.schemas import STAY
from batch_scoring.windows.features import COUNTS, NEVER_NEGATIVE

# As wide as a plus, and never the end of a line; one sign wherever a person reads a number.
MINUS = "\N{MINUS SIGN}"
# What stands in a sentence in place of the name of a feature, where it is none.
PLAIN_NAMES = {STAY: "stays at one level"}
# Features with more digits than the readings.
_FINER = ("std", "slope")
# Digits of a value, where the range needs no more; and the most there are.
_DIGITS, _MOST_DIGITS = 4, 12
# A power of ten whose inverse is a number, too.
_LEAST_EXPONENT = -300
# Narrower than this share of the value, or of what is expected, a range is one value.
_ONE_VALUE = 1e-7
# A sum of readings in steps of 0.1 is off by its last bits: what is so near to a step lies on it.
_ROUNDING = 1e-6
# Smaller numbers, and larger ones, are written with an exponent.
_SMALL, _LARGE = 1e-4, 1e15


def expected_words(incident: Mapping[str, Any]) -> str:
    """Return the value and its expected range; empty where the detector has none.

    A value inside its range is unusual only together with the other features, or beyond a limit.

    Parameters
    ----------
    incident : mapping
        A row of DEVICE_INCIDENTS.

    Examples
    --------
    >>> row = {"top_feature": "mean", "top_value": 3.1, "expected": 1.8, "lower": 1.2, "upper": 2.4}
    >>> expected_words(row)
    '3.1, expected 1.2 to 2.4'
    >>> expected_words(row | {"lower": None})
    '3.1, expected up to 2.4'
    >>> expected_words(row | {"lower": 1.8, "upper": 1.8})
    '3.1, expected 1.8'
    >>> expected_words(row | {"upper": 4.21})
    '3.1, usual by itself (1.2 to 4.3)'
    >>> row = {"top_feature": "stay_hours", "top_value": 9.1, "expected": 4.3}
    >>> expected_words(row | {"lower": None, "upper": 4.3})
    'for 9.1 h, expected up to 4.3 h'
    """
    found, usual = (_finite(incident[name]) for name in ("top_value", "expected"))
    if found is None or usual is None:
        return ""
    has_floor = incident["top_feature"] in NEVER_NEGATIVE
    lower, upper = _bounds(incident, has_floor)
    exponent = _exponent(found, usual, lower, upper, incident["top_feature"] not in _FINER)
    words, gap = _range(found, usual, lower, upper, exponent, has_floor), _gap(found, lower, upper)
    # Far outside, the digits of a narrow range say nothing of the value.
    shown = _value(found, max(exponent, _first_digit(gap) + 1 - _DIGITS) if gap else exponent)
    if incident["top_feature"] == STAY:
        return f"for {shown} h, expected {words} h"
    is_inside = (lower is not None or upper is not None) and not gap
    said = f"{shown}, usual by itself ({words})" if is_inside else f"{shown}, expected {words}"
    return said.replace("-", MINUS)


def signed(value: float) -> str:
    """Write a difference with its sign and three digits, or all before the point.

    Examples
    --------
    >>> [signed(value) for value in (4.2571, -49251.3, 2.5e-6)]
    ['+4.26', '−49251', '+2.5e−6']
    """
    size = abs(value)
    shown = _value(size, _first_digit(size) - 2, digits=3).replace("-", MINUS)
    return (MINUS if value < 0 else "+") + shown


def _finite(number: float | None) -> float | None:
    return None if number is None or not math.isfinite(number) else float(number)


def _bounds(incident: Mapping[str, Any], has_floor: bool) -> tuple[float | None, float | None]:
    """Return the bounds of what a feature can be; of one that counts, the whole numbers inside."""
    lower, upper = (_finite(incident[name]) for name in ("lower", "upper"))
    if lower is not None and has_floor:
        lower = max(lower, 0.0)  # rows of earlier versions have less
    if incident["top_feature"] in COUNTS:
        lower = None if lower is None else float(_up(lower, 0))
        upper = None if upper is None else float(_down(upper, 0))
    return lower, upper


def _gap(found: float, lower: float | None, upper: float | None) -> float:
    """Return how far outside the bounds a value lies; 0 inside."""
    below = 0.0 if lower is None else lower - found
    above = 0.0 if upper is None else found - upper
    return max(below, above, 0.0)


def _is_one_value(found: float, usual: float, width: float) -> bool:
    return width <= _ONE_VALUE * max(abs(found), abs(usual))


def _exponent(found: float, usual: float, lower: float | None, upper: float | None, in_steps: bool) -> int:
    """Choose the power of ten of the last digit of a range, and the least one of its value."""
    gap, bounds = _gap(found, lower, upper), [one for one in (lower, upper) if one is not None]
    width = max((abs(one - usual) for one in bounds), default=0.0)
    width = width if len(bounds) < 2 else bounds[1] - bounds[0]
    largest = max(abs(one) for one in (found, usual, *bounds))
    least = max(_first_digit(largest) + 1 - _MOST_DIGITS, _LEAST_EXPONENT)
    if _is_one_value(found, usual, width):
        return max(_first_digit(gap or abs(usual)) - 1, least)
    exponent = _first_digit(width) - 1
    if in_steps:
        # A coarse sensor gives no more digits than its values have.
        of_values = min(max(_own_exponent(one), least) for one in (found, usual))
        exponent = max(exponent, min(of_values, 0, _first_digit(width)))
    while gap and exponent > least and not _is_outside(found, lower, upper, exponent):
        exponent -= 1
    return max(exponent, least)


def _is_outside(found: float, lower: float | None, upper: float | None, exponent: int) -> bool:
    """Whether a value is still outside the bounds once all are rounded."""
    place = round(_steps(round(found, -exponent), exponent))  # as it is written, also halfway
    is_below = lower is not None and found < lower and place < _down(lower, exponent)
    return is_below or (upper is not None and found > upper and place > _up(upper, exponent))


def _range(
    found: float, usual: float, lower: float | None, upper: float | None, exponent: int, has_floor: bool
) -> str:
    low = None if lower is None else _down(lower, exponent)
    high = None if upper is None else _up(upper, exponent)
    if lower is not None and upper is not None:
        if _is_one_value(found, usual, upper - lower) or low == high:
            return _value(usual, exponent)
        if has_floor and low == 0:
            low = None
    texts = _alike([place for place in (low, high) if place is not None], exponent)
    if len(texts) == 2:
        return f"{texts[0]} to {texts[1]}"
    if not texts:
        return _value(usual, exponent)
    return f"up to {texts[0]}" if low is None else f"{texts[0]} or more"


def _steps(value: float, exponent: int) -> float:
    return value / 10.0**exponent if exponent >= 0 else value * 10.0**-exponent


def _down(value: float, exponent: int) -> int:
    return math.floor(_steps(value, exponent) + _ROUNDING)


def _up(value: float, exponent: int) -> int:
    return math.ceil(_steps(value, exponent) - _ROUNDING)


def _first_digit(size: float) -> int:
    """Return the power of ten of the first digit of a size; 0 of 0."""
    return math.floor(math.log10(size)) if size else 0


def _own_exponent(value: float) -> int:
    """Return the power of ten of the last digit that a value shows.

    Examples
    --------
    >>> _own_exponent(3.1), _own_exponent(20.0), _own_exponent(0.1 + 0.2)
    (-1, 1, -1)
    """
    return int(Decimal(f"{value:.10g}").normalize().as_tuple().exponent) if value else 0


def _alike(places: list[int], exponent: int) -> list[str]:
    """Write numbers of steps with as many decimals as the one that needs most."""
    values = [Decimal(place).scaleb(exponent).normalize() for place in places]
    if not _SMALL <= max(map(abs, values), default=0) < _LARGE:
        return [_value(float(value), exponent) for value in values]
    decimals = max(0, *(-int(value.as_tuple().exponent) for value in values))
    return [f"{value:.{decimals}f}" if value else "0" for value in values]


def _value(value: float, exponent: int, digits: int = _DIGITS) -> str:
    """Write a value with four digits, or all before the point, and no fewer than a range of this step has."""
    if not value:
        return "0"
    first = _first_digit(abs(value))
    if _SMALL <= abs(value) < _LARGE:
        return _trimmed(f"{value:.{max(-exponent, digits - 1 - first, 0)}f}")
    mantissa, _, power = f"{value:.{max(digits - 1, first - exponent)}e}".partition("e")
    return f"{_trimmed(mantissa)}e{int(power)}"


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
