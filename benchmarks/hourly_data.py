"""The readings of a fleet, hour by hour, and a model for each of its series.

Two hundred series have a level, a daily wave and a noise of their own; of these `kedro run` trains models
on two days. Device i of any fleet behaves as number i % 200 with noise of its own, and is scored with a
copy of that one's model: to train 10,000 models takes a minute, a million more than an hour, and what is
measured here is the hours after it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

# To be raised when the same fleet is to have other readings: kept folders are then made again.
RECIPE = 1
BASES = 200
SENSOR = "vibration"
DAY = datetime(2026, 3, 2, tzinfo=UTC)
TRAINED = timedelta(days=2)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
WINDOW = timedelta(minutes=5)

_BLOCK_ROWS = 1_000_000
_PART_DEVICES = 8_192
_RNG_BASES = np.random.default_rng(RECIPE)
_LEVEL = _RNG_BASES.uniform(20, 80, BASES)
_WAVE = _RNG_BASES.uniform(0, 3, BASES)
_PHASE = _RNG_BASES.uniform(0, 2 * np.pi, BASES)
_NOISE = _RNG_BASES.uniform(0.3, 1, BASES)


@dataclass(frozen=True)
class Fleet:
    """Some devices with the same sensors.

    Attributes
    ----------
    devices : int
    sensors : tuple of str
    interval : timedelta
        Between two readings of a series.
    """

    devices: int
    sensors: tuple[str, ...] = (SENSOR,)
    interval: timedelta = MINUTE

    @property
    def series(self) -> int:
        return self.devices * len(self.sensors)

    def windows(self, duration: timedelta) -> int:
        """The number of windows of all series in this time."""
        return self.series * (duration // WINDOW)


def device_names(first: int, after: int) -> list[str]:
    """Names of some neighbouring devices, sorted."""
    return [f"pump-{number:07d}" for number in range(first, after)]


def make_readings(fleet: Fleet, start: datetime, duration: timedelta) -> Iterator[pa.Table]:
    """The readings of some time in the order of their times, about a million at a time.

    Yields
    ------
    pyarrow.Table
        timestamp (µs, UTC), device, sensor, value.
    """
    steps = duration // fleet.interval
    devices, sensors = pa.array(device_names(0, fleet.devices)), pa.array(fleet.sensors)
    device = np.tile(np.arange(fleet.devices), len(fleet.sensors))
    sensor = np.repeat(np.arange(len(fleet.sensors)), fleet.devices)
    base = device % BASES
    steps_at_once = max(1, _BLOCK_ROWS // fleet.series)
    for first in range(0, steps, steps_at_once):
        step = np.arange(first, min(first + steps_at_once, steps))
        seconds = start.timestamp() + step * fleet.interval.total_seconds()
        angle = _PHASE[base] + 2 * np.pi * (seconds / 86_400)[:, None]
        random = np.random.default_rng([RECIPE, int(seconds[0]), fleet.series])
        noise = random.standard_normal((step.size, fleet.series))
        value = _LEVEL[base] + _WAVE[base] * np.sin(angle) + _NOISE[base] * noise
        columns = {
            "timestamp": pa.array(np.repeat((seconds * 1e6).astype(np.int64), fleet.series)).cast(
                pa.timestamp("us", "UTC")
            ),
            "device": devices.take(pa.array(np.tile(device, step.size))),
            "sensor": sensors.take(pa.array(np.tile(sensor, step.size))),
            "value": pa.array(value.ravel()),
        }
        yield pa.table(columns)


def write_readings(path: Path, fleet: Fleet, start: datetime, duration: timedelta) -> Path:
    """Write the readings of some time as one Parquet file, unless it is there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        tables = make_readings(fleet, start, duration)
        first = next(tables)
        with pq.ParquetWriter(unfinished, first.schema) as writer:
            writer.write_table(first)
            for table in tables:
                writer.write_table(table)
        unfinished.rename(path)
    return path


def write_small_files(folder: Path, fleet: Fleet, start: datetime, files: int) -> Path:
    """Write a CSV file for each of so many times, as a gateway sends them, unless they are there."""
    table = pa.concat_tables(make_readings(fleet, start, files * fleet.interval)).combine_chunks()
    _write_csv_files(folder, [table.slice(i * fleet.series, fleet.series) for i in range(files)])
    return folder


def write_one_file(folder: Path, fleet: Fleet, start: datetime, times: int) -> Path:
    """Write the same rows as :func:`write_small_files` in one CSV file."""
    _write_csv_files(folder, [pa.concat_tables(make_readings(fleet, start, times * fleet.interval))])
    return folder


def _write_csv_files(folder: Path, tables: Sequence[pa.Table]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / ".done"
    if not done.exists():
        for number, table in enumerate(tables):
            pyarrow.csv.write_csv(table, folder / f"{number:06d}.csv")
        done.touch()


def publish_copies(published: Path, fleet: Fleet, into: Path) -> None:
    """Publish, for the scoring of each sensor, copies of the base models for all devices of a fleet.

    The one place that uses functions of the product rather than its command line. It is preparation.

    Parameters
    ----------
    published : path
        Folder of the published models of a workspace in which the base series were trained.
    fleet : Fleet
    into : path
        The same folder of the fleet's workspace.
    """
    from batch_scoring.detection.model import FleetModel
    from batch_scoring.detection.model_file import write_models
    from batch_scoring.registry.published import load_published, publish

    trained = load_published(published, SENSOR).verify().models.read()
    if trained.devices.to_pylist() != device_names(0, BASES):
        raise ValueError("not every base series has a model; train them again")
    for sensor in fleet.sensors:
        info = replace(trained.info, sensor=sensor)

        def copies(info=info) -> Iterator[FleetModel]:
            for first in range(0, fleet.devices, _PART_DEVICES):
                number = np.arange(first, min(first + _PART_DEVICES, fleet.devices))
                table = trained.table.take(pa.array(number % BASES))
                devices = pa.array(device_names(first, first + number.size))
                place = table.schema.get_field_index("device")
                yield FleetModel.build(table.set_column(place, "device", devices), info)

        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "models.arrow"
            write_models(file, info, copies())
            publish(into, file, "1", "benchmark", f"benchmark-{RECIPE}")
