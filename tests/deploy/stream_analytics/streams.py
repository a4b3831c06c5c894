"""Streams of events for the query, and its windows beside those of ``aggregate``."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from batch_scoring.deploy.stream_analytics.query import WindowsQuery
from batch_scoring.tables.schemas import READINGS, windows_schema
from batch_scoring.windows.features import aggregate_readings
from tests.deploy.stream_analytics.stream_sql import to_duckdb

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ENQUEUED = datetime(2026, 1, 6)
INPUT = pa.schema(
    [(name, pa.string()) for name in ("timestamp", "device", "sensor", "value", "IoTConnectionDeviceId")]
    + [("PartitionId", pa.int64())]
    + [(name, pa.timestamp("us")) for name in ("EventEnqueuedUtcTime", "EventProcessedUtcTime")]
)


@dataclass(frozen=True)
class Event:
    """One reading as it is sent."""

    time_us: int
    device: str
    sensor: str
    value: Any

    @property
    def payload(self) -> dict[str, Any]:
        time = EPOCH + timedelta(microseconds=self.time_us)
        return {
            "timestamp": f"{time:%Y-%m-%dT%H:%M:%S.%f}Z",
            "device": self.device,
            "sensor": self.sensor,
            "value": self.value,
        }


@dataclass
class Engine:
    """The query's windows, by DuckDB."""

    query: WindowsQuery = field(default_factory=WindowsQuery)
    limit_is_inclusive: bool = True

    def windows(self, events: Sequence[Event]) -> pa.Table:
        """All that the query writes of these events, which are enqueued in this order."""
        with duckdb.connect(config={"threads": 1}) as connection:
            connection.register("readings", pa.Table.from_pylist(list(map(_row, count(), events)), INPUT))
            text = to_duckdb(str(self.query), self.limit_is_inclusive)
            return connection.sql(text).to_arrow_table()


def _row(number: int, event: Event) -> dict[str, Any]:
    """What the service makes of an event; all events of a device are in one partition."""
    enqueued = ENQUEUED + timedelta(milliseconds=number)
    value = event.value if isinstance(event.value, str) else json.dumps(event.value)
    return event.payload | {
        "value": value,
        "PartitionId": zlib.crc32(event.device.encode()) % 4,
        "EventEnqueuedUtcTime": enqueued,
        "EventProcessedUtcTime": enqueued + timedelta(seconds=1),
    }


def aggregated(events: Sequence[Event], query: WindowsQuery) -> pa.Table:
    """The windows of ``aggregate``; of the readings of one device, sensor and time the first counts."""
    first: dict[tuple[str, str, int], float] = {}
    for event in events:
        first.setdefault((event.sensor, event.device, event.time_us), float(event.value))
    tables = [windows_schema(query.features).empty_table()]
    for sensor in sorted({key[0] for key in first}):
        rows = sorted((device, time, value) for (s, device, time), value in first.items() if s == sensor)
        devices, times, values = zip(*rows, strict=True)
        columns = [times, devices, [sensor] * len(rows), values]
        readings = pa.table(dict(zip(READINGS.names, columns, strict=True))).cast(READINGS)
        window_us = query.window // timedelta(microseconds=1)
        tables.append(aggregate_readings(readings, window_us, query.features, query.min_readings))
    return pa.concat_tables(tables)


def assert_same_windows(made: pa.Table, wanted: pa.Table, scale: float) -> None:
    """The same windows and counts; features differ by less than 1e-9 of the largest value sent.

    Sums of floats depend on their order, and a standard deviation or a difference of means may be
    the small difference of large numbers: their error is measured against the values, not themselves;
    that of a sum against each of its terms.
    """
    keys = ["sensor", "device", "window_start"]
    made, wanted = (table.sort_by([(key, "ascending") for key in keys]) for table in (made, wanted))
    for name in ("window_start", "window_end"):
        assert made[name].cast(pa.int64()).to_pylist() == wanted[name].cast(pa.int64()).to_pylist()
    for name in ("device", "sensor", "count"):
        assert made[name].to_pylist() == wanted[name].to_pylist()
    for name in wanted.column_names[5:]:
        terms = wanted["count"].to_numpy() if name == "sum" else 1
        error = np.abs(made[name].to_numpy() - wanted[name].to_numpy())
        assert np.all(error <= 1e-9 * scale * terms), name
