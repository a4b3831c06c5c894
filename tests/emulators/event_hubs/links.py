"""What the stand-in keeps of connections and links, and what a link asks for when it is opened."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from proton import Condition, Described, Endpoint

from tests.emulators.event_hubs.hub import Hub
from tests.emulators.event_hubs.partition_log import PartitionLog
from tests.emulators.event_hubs.tokens import Grant

_SELECTOR = re.compile(r"amqp\.annotation\.x-opt-(offset|sequence-number|enqueued-time) (>=?) '(.*)'")


@dataclass(eq=False)
class Reader:
    """A receiving client: where it is in a partition, on behalf of a consumer group."""

    link: Any
    hub: Hub
    partition: PartitionLog
    group: str
    epoch: int | None
    position: int
    since_redelivery: int = 0
    quiet_until: float = 0.0

    @property
    def key(self) -> tuple[str, str, str]:
        return self.hub.name, self.group, self.partition.name


@dataclass(frozen=True)
class Writer:
    """A sending client: to a hub, or to one partition of it."""

    hub: Hub
    partition: PartitionLog | None


@dataclass(frozen=True)
class Node:
    """One end of a request and response pair: ``$cbs`` or ``$management``."""

    name: str


class ConnectionState:
    """What the broker keeps of a connection: tokens, the links that answer, and events carried."""

    def __init__(self) -> None:
        self.grants: dict[str, Grant] = {}
        self.answers: dict[str, Any] = {}
        self.events = 0
        self.is_doomed = False

    def may_open(self, hub: str, now: float) -> bool:
        return any(grant.covers(hub, now) for grant in self.grants.values())


def epoch_of(link: Any) -> int | None:
    properties = link.remote_properties or {}
    epochs = (int(value) for name, value in properties.items() if str(name) == "com.microsoft:epoch")
    return next(epochs, None)


def position_of(link: Any, partition: PartitionLog) -> int:
    """Where the selector filter of a receiver lets it begin; the oldest event without a filter."""
    filters = link.remote_source.filter
    filters.rewind()
    selector = None
    while filters.next():
        for value in (filters.get_object() or {}).values():
            selector = str(value.value if isinstance(value, Described) else value)
    if selector is None:
        return partition.first_sequence
    found = _SELECTOR.fullmatch(selector)
    assert found, f"a selector this stand-in does not know: {selector}"
    field, operator, value = found.groups()
    return partition.find(field, value, inclusive=operator == ">=")


def refuse(link: Any, condition: str, text: str) -> None:
    """Close a link with an error, as the service does: opened first when it was not yet."""
    if not link.state & Endpoint.LOCAL_ACTIVE:
        link.open()
    link.condition = Condition(condition, text)
    link.close()
