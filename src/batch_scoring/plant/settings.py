"""Settings of what people know of sensors and devices: ``params:domain``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import read_parameters, require

# What a rule may say.
SAYS = ("direction", "smallest_deviation", "limits", "off_when")


@dataclass(frozen=True)
class OffWhen:
    """When a machine is off: the mean of a window of one of its sensors is below, or above, a number."""

    sensor: str
    below: float | None = None
    above: float | None = None

    def __post_init__(self) -> None:
        if (self.below is None) == (self.above is None):
            raise InputError(
                f"domain.rules: off_when with the sensor {self.sensor!r} is not valid; expected 'below' or "
                "'above', such as {sensor: power, below: 0.1}"
            )


@dataclass(frozen=True)
class Rule:
    """What is known of the sensors and devices that match two patterns; null says nothing.

    Attributes
    ----------
    sensor, device : str
        Names, or patterns with ``*`` and ``?``.
    direction : "above", "below" or "both"
        Where an anomaly lies.
    smallest_deviation : float or str
        How far from what is expected an anomaly is at least, in the sensor's unit, or such as ``"5%"`` of it.
    limits : list of two floats
        Beyond them a window is always an anomaly; null for no limit on one side.
    """

    sensor: str = "*"
    device: str = "*"
    direction: Literal["above", "below", "both"] | None = None
    smallest_deviation: Any = None
    limits: tuple[Any, ...] | None = None
    off_when: OffWhen | None = None

    def __post_init__(self) -> None:
        checks = {
            "smallest_deviation": (
                self.smallest_deviation is None or self.deviation is not None,
                "a number that is not negative, in the sensor's unit, or a share such as '5%'",
            ),
            "limits": (
                self.limits is None or _are_limits(self.limits),
                "a lower and an upper limit, one of them may be null, such as [0, 90]",
            ),
        }
        require(self, "domain.rules", checks)

    @property
    def deviation(self) -> tuple[float, float] | None:
        """Return the smallest deviation, absolute and as a share of what is expected."""
        value = self.smallest_deviation
        text = str(value).strip()
        try:
            number = float(text.removesuffix("%"))
        except ValueError:
            return None
        if isinstance(value, bool) or not 0 <= number < float("inf"):
            return None
        return (0.0, number / 100) if text.endswith("%") else (number, 0.0)


@dataclass(frozen=True)
class DomainParameters:
    """``params:domain``; see conf/base/parameters_domain.yml."""

    rules: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        assert self.read_rules is not None

    @property
    def read_rules(self) -> tuple[Rule, ...]:
        """Return the rules."""
        return tuple(_rule(one, f"domain.rules[{n}]") for n, one in enumerate(self.rules, 1))


def _rule(values: Any, where: str) -> Rule:
    try:
        rule = read_parameters(Rule, values, where)
    except InputError as error:  # a rule does not know which it is
        found = re.sub(r"^domain\.rules(?=[.:])", where, str(error))
        raise InputError(found) from None
    if rule == Rule(rule.sensor, rule.device):
        # With one dash too many, what belongs to a sensor would be a rule for all of them.
        raise InputError(f"{where}: says nothing; expected {', '.join(SAYS[:-1])} or {SAYS[-1]} beside names")
    return rule


def _are_limits(limits: tuple[Any, ...]) -> bool:
    known = [one for one in limits if one is not None]
    return len(limits) == 2 and known != [] and all(map(_is_number, known)) and sorted(set(known)) == known


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and not math.isnan(value)
