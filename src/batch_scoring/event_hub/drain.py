"""Drain an event hub: all partitions at once, from their checkpoints to their ends at the start."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from batch_scoring.core.errors import InputError
from batch_scoring.event_hub.address import Address
from batch_scoring.event_hub.batches import PartitionBuffer
from batch_scoring.event_hub.errors import diagnose, sentence
from batch_scoring.event_hub.sync import HandOn

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Bytes buffered before writing; also the maximum size of a partition's file before compression.
BUFFER_BYTES = 64 << 20
PREFETCH = 3000
SECONDS_BETWEEN_LINES = 10.0
# Pauses between attempts without progress; long enough for a broker to restart.
PAUSES = (0.5, 1, 2, 4, 8, 15, 15)
STALLED_SECONDS = 15.0
GIVE_UP_SECONDS = 120.0
# All drains share this epoch: of two, the later one gets the partition and the earlier one an error.
OWNER_LEVEL = 0


@dataclass(frozen=True)
class Limits:
    """Limits that stop a drain early; None: no limit."""

    events: int | None = None
    time: timedelta | None = None


class Drain:
    """One drain of a hub.

    Parameters
    ----------
    address : Address
    after : mapping of partition to int
        Sequence number of the last event already read.
    limits : Limits
    hand_on : async function
        Receives a table of events of one partition; returns once there is room for more.
    client_options : mapping
        For the client of azure-eventhub.
    """

    def __init__(
        self,
        address: Address,
        after: Mapping[str, int],
        limits: Limits,
        hand_on: HandOn,
        client_options: Mapping[str, Any],
    ) -> None:
        self._address, self._after, self._limits, self._hand_on = address, after, limits, hand_on
        self._client_options = client_options
        self._buffers: dict[str, PartitionBuffer] = {}
        self._flushing = asyncio.Lock()
        self._began = time.monotonic()
        self._taken = 0

    async def run(self) -> None:
        """Read all events and pass them on, in order within each partition.

        Raises
        ------
        InputError
            When the hub cannot be read, or another consumer takes a partition over. Events
            received until then have been passed on.
        """
        async with AsyncExitStack() as stack:
            client = await self._open(stack)
            await self._look(client)
            pending = [buffer for buffer in self._buffers.values() if not buffer.is_done]
            tasks = [asyncio.create_task(self._read_partition(client, buffer)) for buffer in pending]
            progress = asyncio.create_task(self._log_progress())
            try:
                await _all_or_first_error(tasks, self._limits.time)
            finally:
                progress.cancel()
                await self._flush_all()
        self._log_end()

    async def _open(self, stack: AsyncExitStack) -> Any:
        import certifi
        from azure.eventhub.aio import EventHubConsumerClient

        # Retries are paced here, where progress is known; the SDK retries once, immediately.
        options = {"retry_total": 1, "retry_backoff_factor": 0.2, **self._client_options}
        if not options.keys() & {"ssl_context", "connection_verify"}:
            # Otherwise each connection loads all CA certificates, which takes 40 ms.
            options["ssl_context"] = ssl.create_default_context(cafile=certifi.where())
        address = self._address
        if address.connection_string:
            client = EventHubConsumerClient.from_connection_string(
                address.connection_string, address.group, eventhub_name=address.hub, **options
            )
        else:
            from azure.identity.aio import DefaultAzureCredential

            credential = options.pop("credential", None)
            if credential is None:
                credential = await stack.enter_async_context(DefaultAzureCredential())
            namespace = options.pop("fully_qualified_namespace", address.namespace)
            client = EventHubConsumerClient(namespace, address.hub, address.group, credential, **options)
        return await stack.enter_async_context(client)

    async def _look(self, client: Any) -> None:
        """Look up where each partition begins and ends now."""
        partitions = await self._patiently(client.get_partition_ids, "listing partitions")
        about = await asyncio.gather(*(self._properties(client, partition) for partition in partitions))
        for partition, found in zip(partitions, about, strict=True):
            first, end = found["beginning_sequence_number"], found["last_enqueued_sequence_number"]
            start = self._after.get(partition, -1)
            if start > end:
                raise InputError(
                    f"{self._address}, partition {partition!r}: was read up to sequence number {start:,}, "
                    f"but ends at {end:,}: the hub was recreated; to read it from its beginning, delete its "
                    "checkpoints and move its landed files away"
                )
            buffer = PartitionBuffer(partition, start, end)
            if partition not in self._after and not found["is_empty"]:
                # Events deleted before the first drain do not count as lost.
                buffer.last = first - 1
            elif found["is_empty"] and end > start:
                buffer.expired, buffer.last = end - start, end
            self._buffers[partition] = buffer

    async def _properties(self, client: Any, partition: str) -> dict[str, Any]:
        async def ask() -> dict[str, Any]:
            return dict(await client.get_partition_properties(partition))

        return await self._patiently(ask, f"partition {partition!r}")

    async def _patiently(self, ask: Callable[[], Awaitable[T]], doing: str) -> T:
        for pause in (*PAUSES, None):
            try:
                return await ask()
            except Exception as error:
                if pause is None or not diagnose(error).may_pass(self._address):
                    raise sentence(error, self._address, doing) from error
                logger.info("%s, %s: %s; trying again", self._address, doing, diagnose(error).value)
                await asyncio.sleep(pause)
        raise AssertionError

    async def _read_partition(self, client: Any, buffer: PartitionBuffer) -> None:
        """Receive until the partition's end, reconnecting after failures."""
        doing, attempt = f"partition {buffer.partition!r}", 0
        while not buffer.is_done:
            before = buffer.last
            error = await self._receive(client, buffer)
            if error is None:
                continue
            attempt = 0 if buffer.last > before else attempt + 1
            if not diagnose(error).may_pass(self._address) or attempt > len(PAUSES):
                raise sentence(error, self._address, doing) from error
            logger.info("%s, %s: %s; connecting again", self._address, doing, diagnose(error).value)
            await asyncio.sleep(PAUSES[max(0, attempt - 1)])

    async def _receive(self, client: Any, buffer: PartitionBuffer) -> BaseException | None:
        """Receive over one connection; returns the error that ended it, None at the partition's end."""
        ended: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        heard = time.monotonic()

        async def on_batch(_: Any, events: list[Any]) -> None:
            nonlocal heard
            if ended.done():
                return
            try:
                if events:
                    heard = time.monotonic()
                    await self._take(buffer, events)
                elif time.monotonic() - heard > STALLED_SECONDS:
                    await self._wake(client, buffer, time.monotonic() - heard)
            except InputError as error:
                ended.set_result(error)
            if buffer.is_done and not ended.done():
                ended.set_result(None)

        async def on_error(_: Any, error: Exception) -> None:
            if not ended.done():
                ended.set_result(error)

        receiving = asyncio.create_task(
            client.receive_batch(
                on_batch,
                partition_id=buffer.partition,
                starting_position=buffer.last if buffer.last >= 0 else "-1",
                owner_level=OWNER_LEVEL,
                prefetch=PREFETCH,
                max_batch_size=PREFETCH,
                max_wait_time=1,
                on_error=on_error,
            )
        )
        try:
            await asyncio.wait({ended, receiving}, return_when=asyncio.FIRST_COMPLETED)
            error = ended.result() if ended.done() else receiving.exception()
            if error is None:
                # Written while this connection closes, and while others still receive.
                await self._flush(buffer)
        finally:
            receiving.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await receiving
        if isinstance(error, InputError):
            raise error
        return error

    async def _wake(self, client: Any, buffer: PartitionBuffer, silent: float) -> None:
        """Check why a partition delivers nothing: its events may be deleted, or it may be broken."""
        found = await self._properties(client, buffer.partition)
        if found["is_empty"] or found["beginning_sequence_number"] > buffer.end:
            buffer.expired += buffer.end - buffer.last
            buffer.last = buffer.end
        elif silent > GIVE_UP_SECONDS:
            raise InputError(
                f"{self._address}, partition {buffer.partition!r}: delivered nothing for {silent:.0f} s, "
                f"with {buffer.end - buffer.last:,} events left; run again to continue"
            )

    async def _take(self, buffer: PartitionBuffer, events: list[Any]) -> None:
        limit = self._limits.events
        self._taken += buffer.take(events, limit - self._taken if limit is not None else len(events))
        if limit is not None and self._taken >= limit:
            for one in self._buffers.values():
                one.end = min(one.end, one.last)
        while sum(one.size for one in self._buffers.values()) >= BUFFER_BYTES:
            await self._flush(max(self._buffers.values(), key=lambda one: one.size))

    async def _flush(self, buffer: PartitionBuffer) -> None:
        async with self._flushing:
            table = buffer.empty()
            if table is not None:
                await self._hand_on(table)

    async def _flush_all(self) -> None:
        for buffer in self._buffers.values():
            await self._flush(buffer)

    async def _log_progress(self) -> None:
        total = self._taken + sum(buffer.end - buffer.last for buffer in self._buffers.values())
        while True:
            await asyncio.sleep(SECONDS_BETWEEN_LINES)
            rate = self._taken / (time.monotonic() - self._began)
            taken = f"{self._taken:,} of {total:,} events"
            logger.info("%s: %s, %.0f/s", self._address, taken, rate)

    def _log_end(self) -> None:
        expired = {one.partition: one.expired for one in self._buffers.values() if one.expired}
        for partition, count in sorted(expired.items()):
            logger.warning(
                "%s, partition %r: %s events were deleted by the hub's retention before they were read; "
                "run more often, or increase the retention",
                *(self._address, partition, f"{count:,}"),
            )
        seconds = time.monotonic() - self._began
        logger.info(
            "%s: %s events of %d partitions received in %.1f s",
            *(self._address, f"{self._taken:,}", len(self._buffers), seconds),
        )


async def _all_or_first_error(tasks: list[asyncio.Task[None]], limit: timedelta | None) -> None:
    """Wait until all tasks end, one fails, or the time limit passes; none is running afterwards."""
    if not tasks:
        return
    timeout = limit.total_seconds() if limit is not None else None
    try:
        done, _ = await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
