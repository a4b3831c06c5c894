"""Notify sinks in one run: find what has changed, send it, and note in the ledger what was sent."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from functools import partial

import pyarrow as pa

from batch_scoring.alerts.changes import Wanted, with_changes
from batch_scoring.alerts.delivery import deliver
from batch_scoring.alerts.ledger import Ledger
from batch_scoring.alerts.lookup import look_up
from batch_scoring.alerts.sinks.base import Sink
from batch_scoring.core.moments import microseconds
from batch_scoring.storage.row_table import Change, RowTable, Update
from batch_scoring.tables.arrays import Int
from batch_scoring.tables.schemas import NOTIFICATIONS

logger = logging.getLogger(__name__)

# Names under which the ledger records what it is of. ``_TURN`` counts the commits that send or were sent.
_SINCE, _INCIDENTS, _TURN = "since", "incidents", "turn"


class NotifyRun:
    """A run that notifies sinks.

    Where another run has committed to the ledger first, this one finds out anew what is due. Where another
    one is sending, it leaves the rest to that one: so at most ``BATCH`` events reach a sink twice.

    Parameters
    ----------
    incidents : RowTable
        Schema DEVICE_INCIDENTS.
    sinks : sequence of Sink
    earliest : datetime
        UTC. New incidents that ended before are not notified.
    wanted : Wanted
    """

    def __init__(
        self, incidents: RowTable, sinks: Sequence[Sink], earliest: datetime, wanted: Wanted
    ) -> None:
        self._incidents = incidents
        self._sinks = sinks
        self._earliest = earliest
        self._wanted = wanted
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
        sending = deliver(self._ledger, self._sinks, time_limit_seconds)
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
        ledger = Ledger.read(stored, stored.progress(_SINCE))
        since, names = max(self._earliest, ledger.since), [sink.name for sink in self._sinks]
        current = look_up(self._incidents)
        self._ledger = with_changes(ledger, current, since, self._wanted, names)
        self._turn, self._seen = stored.progress(_TURN) or 0, stored.version
        progress = {_SINCE: microseconds(since), _INCIDENTS: self._incidents.position}
        if self._ledger is ledger and stored.schema in (NOTIFICATIONS, pa.schema([])):
            return Change(NOTIFICATIONS, (), progress)
        self._turn += 1
        return self._ledger.change(stored, progress | {_TURN: self._turn})

    def _note(self, ledger: Ledger, rows: Int, stored: RowTable) -> Change:
        """Note some rows as delivered; they are only appended."""
        turn, self._seen = stored.progress(_TURN) or 0, stored.version
        self._is_overtaken = turn != self._turn
        # Who is overtaken takes no turn: else both would leave the rest to the other.
        progress = {_TURN: turn if self._is_overtaken else turn + 1}
        return ledger.note(rows, stored, self._known, progress)
