"""Iterate over an async producer of tables, with a bounded buffer."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress

import pyarrow as pa

HandOn = Callable[[pa.Table], Awaitable[None]]

ROOM = 2
_POLL_SECONDS = 0.02


def iterate(produce: Callable[[HandOn], Awaitable[None]]) -> Iterator[pa.Table]:
    """Run an async function in a thread of its own and yield the tables it passes on.

    A thread, because connections need heartbeats while a table is being written, and because a
    notebook already runs an event loop. The producer waits while no table is requested; closing
    the iterator cancels it.

    Parameters
    ----------
    produce : async function
        Called with a function that passes a table on.
    """
    tables: queue.Queue[pa.Table | None] = queue.Queue(ROOM)
    closed = threading.Event()
    failed: list[BaseException] = []

    async def hand_on(table: pa.Table) -> None:
        # Only this thread puts tables, so a queue that is not full stays so.
        while tables.full() and not closed.is_set():
            await asyncio.sleep(_POLL_SECONDS)
        if not closed.is_set():
            tables.put_nowait(table)

    async def until_closed() -> None:
        producing = asyncio.ensure_future(produce(hand_on))
        while not producing.done():
            await asyncio.wait({producing}, timeout=0.2)
            if closed.is_set():
                producing.cancel()
        await producing

    def work() -> None:
        try:
            asyncio.run(until_closed())
        except BaseException as error:
            failed.append(error)
        ended = False
        while not (ended or closed.is_set()):
            with suppress(queue.Full):
                tables.put(None, timeout=0.2)
                ended = True

    thread = threading.Thread(target=work, name="event hub", daemon=True)
    thread.start()
    try:
        while (table := tables.get()) is not None:
            yield table
    finally:
        closed.set()
        thread.join()
    if failed:
        raise failed[0]
