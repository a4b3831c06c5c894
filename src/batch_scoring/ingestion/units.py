"""Units: found in the names of sensors; conversions of values, such as from °F to °C."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import suggestion

# By quantity, what one of a unit is in the quantity's first unit; of temperatures, with their zero.
_SCALES: tuple[dict[str, str], ...] = (
    {"m": "1", "mm": "1/1000", "cm": "1/100", "km": "1000", "µm": "1/1000000", "in": "0.0254",
     "ft": "0.3048", "yd": "0.9144", "mi": "1609.344"},
    {"m/s": "1", "mm/s": "1/1000", "km/h": "5/18", "mph": "0.44704", "kn": "463/900", "ft/s": "0.3048",
     "in/s": "0.0254"},
    {"m/s²": "1", "mm/s²": "1/1000", "g": "9.80665", "mg": "0.00980665", "ft/s²": "0.3048"},
    {"kg": "1", "g": "1/1000", "mg": "1/1000000", "t": "1000", "lb": "0.45359237", "oz": "0.028349523125"},
    {"Pa": "1", "hPa": "100", "kPa": "1000", "MPa": "1000000", "mbar": "100", "bar": "100000",
     "psi": "6894.757293168361", "atm": "101325", "mmHg": "133.322387415", "inHg": "3386.388640341"},
    {"J": "1", "kJ": "1000", "MJ": "1000000", "Wh": "3600", "kWh": "3600000", "MWh": "3600000000",
     "cal": "4.184", "kcal": "4184", "BTU": "1055.05585262"},
    {"W": "1", "mW": "1/1000", "kW": "1000", "MW": "1000000", "hp": "745.6998715822702"},
    {"l": "1", "ml": "1/1000", "m³": "1000", "gal": "3.785411784", "ft³": "28.316846592"},
    {"l/s": "1", "l/min": "1/60", "l/h": "1/3600", "m³/h": "5/18", "m³/s": "1000", "gal/min": "0.0630901964",
     "ft³/min": "0.4719474432"},
    {"V": "1", "mV": "1/1000", "kV": "1000"},
    {"A": "1", "mA": "1/1000", "kA": "1000"},
    {"Hz": "1", "kHz": "1000", "MHz": "1000000", "rpm": "1/60"},
    {"s": "1", "ms": "1/1000", "min": "60", "h": "3600", "d": "86400"},
    {"rad": "1", "°": "0.017453292519943295", "mrad": "1/1000"},
    {"1": "1", "%": "1/100", "‰": "1/1000", "ppm": "1/1000000", "ppb": "1/1000000000"},
)  # fmt: skip
_TEMPERATURES = {
    "K": (Fraction(1), Fraction(0)),
    "°C": (Fraction(1), Fraction("273.15")),
    "°F": (Fraction(5, 9), Fraction("459.67") * Fraction(5, 9)),
}
_SPELLED = {
    "C": "°C", "degC": "°C", "F": "°F", "degF": "°F", "deg": "°", "um": "µm", "m3": "m³", "ft3": "ft³",
    "m3/h": "m³/h", "m3/s": "m³/s", "m/s2": "m/s²", "mm/s2": "mm/s²", "ft/s2": "ft/s²", "L": "l",
    "kph": "km/h", "L/s": "l/s", "L/min": "l/min", "knot": "kn", "1/min": "rpm", "gpm": "gal/min",
    "Btu": "BTU",
}  # fmt: skip


# Units that nothing is converted from.
_OTHERS = (
    "%RH", "%rH", "%rF", "% RH", "RH", "℃", "℉", "lx", "lux", "dB", "dBA", "dB(A)", "dBm", "pH", "N", "kN",
    "Nm", "kVA", "VA", "kvar", "var", "Ω", "ohm", "kΩ", "µS/cm", "mS/cm", "S/m", "W/m²", "W/m2", "µg/m³",
    "ug/m3", "mg/m³", "mg/l", "mg/L", "mg/dL", "µm/s", "bar(g)", "mm/h", "g/kg", "g/m³", "Bq/m³", "NTU",
    "counts",
)  # fmt: skip
_STATED = re.compile(r"(?:[\[({]\s*(?P<inside>[^\])}]{1,12}?)\s*[\])}]|,\s*(?P<behind>[^\s,]{1,12}))\s*$")


@dataclass(frozen=True)
class Conversion:
    """A linear conversion of values: ``(value * factor + offset) / divisor``.

    A divisor, since °F to °C is exact at whole degrees so: 212 °F are 100 °C and no bit less.
    """

    factor: float
    offset: float
    divisor: float = 1.0


def unit_of(name: str) -> str | None:
    """Return the unit that the name of a sensor ends with, in brackets or behind a comma; None without one.

    The name stays as it is, so the unit is kept with each reading.

    Examples
    --------
    >>> unit_of("Feuchte [%rF]"), unit_of("use (kW)"), unit_of("Temp, °C"), unit_of("CO(GT)")
    ('%rF', 'kW', '°C', None)
    """
    found = _STATED.search(name)
    unit = "" if found is None else found["inside"] or found["behind"]
    return unit if is_unit(unit) else None


def is_unit(text: str) -> bool:
    """Whether a text is a known unit."""
    is_other = text in _SPELLED or text in _TEMPERATURES or text in _OTHERS
    return is_other or (text != "1" and any(text in scales for scales in _SCALES))


def are_of_one_quantity(units: Iterable[str]) -> bool:
    """Whether two of some units are different ones of one quantity, such as W and kW.

    Examples
    --------
    >>> are_of_one_quantity(["°C", "%"]), are_of_one_quantity(["°C", "F"])
    (False, True)
    """
    spelled = {_SPELLED.get(unit, unit) for unit in units}
    return any(len(spelled & known) > 1 for known in (*map(set, _SCALES), set(_TEMPERATURES)))


def read_conversion(value: Any, where: str) -> Conversion:
    """Read ``"°F → °C"`` (or ``->``), or ``[factor, offset]``.

    Raises
    ------
    InputError
        When a unit is not known, or both are not of one quantity.

    Examples
    --------
    >>> read_conversion("°F -> °C", "ingest.convert.t")
    Conversion(factor=5.0, offset=-160.0, divisor=9.0)
    """
    if isinstance(value, (list, tuple)) and len(value) == 2 and all(map(_is_number, value)):
        return Conversion(float(value[0]), float(value[1]))
    units = re.split(r"\s*(?:→|->|=>|\bto\b)\s*", value.strip()) if isinstance(value, str) else []
    if len(units) != 2:
        raise InputError(
            f"{where}: {value!r} is not valid; expected two units such as '°F → °C', or [factor, offset]"
        )
    first, last = (_SPELLED.get(unit, unit) for unit in units)
    scale, zero = _between(first, last, where)
    divisor = scale.denominator * zero.denominator // _gcd(scale.denominator, zero.denominator)
    return Conversion(float(scale * divisor), float(zero * divisor), float(divisor))


def _between(first: str, last: str, where: str) -> tuple[Fraction, Fraction]:
    """Return factor and offset from one unit to another."""
    if {first, last} <= _TEMPERATURES.keys():
        (scale, zero), (other_scale, other_zero) = _TEMPERATURES[first], _TEMPERATURES[last]
        return scale / other_scale, (zero - other_zero) / other_scale
    for scales in _SCALES:
        if {first, last} <= scales.keys():
            return Fraction(scales[first]) / Fraction(scales[last]), Fraction(0)
    known = [*_TEMPERATURES, *(unit for scales in _SCALES for unit in scales)]
    unknown = [unit for unit in (first, last) if unit not in known]
    if unknown:
        hint = suggestion(unknown[0], known)
        raise InputError(
            f"{where}: the unit {unknown[0]!r} is not known{f'; {hint}' if hint else ''}; "
            "write [factor, offset] instead"
        )
    raise InputError(
        f"{where}: {first!r} and {last!r} are not units of one quantity; expected such as °F → °C"
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _gcd(a: int, b: int) -> int:
    return a if not b else _gcd(b, a % b)
