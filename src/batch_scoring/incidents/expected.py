"""Say in words what the worst window of an incident was, and what would have been usual."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def expected_words(incident: Mapping[str, Any]) -> str:
    """Return the value and its expected range; empty where the detector has none.

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
    """
    found, usual = incident["top_value"], incident["expected"]
    lower, upper = incident["lower"], incident["upper"]
    if found is None or usual is None:
        return ""
    if lower is not None and incident["top_feature"] == "std":
        lower = max(lower, 0.0)  # bounds lie as far below as above
    if lower is not None and upper is not None:
        words = f"{_number(lower)} to {_number(upper)}"
    elif upper is not None:
        words = f"up to {_number(upper)}"
    else:
        words = _number(usual) if lower is None else f"{_number(lower)} or more"
    return f"{_number(found)}, expected {words}"


def _number(value: float) -> str:
    """Write four digits, or all before the point."""
    return f"{value:.4g}" if abs(value) < 10_000 else f"{value:.0f}"
