"""Deliver pending events to their sinks; record acknowledged ones, keep the others pending."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing

import pyarrow as pa

from batch_scoring.alerts.ledger import Ledger, messages
from batch_scoring.alerts.sinks.base import BATCH, RefusedError, Sink, UnreachableError
from batch_scoring.tables.arrays import Int
from batch_scoring.tables.arrow_arrays import to_arrow

logger = logging.getLogger(__name__)

Clock = Callable[[], float]


def deliver(
    ledger: Ledger, sinks: Sequence[Sink], time_limit_seconds: float, clock: Clock = time.monotonic
) -> Generator[tuple[Ledger, Int]]:
    """Send pending events; yield the ledger after each acknowledged batch, and the batch's rows in it.

    Parameters
    ----------
    ledger : Ledger
    sinks : sequence of Sink
        Sent to one after the other. A failing sink costs the others only its time.
    time_limit_seconds : float
        For each sink, checked between two events.
    clock : callable
        Seconds that only grow.

    Yields
    ------
    ledger : Ledger
    rows : array of int64
        To be stored at once: what was sent and is not stored as such is sent again, at most ``BATCH``
        events a sink. What a sink did not acknowledge stays pending and is a warning.
    """
    for sink in sinks:
        deadline = clock() + time_limit_seconds
        waiting = ledger.pending(sink.name)
        why = None
        with closing(sink):
            for begin in range(0, waiting.size, BATCH):
                rows = waiting[begin : begin + BATCH]
                acknowledged, why = _send(ledger.table.take(to_arrow(rows)), sink, deadline, clock)
                if acknowledged:
                    ledger = ledger.delivered(rows[acknowledged])
                    yield ledger, rows[acknowledged]
                if why is not None:
                    break
        n_left = ledger.pending(sink.name).size
        if n_left:
            logger.warning(
                "%d of %d notifications did not reach sink %r, and will be sent again by the next run: %s",
                n_left,
                waiting.size,
                sink.name,
                why or "they were refused",
            )


def _send(rows: pa.Table, sink: Sink, deadline: float, clock: Clock) -> tuple[list[int], str | None]:
    """Send rows; return which were acknowledged, and why the rest waits for the next run."""
    acknowledged: list[int] = []
    for place, message in enumerate(messages(rows)):
        if clock() >= deadline:
            return acknowledged, "incidents.notify.time_limit was reached"
        try:
            sink.send(message)
        except RefusedError as error:
            logger.warning("sink %r refused %s: %s", sink.name, message["event_id"], error)
        except UnreachableError as error:
            return acknowledged, str(error)
        except Exception as error:
            # No failure of a sink, even an unforeseen one, may fail the run. No text: it
            # may hold a secret.
            logger.debug("sink %r", sink.name, exc_info=True)
            return acknowledged, f"{type(error).__name__}, which was not expected"
        else:
            acknowledged.append(place)
    return acknowledged, None
