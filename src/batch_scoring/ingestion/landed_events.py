"""Names of the files of received events, which state partition and sequence numbers."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from batch_scoring.core.ids import file_name, from_path_segment, path_segment

_DIGITS = 19  # of the largest sequence number, so that names sort as numbers do


def hub_folder(namespace: str, hub: str) -> str:
    """Return the folder of a hub's events, relative to the raw readings.

    Examples
    --------
    >>> hub_folder("fleet.servicebus.windows.net", "telemetry")
    'fleet.servicebus.windows.net/telemetry'
    """
    # Azure has no two of them that differ in case alone.
    return "/".join(file_name(name, is_cased=False) for name in (namespace, hub))


def landed_name(folder: str, events: pa.Table) -> str:
    """Name the file for events of one partition: day of arrival, partition, first and last number.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> from batch_scoring.tables.schemas import EVENTS
    >>> came = datetime(2026, 1, 5, tzinfo=UTC)
    >>> events = [["3"] * 2, [7, 8], ["a", "b"], [came] * 2, [b""] * 2, [None] * 2]
    >>> landed_name("ns/hub", pa.table(events, schema=EVENTS))
    'ns/hub/2026-01-05/3_0000000000000000007_0000000000000000008.events'
    """
    first, last = (events.slice(at, 1).to_pylist()[0] for at in (0, events.num_rows - 1))
    numbers = "_".join(f"{event['sequence_number']:0{_DIGITS}d}" for event in (first, last))
    return f"{folder}/{first['enqueued_time']:%Y-%m-%d}/{path_segment(first['partition'])}_{numbers}.events"


def landed_positions(names: Iterable[str], folder: str) -> dict[str, int]:
    """Return the last stored sequence number of each partition, from the files' names.

    Examples
    --------
    >>> landed_positions(["ns/hub/2026-01-05/3_07_08.events.parquet"], "ns/hub")
    {'3': 8}
    """
    positions: dict[str, int] = {}
    for name in names:
        if not name.startswith(f"{folder}/"):
            continue
        partition, _, numbers = name.rpartition("/")[2].removesuffix(".events.parquet").partition("_")
        last = numbers.rpartition("_")[2]
        if last.isdigit():
            partition = from_path_segment(partition)
            positions[partition] = max(int(last), positions.get(partition, -1))
    return positions
