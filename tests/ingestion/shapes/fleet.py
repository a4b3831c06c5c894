"""The small fleet whose readings every shape states, and the list that shapes are added to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

# Past midnight, so that the second day tells day and month apart.
START = datetime(2026, 3, 12, 20, tzinfo=UTC)
TIMES = [START + timedelta(minutes=10 * step) for step in range(30)]
DEVICES = ("unit-a", "unit-b")
SENSORS = ("temp", "hum")

Reading = tuple[datetime, str, str, float]
Files = Mapping[str, str | bytes]


@dataclass(frozen=True)
class Shape:
    """A file, or some, as people bring them.

    Attributes
    ----------
    name : str
        As the table in docs/reference/formats.md names it.
    tries : int
        1: read as it is; 2: with what ``kedro readings inspect`` proposes; 0: not read.
    make : callable
        Returns the files by their paths, and the readings in them; or, instead of readings, a part of the
        sentence that says what to do.
    """

    name: str
    tries: int
    make: Callable[[], tuple[Files, list[Reading] | str]]

    def write(self, folder: Path) -> tuple[Path, list[tuple[str, str, str, float]] | str]:
        """Write the files; returns the place to name, and the readings as a store lists them."""
        files, expected = self.make()
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        place = folder if len(files) > 1 or "/" in next(iter(files)) else folder / next(iter(files))
        return place, expected if isinstance(expected, str) else stored(expected)


SHAPES: list[Shape] = []


def shape(name: str, tries: int) -> Callable[[Callable[[], tuple[Files, list[Reading] | str]]], None]:
    """Add a shape to the list."""

    def add(make: Callable[[], tuple[Files, list[Reading] | str]]) -> None:
        SHAPES.append(Shape(name, tries, make))

    return add


def stored(readings: Iterable[Reading]) -> list[tuple[str, str, str, float]]:
    """Readings as rows of a store, in an order."""
    return sorted((f"{time:%Y-%m-%dT%H:%M:%S.%f}", *rest) for time, *rest in readings)


def value(step: int, device: int, sensor: int) -> float:
    return round(20 + 20 * sensor + 2 * device + (7 * step + 3 * device + 5 * sensor) % 11 / 10 + 0.01, 2)


def readings(devices: Iterable[int] = (0, 1), sensors: Iterable[int] = (0, 1)) -> list[Reading]:
    """The readings of some devices and sensors, by time."""
    ids = [(device, sensor) for device in devices for sensor in list(sensors)]
    return [
        (time, DEVICES[device], SENSORS[sensor], value(step, device, sensor))
        for step, time in enumerate(TIMES)
        for device, sensor in ids
    ]


def renamed(
    rows: Iterable[Reading], device: str | Mapping[str, str] = "", sensors: Mapping[str, str] | None = None
) -> list[Reading]:
    """Readings with other names of devices and sensors."""
    names = {} if isinstance(device, str) else device
    fixed = device if isinstance(device, str) else ""
    return [
        (time, fixed or names.get(one, one), (sensors or {}).get(sensor, sensor), number)
        for time, one, sensor, number in rows
    ]


def lines(header: str, rows: Iterable[str], end: str = "\n") -> str:
    return end.join([*([header] if header else []), *rows]) + end


def iso(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def comma(number: float) -> str:
    return f"{number}".replace(".", ",")
