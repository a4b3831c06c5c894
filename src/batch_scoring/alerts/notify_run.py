"""Notify sinks in one run: find what has changed, send it, and note in the ledger what was sent."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.alerts.changes import NO_PACE, Current, Pace, Wanted, with_changes
from batch_scoring.alerts.delivery import deliver
from batch_scoring.alerts.ledger import NOTIFIED_SINCE, Ledger
from batch_scoring.alerts.lookup import look_up
from batch_scoring.alerts.messages import OUR_WORDS, Form
from batch_scoring.alerts.sinks.base import Sink
from batch_scoring.core.moments import microseconds
from batch_scoring.storage.row_table import Change, RowTable, Update
from batch_scoring.tables.arrays import Int
from batch_scoring.tables.arrow_arrays import to_numpy
from batch_scoring.tables.schemas import NOTIFICATIONS

logger = logging.getLogger(__name__)

# Names under which the ledger records what it is of. ``_TURN`` counts the commits that send or were sent.
_INCIDENTS, _TURN, _SINK = "incidents", "turn", "sink"


@dataclass(frozen=True)
class Policy:
    """What is notified, how often, and in which form.

    Attributes
    ----------
    earliest : datetime
        UTC. New incidents that ended before are not notified.
    wanted : Wanted
    pace : Pace
    max_messages : int
        Of a sink in a run, but for sinks that take a message for each event.
    form : Form
    """

    earliest: datetime
    wanted: Wanted = field(default_factory=Wanted)
    pace: Pace = NO_PACE
    max_messages: int = 20
    form: Form = OUR_WORDS


class NotifyRun:
    """A run that notifies sinks.

    Where another run has committed to the ledger first, this one finds out anew what is due. Where another
    one is sending, it leaves the rest to that one: so at most ``BATCH`` messages reach a sink twice.

    Parameters
    ----------
    incidents : RowTable
        Schema DEVICE_INCIDENTS.
    sinks : sequence of Sink
    at : datetime
        UTC, the scheduled time of the run.
    policy : Policy
    people : callable, optional
        Adds to incidents what people have made of them.
    """

    def __init__(
        self,
        incidents: RowTable,
        sinks: Sequence[Sink],
        at: datetime,
        policy: Policy,
        people: Callable[[pa.Table], Current] = Current.untouched,
    ) -> None:
        self._incidents = incidents
        self._sinks = sinks
        self._at = at
        self._policy = policy
        self._people = people
        self._ledger = Ledger()
        self._turn = 0
        # Versions of the ledger: what this run knows of it, and what its last update was made of.
        self._known = self._seen = -1
        self._is_overtaken = False

    def updates(self, time_limit_seconds: float) -> Iterator[Update]:
        """Yield the updates of the ledger: before sending, and after each delivery.

        Each is to be committed before the next is asked for.
        """
        yield self._begin
        sending = deliver(self._ledger, self._sinks, time_limit_seconds, self._policy.form)
        with closing(sending):
            for ledger, rows in sending:
                self._known = self._seen
                yield partial(self._note, ledger, rows)
                if self._is_overtaken:
                    logger.info("incidents: another run is sending notifications; the rest is left to it")
                    return
                self._turn += 1

    def _begin(self, stored: RowTable) -> Change:
        """Add the events that are due; old ones are dropped with them."""
        self._incidents = self._incidents.not_before(stored.progress(_INCIDENTS))
        ledger, policy = Ledger.read(stored, stored.progress(NOTIFIED_SINCE)), self._policy
        since = max(policy.earliest, ledger.since)
        current = self._people(look_up(self._incidents))
        sinks = {one.name: None if one.takes_all else policy.max_messages for one in self._sinks}
        self._ledger = with_changes(ledger, current, self._at, since, policy.wanted, sinks, policy.pace)
        self._turn, self._seen = stored.progress(_TURN) or 0, stored.version
        progress = {NOTIFIED_SINCE: microseconds(since), _INCIDENTS: self._incidents.position}
        progress |= self._greet(stored, ledger, current)
        if self._ledger is ledger and stored.schema in (NOTIFICATIONS, pa.schema([])):
            return Change(NOTIFICATIONS, (), progress)
        self._turn += 1
        return self._ledger.change(stored, progress | {_TURN: self._turn})

    def _greet(self, stored: RowTable, ledger: Ledger, current: Current) -> dict[str, int]:
        """Say of each new sink what it is not sent; return the names under which the ledger knows it."""
        known = {one.name: f"{_SINK}/{one.name}" for one in self._sinks}
        new = [name for name, noted in known.items() if stored.progress(noted) is None]
        notified = ledger.last_notified()["incident_id"]
        was_notified = to_numpy(pc.is_in(current.rows["incident_id"], value_set=notified))
        n_before = np.count_nonzero(was_notified & current.is_open)
        for name in new:
            if n_before:
                logger.info(
                    "alerts: sink %r is new: %d open incidents were notified before it was there, and are "
                    "sent to it when something changes",
                    name,
                    n_before,
                )
        return {known[name]: 1 for name in new}

    def _note(self, ledger: Ledger, rows: Int, stored: RowTable) -> Change:
        """Note some rows as delivered; they are only appended."""
        turn, self._seen = stored.progress(_TURN) or 0, stored.version
        self._is_overtaken = turn != self._turn
        # Who is overtaken takes no turn: else both would leave the rest to the other.
        progress = {_TURN: turn if self._is_overtaken else turn + 1}
        return ledger.note(rows, stored, self._known, progress)
