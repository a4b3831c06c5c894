"""The AMQP side of the stand-in: who may open which link, events in, events out, and faults on the way."""

from __future__ import annotations

import itertools
import re
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from proton import Condition, Delivery, Endpoint, Link, Message, int32, symbol
from proton._events import Handler
from proton.handlers import Handshaker

from tests.emulators.event_hubs import RECEIVER
from tests.emulators.event_hubs.faults import FaultFile
from tests.emulators.event_hubs.hub import Hub, split_batch
from tests.emulators.event_hubs.links import (
    ConnectionState,
    Node,
    Reader,
    Writer,
    epoch_of,
    position_of,
    refuse,
)
from tests.emulators.event_hubs.management import describe
from tests.emulators.event_hubs.partition_log import PartitionLog
from tests.emulators.event_hubs.sockets import break_off
from tests.emulators.event_hubs.tokens import Grant, check_identity, check_signature

SENDER_CREDIT = 1000
MAX_MESSAGE_BYTES = 1 << 20
RECEIVERS_PER_GROUP = 5
SLOW_PARTITION_EVENTS = 100
TICK_SECONDS = 0.1
_ADDRESS = re.compile(r"([^/]+)(?:/ConsumerGroups/([^/]+))?(?:/Partitions/([^/]+))?/?", re.IGNORECASE)
_BUSY = "com.microsoft:server-busy"
_BUSY_TEXT = "The request was terminated because the namespace is being throttled. Error code : 50002."


class Broker(Handshaker):
    """Proton's events, answered as Event Hubs answers them.

    Parameters
    ----------
    address : str
        ``host:port``; port 0 is not possible here, Proton does not tell which one it got.
    hubs : list of Hub
    keys : mapping of key name to shared access key
    bearer_tokens : set of str
        Entra tokens to accept; none are looked into.
    faults : FaultFile
    takes_identities : bool
        Whether every token that is for event hubs is accepted until it expires.
    """

    def __init__(
        self,
        address: str,
        hubs: list[Hub],
        keys: Mapping[str, str],
        bearer_tokens: set[str],
        faults: FaultFile,
        takes_identities: bool = False,
    ) -> None:
        super().__init__()
        self._address, self._hubs, self._faults = address, {hub.name.lower(): hub for hub in hubs}, faults
        self._keys, self._bearer_tokens = keys, bearer_tokens
        self._takes_identities = takes_identities
        self._readers: dict[tuple[str, str, str], list[Reader]] = defaultdict(list)
        self._connections: dict[Any, ConnectionState] = {}
        self._tags = map(str, itertools.count())

    # ---- the clock -----------------------------------------------------------

    def on_reactor_init(self, event: Any) -> None:
        event.container.listen(self._address)
        event.container.schedule(TICK_SECONDS, _Tick(self))

    def tick(self) -> None:
        """Do what time brings: tokens expire, slow partitions go on, retention forgets."""
        for connection, state in list(self._connections.items()):
            if state.is_doomed:
                state.is_doomed, state.events = False, 0
                break_off(connection)
        for readers in list(self._readers.values()):
            for reader in list(readers):
                if not self._state(reader.link.connection).may_open(reader.hub.name, self._now()):
                    self._forget(reader.link)
                    text = "ExpiredToken: The token is expired. The link is closed."
                    refuse(reader.link, "amqp:unauthorized-access", text)
                else:
                    self._pump(reader)
        for hub in self._hubs.values():
            for partition in hub.partitions:
                partition.expire()

    def _now(self) -> float:
        return time.time() + self._faults.now.clock_ahead_seconds

    def _state(self, connection: Any) -> ConnectionState:
        return self._connections.setdefault(connection, ConnectionState())

    # ---- links ---------------------------------------------------------------

    def on_link_remote_open(self, event: Any) -> None:
        link = event.link
        if link.state & Endpoint.LOCAL_ACTIVE:
            return
        address = (link.remote_source.address if link.is_sender else link.remote_target.address) or ""
        path = address.partition("://")[2].partition("/")[2] if "://" in address else address
        link.source.copy(link.remote_source)
        link.target.copy(link.remote_target)
        link.snd_settle_mode, link.rcv_settle_mode = link.remote_snd_settle_mode, link.remote_rcv_settle_mode
        link.max_message_size = MAX_MESSAGE_BYTES
        if path.endswith(("$cbs", "$management")):
            self._open_node(link, Node(path))
        else:
            self._open_entity(link, path, address)

    def _open_node(self, link: Any, node: Node) -> None:
        link.role = node
        link.open()
        if link.is_receiver:
            link.flow(SENDER_CREDIT)
        else:
            self._state(link.connection).answers[node.name] = link

    def _open_entity(self, link: Any, path: str, address: str) -> None:
        found = _ADDRESS.fullmatch(path)
        name, group, partition_name = found.groups() if found else (path, None, None)
        if not self._state(link.connection).may_open(name, self._now()):
            claim = "Send" if link.is_receiver else "Listen"
            text = f"Unauthorized access. '{claim}' claim(s) are required. Resource: '{address}'."
            return refuse(link, "amqp:unauthorized-access", text)
        hub = self._hubs.get(name.lower())
        if hub is None or (link.is_sender and (group or "").lower() not in hub.groups):
            return refuse(link, "amqp:not-found", f"The messaging entity '{address}' could not be found.")
        partition = hub.partition(partition_name)
        if partition is None and (partition_name is not None or link.is_sender):
            text = (
                f"The specified partition is invalid. It should be between 0 and {len(hub.partitions) - 1}."
            )
            return refuse(link, "com.microsoft:argument-out-of-range", text)
        if link.is_receiver:
            link.role = Writer(hub, partition)
            link.open()
            link.flow(SENDER_CREDIT)
            return None
        assert partition is not None
        return self._open_reader(link, hub, partition, group.lower())

    def _open_reader(self, link: Any, hub: Hub, partition: PartitionLog, group: str) -> None:
        faults = self._faults.now
        if faults.busy_receivers > 0:
            faults.busy_receivers -= 1
            return refuse(link, _BUSY, _BUSY_TEXT)
        epoch = epoch_of(link)
        reader = Reader(link, hub, partition, group, epoch, position_of(link, partition))
        others = self._readers[reader.key]
        highest = max((other.epoch for other in others if other.epoch is not None), default=None)
        if highest is not None and (epoch is None or epoch < highest):
            text = (
                f"At least one receiver for the endpoint is created with epoch of '{highest}', "
                f"and so receiver with epoch '{epoch}' is not allowed."
            )
            return refuse(link, "amqp:link:stolen", text)
        if epoch is None and len(others) >= RECEIVERS_PER_GROUP:
            text = "Exceeded the maximum number of allowed receivers per partition, which is 5."
            return refuse(link, "amqp:resource-limit-exceeded", text)
        if epoch is not None:
            for other in list(others):
                others.remove(other)
                text = (
                    f"New receiver with higher epoch of '{epoch}' is created hence current receiver "
                    f"with epoch '{other.epoch}' is getting disconnected."
                )
                refuse(other.link, "amqp:link:stolen", text)
        others.append(reader)
        link.role = reader
        link.open()
        print(RECEIVER, partition.name, flush=True)
        return None

    def on_link_remote_close(self, event: Any) -> None:
        self._forget(event.link)
        super().on_link_remote_close(event)

    on_link_remote_detach = on_link_remote_close

    def on_transport_closed(self, event: Any) -> None:
        self._connections.pop(event.connection, None)
        for readers in self._readers.values():
            readers[:] = [reader for reader in readers if reader.link.connection != event.connection]

    def _forget(self, link: Any) -> None:
        role = getattr(link, "role", None)
        if isinstance(role, Reader) and role in self._readers[role.key]:
            self._readers[role.key].remove(role)

    # ---- events in -----------------------------------------------------------

    def on_delivery(self, event: Any) -> None:
        delivery, link = event.delivery, event.link
        if not link.is_receiver:
            if delivery.updated and delivery.settled:
                delivery.settle()
            return
        if delivery.partial or not delivery.readable:
            return
        transfer = link.recv(delivery.pending) or b""
        message_format = getattr(delivery, "message_format", None)
        link.advance()
        role = getattr(link, "role", None)
        if isinstance(role, Node):
            self._answer(role, link, transfer)
            delivery.update(Delivery.ACCEPTED)
        elif isinstance(role, Writer):
            self._take(role, link, delivery, transfer, message_format)
        else:
            delivery.update(Delivery.RELEASED)
        delivery.settle()
        if link.credit < SENDER_CREDIT // 2:
            link.flow(SENDER_CREDIT - link.credit)

    def _take(
        self, writer: Writer, link: Any, delivery: Any, transfer: bytes, message_format: int | None
    ) -> None:
        faults = self._faults.now
        if faults.busy_sends > 0:
            faults.busy_sends -= 1
            # The SDK reads all three fields of the error; without an info Proton would send two.
            delivery.local.condition = Condition(_BUSY, _BUSY_TEXT, {symbol("tracking-id"): "none"})
            return delivery.update(Delivery.REJECTED)
        key, messages = split_batch(transfer, message_format)
        partition = writer.partition or writer.hub.route(key)
        for message in messages:
            partition.append(message, key)
            if faults.store_twice_every and partition.last_sequence % faults.store_twice_every == 0:
                partition.append(message, key)
        partition.flush()
        delivery.update(Delivery.ACCEPTED)
        for (hub, _, name), readers in self._readers.items():
            if hub == writer.hub.name and name == partition.name:
                for reader in readers:
                    self._pump(reader)
        return self._carried(link.connection, len(messages))

    # ---- events out ----------------------------------------------------------

    def on_link_flow(self, event: Any) -> None:
        role = getattr(event.link, "role", None)
        if isinstance(role, Reader):
            self._pump(role)

    def _pump(self, reader: Reader) -> None:
        """Send a reader what its credit allows."""
        link, faults, now = reader.link, self._faults.now, time.monotonic()
        state = self._state(link.connection)
        if not link.state & Endpoint.LOCAL_ACTIVE or now < reader.quiet_until or state.is_doomed:
            return
        pause = faults.slow_partitions.get(reader.partition.name, 0.0)
        allowed = min(link.credit, SLOW_PARTITION_EVENTS) if pause else link.credit
        if faults.drop_after_events:
            allowed = min(allowed, faults.drop_after_events - state.events)
        is_settled = link.remote_snd_settle_mode != Link.SND_UNSETTLED
        sent = 0
        while sent < allowed and (stored := reader.partition.at(reader.position)) is not None:
            delivery = link.delivery(next(self._tags))
            link.stream(stored.message)
            link.advance()
            if is_settled:
                delivery.settle()
            reader.position = stored.sequence + 1
            reader.since_redelivery += 1
            sent += 1
            if faults.redeliver_every and reader.since_redelivery >= faults.redeliver_every:
                reader.position, reader.since_redelivery = max(0, reader.position - 3), -3
        if sent:
            reader.quiet_until = now + pause
            self._carried(link.connection, sent)

    def _carried(self, connection: Any, events: int) -> None:
        state, limit = self._state(connection), self._faults.now.drop_after_events
        state.events += events
        # It is broken off with the next tick, when these have gone out.
        state.is_doomed = bool(limit) and state.events >= limit

    # ---- requests ------------------------------------------------------------

    def _answer(self, node: Node, link: Any, request: bytes) -> None:
        message = Message()
        message.decode(request)
        properties = message.properties or {}
        if node.name.endswith("$cbs"):
            status, text, body = self._put_token(link, properties, message.body)
        elif not self._state(link.connection).may_open(str(properties.get("name")), self._now()):
            status, text, body = (
                401,
                "Unauthorized access. 'Manage,EventHubRead' claim(s) are required.",
                None,
            )
        else:
            status, text, body = describe(self._hubs, properties)
        answer = Message(
            body=body,
            correlation_id=message.id,
            properties={"status-code": int32(status), "status-description": text},
        )
        sender = self._state(link.connection).answers.get(node.name)
        if sender is not None:
            delivery = sender.delivery(next(self._tags))
            sender.stream(answer.encode())
            sender.advance()
            delivery.settle()

    def _put_token(self, link: Any, properties: Mapping[str, Any], token: Any) -> tuple[int, str, None]:
        faults, audience = self._faults.now, str(properties.get("name"))
        if properties.get("type") == "servicebus.windows.net:sastoken":
            grant = check_signature(str(token), self._keys, self._now())
        elif str(token) in self._bearer_tokens:
            grant = Grant(audience, float("inf"))
        elif self._takes_identities:
            grant = check_identity(str(token), audience)
        else:
            grant = "InvalidToken: The token was not issued by a trusted authority."
        if isinstance(grant, str):
            return 401, grant, None
        if faults.token_seconds is not None:
            grant = Grant(grant.resource, min(grant.expires, self._now() + faults.token_seconds))
        self._state(link.connection).grants[audience] = grant
        return 202, "Accepted", None


class _Tick(Handler):
    """Calls the broker now and then."""

    def __init__(self, broker: Broker) -> None:
        super().__init__()
        self._broker = broker

    def on_timer_task(self, event: Any) -> None:
        self._broker.tick()
        event.container.schedule(TICK_SECONDS, self)
