"""What ``$management`` tells of a hub and of its partitions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proton import UNDESCRIBED, Array, Data, int32, timestamp

from tests.emulators.event_hubs.hub import Hub
from tests.emulators.event_hubs.partition_log import PartitionLog

Answer = tuple[int, str, dict[str, Any] | None]


def describe(hubs: Mapping[str, Hub], properties: Mapping[str, Any]) -> Answer:
    """Status, description and body of the answer to a READ request."""
    hub = hubs.get(str(properties.get("name")).lower())
    if hub is None:
        return 404, f"The messaging entity '{properties.get('name')}' could not be found.", None
    if properties.get("type") == "com.microsoft:eventhub":
        return 200, "OK", _hub(hub)
    partition = hub.partition(str(properties.get("partition")))
    if partition is None:
        return 400, "com.microsoft:argument-out-of-range: The specified partition is invalid.", None
    return 200, "OK", _partition(hub, partition)


def _hub(hub: Hub) -> dict[str, Any]:
    names = [partition.name for partition in hub.partitions]
    return {
        "name": hub.name,
        "type": "com.microsoft:eventhub",
        "created_at": timestamp(hub.created_ms),
        "partition_count": int32(len(names)),
        "partition_ids": Array(UNDESCRIBED, Data.STRING, *names),
        "georeplication_factor": int32(1),
    }


def _partition(hub: Hub, partition: PartitionLog) -> dict[str, Any]:
    last = partition.last
    return {
        "name": hub.name,
        "type": "com.microsoft:partition",
        "partition": partition.name,
        "begin_sequence_number": partition.first_sequence,
        "last_enqueued_sequence_number": partition.last_sequence,
        "last_enqueued_offset": str(last.offset) if last else "-1",
        "last_enqueued_time_utc": timestamp(last.enqueued_ms if last else 0),
        "is_partition_empty": last is None,
    }
