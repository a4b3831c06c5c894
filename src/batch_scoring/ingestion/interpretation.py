"""Settings that say how the raw fields of files are understood: times, numbers, what is missing."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import suggestion
from batch_scoring.ingestion.units import Conversion, read_conversion

EPOCHS = {"epoch_s": 1e6, "epoch_ms": 1e3, "epoch_us": 1.0, "epoch_ns": 1e-3}
AUTO, EXCEL = "auto", "excel"
# Of all sensors, in a setting by sensor.
EVERY = "*"
# What DuckDB's strptime reads.
_DIRECTIVES = frozenset("aAbBcdfgGHIjmMnpSuUVwWxXyYzZ%")
# A file or a run is judged by them, no row.
_JUDGING = ("on_bad_file", "max_refused_share", "max_new_devices")


@dataclass(frozen=True)
class Missing:
    """Values that mean that there is none: texts in lower case, and numbers before any conversion."""

    texts: frozenset[str] = frozenset()
    numbers: frozenset[float] = frozenset()


@dataclass(frozen=True)
class Interpretation:
    """How raw fields are understood.

    Attributes
    ----------
    time_format : str or list of str
        ``auto``, ``epoch_s``, ``epoch_ms``, ``epoch_us``, ``epoch_ns``, ``excel`` or strptime formats; of a
        list, the first that fits a time counts.
    decimal : str
        The decimal mark of text; ``auto`` is the point, or the comma where a file leaves no doubt.
    thousands : str or None
        What separates thousands.
    missing : list, or dict of str to list
        Values that mean missing, besides empty ones and words such as ``NA``; by sensor, ``*`` for all.
    words : dict of str to float
        The numbers that words stand for, in upper or lower case.
    unit_suffix : list of str
        Units behind numbers that are taken off.
    convert : dict of str to (str or [float, float])
        By sensor, units such as ``°F → °C`` or a factor and an offset.
    same_time : str
        What is done with several readings of a series at one time in one file.
    rounding : float, or dict of str to float
        Two readings of one time that differ by no more are the same one; by sensor, ``*`` for all.
    on_conflict : str
        Which of two files that contradict each other holds.
    on_bad_file : str
        Whether a file that cannot be read ends the run at once.
    max_refused_share : float
        The run ends with an error when more of a new file than this share is refused.
    max_new_devices : int
        A run that brings more devices without a stored reading refuses their rows, unless nothing is stored.
    """

    time_format: Any = AUTO
    decimal: Literal["auto", ".", ","] = "auto"
    thousands: Literal[",", ".", " ", "'"] | None = None
    missing: Any = field(default_factory=list)
    words: dict[str, Any] = field(default_factory=dict)
    unit_suffix: Any = field(default_factory=list)
    convert: dict[str, Any] = field(default_factory=dict)
    same_time: Literal["refuse", "mean", "last"] = "refuse"
    rounding: Any = 0.0
    on_conflict: Literal["refuse", "newest"] = "refuse"
    on_bad_file: Literal["continue", "stop"] = "continue"
    max_refused_share: float = 0.5
    max_new_devices: int = 50_000

    @property
    def time_formats(self) -> tuple[str, ...]:
        """The formats of times, in the order in which they are tried."""
        return _listed(self.time_format)

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The units that are taken off, longest first."""
        return tuple(sorted(_listed(self.unit_suffix), key=lambda text: (-len(text), text)))

    @property
    def missing_values(self) -> dict[str, Missing]:
        """By sensor, or ``*``, the values that mean missing."""
        values = self.missing if isinstance(self.missing, Mapping) else {EVERY: self.missing}
        return {str(sensor): _missing(listed) for sensor, listed in values.items() if listed}

    @property
    def numbers_of_words(self) -> dict[str, float]:
        """By word in lower case."""
        return {word: float(n) for key, n in self.words.items() for word in _words(key)}

    @property
    def conversions(self) -> dict[str, Conversion]:
        """By sensor."""
        return {
            str(sensor): read_conversion(value, f"ingest.convert.{sensor}")
            for sensor, value in self.convert.items()
        }

    @property
    def tolerances(self) -> dict[str, float]:
        """By sensor, or ``*``, how far apart two readings of one time may be that are the same one."""
        values = self.rounding if isinstance(self.rounding, Mapping) else {EVERY: self.rounding}
        return {str(sensor): float(value) for sensor, value in values.items() if value}

    def deciding(self) -> dict[str, Any]:
        """Return the settings that decide which rows are read and how, without those at their default."""
        default = Interpretation()
        return {
            one.name: _plain(getattr(self, one.name))
            for one in fields(Interpretation)
            if one.name not in _JUDGING and getattr(self, one.name) != getattr(default, one.name)
        }

    def check(self) -> None:
        """Raise InputError, naming the setting, where one is not valid."""
        for text in self._texts("time_format", self.time_format, "a format such as '%d.%m.%Y %H:%M'"):
            _check_format(text)
        self._texts("unit_suffix", self.unit_suffix, "a unit such as '%', or a list of units")
        if self.decimal == self.thousands:
            raise InputError(
                f"ingest.thousands: {self.thousands!r} is not valid; expected another one than ingest.decimal"
            )
        _check_missing(self.missing)
        for word, number in self.words.items():
            _require_number(f"ingest.words.{word}", number, "the number that the word stands for, such as 1")
        _ = self.conversions
        rounding = self.rounding if isinstance(self.rounding, Mapping) else {EVERY: self.rounding}
        for sensor, value in rounding.items():
            where = "ingest.rounding" + (f".{sensor}" if isinstance(self.rounding, Mapping) else "")
            _require_number(where, value, "0 or more, such as 0.05", lambda number: number >= 0)
        if not 0 <= self.max_refused_share <= 1:
            raise InputError(
                f"ingest.max_refused_share: {self.max_refused_share!r} is not valid; expected 0 to 1"
            )

        if self.max_new_devices < 0:
            raise InputError(
                f"ingest.max_new_devices: {self.max_new_devices!r} is not valid; expected 0 or more"
            )

    @staticmethod
    def _texts(name: str, value: Any, expected: str) -> tuple[str, ...]:
        listed = _listed(value) if isinstance(value, (str, list, tuple)) else (None,)
        if not all(isinstance(text, str) and text for text in listed) or (
            name == "time_format" and not listed
        ):
            raise InputError(f"ingest.{name}: {value!r} is not valid; expected {expected}")
        return tuple(text for text in listed if text is not None)


def _listed(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _check_format(text: str) -> None:
    words = (AUTO, *EPOCHS, EXCEL)
    if text in words:
        return
    directives = re.findall(r"%-?(.?)", text)
    if not directives:
        close = suggestion(text, words)
        raise InputError(
            f"ingest.time_format: {text!r} is not valid; expected {', '.join(words)} or a format such as "
            f"'%d.%m.%Y %H:%M'{f'; {close}' if close else ''}"
        )
    unknown = [one for one in directives if one not in _DIRECTIVES]
    if unknown:
        raise InputError(
            f"ingest.time_format: {text!r} has %{unknown[0]}, which is not known; expected a format such as "
            "'%d.%m.%Y %H:%M:%S'"
        )
    if not {"Y", "y", "G", "g", "c", "x"} & set(directives):
        raise InputError(f"ingest.time_format: {text!r} has no year; expected one such as '%d.%m.%Y %H:%M'")


def _check_missing(value: Any) -> None:
    by_sensor = value if isinstance(value, Mapping) else {EVERY: value}
    for sensor, listed in by_sensor.items():
        where = "ingest.missing" + (f".{sensor}" if isinstance(value, Mapping) else "")
        items = listed if isinstance(listed, (list, tuple)) else [listed]
        wrong = [one for one in items if isinstance(one, (bool, list, dict))]
        if wrong or not isinstance(listed, (list, tuple)):
            raise InputError(
                f"{where}: {listed!r} is not valid; expected a list of values such as [-200, '?'], "
                "words in quotes"
            )


def _require_number(
    where: str, value: Any, expected: str, holds: Callable[[float], bool] = lambda _: True
) -> None:
    is_number = isinstance(value, (int, float)) and math.isfinite(value)
    if not is_number or not holds(float(value)):
        raise InputError(f"{where}: {value!r} is not valid; expected {expected}")


def _words(key: Any) -> tuple[str, ...]:
    # YAML reads ON and yes without quotes as true.
    if key is True:
        return ("true", "on", "yes")
    if key is False:
        return ("false", "off", "no")
    return (str(key).strip().lower(),)


def _missing(listed: Any) -> Missing:
    texts, numbers = set(), set()
    for one in listed:
        text = "" if one is None else str(one).strip().lower()
        try:
            numbers.add(float(text))
        except ValueError:
            texts.add(text)
    return Missing(frozenset(texts), frozenset(number for number in numbers if not math.isnan(number)))


def _plain(value: Any) -> Any:
    """Return a setting as JSON has it, in a fixed order."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in sorted(value.items(), key=lambda item: str(item[0]))}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value
