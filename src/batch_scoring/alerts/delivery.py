"""Deliver pending messages to their sinks; record acknowledged ones, keep the others pending."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import suppress
from functools import partial

import numpy as np
import pyarrow as pa

from batch_scoring.alerts.ledger import Ledger
from batch_scoring.alerts.messages import OUR_WORDS, Form, message_of
from batch_scoring.alerts.sinks.base import BATCH, RefusedError, Sink, UnreachableError
from batch_scoring.core.deadline import call_within
from batch_scoring.tables.arrays import Int
from batch_scoring.tables.arrow_arrays import to_arrow

logger = logging.getLogger(__name__)

Clock = Callable[[], float]

_TOO_LATE = "alerts.time_limit was reached"
# To close a connection, seconds; a receiver that hangs may keep it open.
_CLOSING_SECONDS = 5.0


def deliver(
    ledger: Ledger,
    sinks: Sequence[Sink],
    time_limit_seconds: float,
    form: Form = OUR_WORDS,
    clock: Clock = time.monotonic,
) -> Generator[tuple[Ledger, Int]]:
    """Send pending messages; yield the ledger after each acknowledged batch, and the batch's rows in it.

    Parameters
    ----------
    ledger : Ledger
    sinks : sequence of Sink
        Sent to one after the other. A failing sink costs the others only its time.
    time_limit_seconds : float
        For each sink. A message that is still being sent then is given up, and sent again by the next run.
    form : Form, optional
    clock : callable
        Seconds that only grow.

    Yields
    ------
    ledger : Ledger
    rows : array of int64
        To be stored at once: what was sent and is not stored as such is sent again, at most ``BATCH``
        messages a sink. What a sink did not acknowledge stays pending and is a warning.
    """
    for sink in sinks:
        deadline = clock() + time_limit_seconds
        waiting = ledger.pending_messages(sink.name)
        why = None
        try:
            for begin in range(0, len(waiting), BATCH):
                batch = waiting[begin : begin + BATCH]
                acknowledged, why = _send(
                    [ledger.table.take(to_arrow(rows)) for rows in batch], sink, form, deadline, clock
                )
                if acknowledged:
                    rows = np.concatenate([batch[place] for place in acknowledged])
                    ledger = ledger.delivered(rows)
                    yield ledger, rows
                if why is not None:
                    break
        finally:
            with suppress(Exception):
                call_within(_CLOSING_SECONDS, sink.close)
        n_left = len(ledger.pending_messages(sink.name))
        if n_left:
            logger.warning(
                "%d of %d notifications did not reach sink %r, and will be sent again by the next run: %s",
                n_left,
                len(waiting),
                sink.name,
                why or "they were refused",
            )


def _send(
    messages: Iterable[pa.Table], sink: Sink, form: Form, deadline: float, clock: Clock
) -> tuple[list[int], str | None]:
    """Send messages; return which were acknowledged, and why the rest waits for the next run."""
    acknowledged: list[int] = []
    for place, rows in enumerate(messages):
        left, message = deadline - clock(), message_of(rows, form)
        if left <= 0:
            return acknowledged, _TOO_LATE
        try:
            call_within(left, partial(sink.send, message))
        except RefusedError as error:
            logger.warning("sink %r refused %s: %s", sink.name, message["event_id"], error)
        except UnreachableError as error:
            return acknowledged, str(error)
        except TimeoutError:
            return acknowledged, _TOO_LATE
        except Exception as error:
            # No failure of a sink, even an unforeseen one, may fail the run. No text: it
            # may hold a secret.
            logger.debug("sink %r", sink.name, exc_info=True)
            return acknowledged, f"{type(error).__name__}, which was not expected"
        else:
            acknowledged.append(place)
    return acknowledged, None
