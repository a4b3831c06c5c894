"""Evaluates a part of Azure Batch's language of autoscale formulas; refuses what it does not know."""

from __future__ import annotations

import bisect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

_TOKENS = re.compile(
    r"\s*(?:(?P<comment>//[^\n]*)|(?P<number>\d+(?:\.\d+)?)|(?P<name>\$?[A-Za-z_]\w*)"
    r"|(?P<sign><=|>=|==|!=|&&|\|\||[-+*/<>!?:;,.()=]))"
)
_INTERVALS = {"Minute": 60.0, "Second": 1.0, "Hour": 3600.0, "Day": 86400.0}
_OPTIONS = ("requeue", "terminate", "taskcompletion", "retaineddata")
_TARGETS = ("$TargetDedicatedNodes", "$TargetLowPriorityNodes", "$NodeDeallocationOption")


class FormulaError(Exception):
    """A formula that the service would refuse, or that is beyond this evaluator."""


@dataclass(frozen=True)
class Interval:
    """A length of time in a formula."""

    seconds: float


class Samples:
    """A variable that the service samples: every so many seconds the last value it had.

    ``changes`` are times and the values from then on.
    """

    def __init__(
        self, changes: Sequence[tuple[datetime, float]], now: datetime, every_seconds: float = 30.0
    ) -> None:
        self._changes, self._now, self._every = changes, now, every_seconds

    def within(self, seconds: float) -> list[float]:
        """The samples of this last time, oldest first."""
        if not self._changes:
            return []
        newest = math.floor(self._now.timestamp() / self._every) * self._every
        count = math.floor((seconds - (self._now.timestamp() - newest)) / self._every) + 1
        times = [newest - self._every * index for index in range(max(0, count))]
        return [value for time in reversed(times) if (value := self._at(time)) is not None]

    def last(self, count: int) -> list[float]:
        """The newest so many."""
        return self.within(self._every * 1000)[-count:]

    def percent(self, seconds: float) -> float:
        """Of the samples that this time should have, so many are there."""
        expected = max(1, math.floor(seconds / self._every))
        return min(100.0, 100.0 * len(self.within(seconds)) / expected)

    def _at(self, time: float) -> float | None:
        index = bisect.bisect_right(self._changes, time, key=lambda change: change[0].timestamp())
        return self._changes[index - 1][1] if index else None


def evaluate(formula: str, variables: Mapping[str, float | Samples]) -> dict[str, float | str]:
    """What a formula assigns, in its order.

    Raises
    ------
    FormulaError
        Also for functions and variables that this evaluator does not know.
    """
    if len(formula.encode()) > 8192:
        raise FormulaError("the formula is longer than 8 kB")
    parser = _Parser(_tokens(formula), variables)
    while parser.more():
        parser.statement()
    return parser.assigned


def whole(value: float | str) -> int:
    """A target as a number of nodes."""
    if isinstance(value, str):
        raise FormulaError(f"{value!r} is no number of nodes")
    return int(value)


def _tokens(formula: str) -> list[tuple[str, str]]:
    tokens, position = [], 0
    text = formula.rstrip()
    while position < len(text):
        found = _TOKENS.match(text, position)
        if found is None:
            raise FormulaError(f"not understood: {text[position : position + 20]!r}")
        position = found.end()
        if found.lastgroup != "comment":
            tokens.append((found.lastgroup or "", found[found.lastgroup or 0]))
    return tokens


class _Parser:
    """Recursive descent; a branch that is not taken is read, but its value is of no matter."""

    def __init__(self, tokens: list[tuple[str, str]], variables: Mapping[str, float | Samples]) -> None:
        self._tokens, self._at, self._variables = tokens, 0, variables
        self._idle = 0
        self.assigned: dict[str, float | str] = {}

    def more(self) -> bool:
        return self._at < len(self._tokens)

    def statement(self) -> None:
        kind, name = self._next()
        if kind != "name":
            raise FormulaError(f"expected a name, not {name!r}")
        if name.startswith("$") and name not in _TARGETS:
            raise FormulaError(f"{name} cannot be assigned")
        self._take("=")
        if name == "$NodeDeallocationOption":
            option = self._next()[1]
            if option not in _OPTIONS:
                raise FormulaError(f"{option!r} is no $NodeDeallocationOption")
            self.assigned[name] = option
        else:
            self.assigned[name] = self._number(self._ternary())
        if self.more():
            self._take(";")

    def _ternary(self):
        condition = self._compare()
        if not self._if("?"):
            return condition
        taken = bool(condition)
        first = self._branch(taken)
        self._take(":")
        second = self._branch(not taken)
        return first if taken else second

    def _branch(self, taken: bool):
        self._idle += not taken
        value = self._ternary()
        self._idle -= not taken
        return value

    def _compare(self):
        left = self._sum()
        for sign, compare in _COMPARE.items():
            if self._if(sign):
                return float(compare(self._number(left), self._number(self._sum())))
        return left

    def _sum(self):
        value = self._product()
        while self._peek() in ("+", "-"):
            sign, other = self._next()[1], self._product()
            value = self._number(value) + (1 if sign == "+" else -1) * self._number(other)
        return value

    def _product(self):
        value = self._primary()
        while self._peek() in ("*", "/"):
            sign, other = self._next()[1], self._primary()
            if sign == "*" and Interval in (type(value), type(other)):
                seconds = [one.seconds if isinstance(one, Interval) else one for one in (value, other)]
                value = Interval(math.prod(seconds))
            elif sign == "*":
                value = self._number(value) * self._number(other)
            else:
                value = self._number(value) / self._number(other)
        return value

    def _primary(self):
        kind, text = self._next()
        if kind == "number":
            return float(text)
        if text == "-":
            return -self._number(self._primary())
        if text == "(":
            value = self._ternary()
            self._take(")")
            return value
        if kind != "name":
            raise FormulaError(f"not expected: {text!r}")
        if self._if("("):
            return self._call(text, self._arguments())
        if text.startswith("TimeInterval_"):
            unit = text.removeprefix("TimeInterval_")
            if unit not in _INTERVALS:
                raise FormulaError(f"{text} is not known here")
            return Interval(_INTERVALS[unit])
        value = self._variable(text)
        if isinstance(value, Samples):
            self._take(".")
            return self._sampled(value)
        return value

    def _variable(self, name: str):
        if name in self.assigned:
            return self.assigned[name]
        if name not in self._variables:
            raise FormulaError(f"{name} is not known here")
        return self._variables[name]

    def _sampled(self, samples: Samples):
        method = self._next()[1]
        self._take("(")
        arguments = self._arguments()
        if method == "GetSample" and len(arguments) == 1:
            (what,) = arguments
            found = samples.within(what.seconds) if isinstance(what, Interval) else samples.last(int(what))
            if not found and not self._idle:
                raise FormulaError("GetSample has found no sample")
            return found
        if method == "GetSamplePercent" and len(arguments) == 1 and isinstance(arguments[0], Interval):
            return samples.percent(arguments[0].seconds)
        raise FormulaError(f"{method} with {len(arguments)} arguments is not known here")

    def _call(self, name: str, arguments: list):
        if name not in _FUNCTIONS:
            raise FormulaError(f"the function {name} is not known here")
        try:
            return _FUNCTIONS[name](arguments)
        except (IndexError, ValueError, ZeroDivisionError, TypeError) as error:
            if self._idle:
                return 0.0
            raise FormulaError(f"{name}: {error}") from None

    def _arguments(self) -> list:
        found = []
        while not self._if(")"):
            if found:
                self._take(",")
            found.append(self._ternary())
        return found

    def _number(self, value) -> float:
        if isinstance(value, (int, float)):
            return float(value)
        raise FormulaError(f"expected a number, not {value!r}")

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self.more() else ""

    def _next(self) -> tuple[str, str]:
        if not self.more():
            raise FormulaError("the formula ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _if(self, text: str) -> bool:
        if self._peek() == text:
            self._at += 1
            return True
        return False

    def _take(self, text: str) -> None:
        if not self._if(text):
            raise FormulaError(f"expected {text!r}, not {self._peek()!r}")


def _flat(arguments: list) -> list[float]:
    return [one for argument in arguments for one in (argument if isinstance(argument, list) else [argument])]


_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
}
_FUNCTIONS: dict[str, Callable[[list], float]] = {
    "max": lambda found: max(_flat(found)),
    "min": lambda found: min(_flat(found)),
    "avg": lambda found: sum(_flat(found)) / len(_flat(found)),
    "sum": lambda found: sum(_flat(found)),
    "len": lambda found: float(len(found[0])),
    "val": lambda found: found[0][int(found[1])],
    # Half goes up, as in C#'s Math.Round away from zero; -0.5 does not occur.
    "round": lambda found: float(math.floor(found[0] + 0.5)),
}


def steady(value: float, now: datetime, seconds: float = 3600.0) -> Samples:
    """A variable that has had one value for so long."""
    return Samples([(now - timedelta(seconds=seconds), value)], now)
