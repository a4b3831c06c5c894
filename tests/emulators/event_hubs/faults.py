"""What goes wrong on purpose: read from a JSON file whenever that changes, so a test can switch it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Faults:
    """Faults to inject; counts are used up.

    Attributes
    ----------
    drop_after_events : int
        Break every connection off when it has carried so many events; 0 never.
    busy_sends, busy_receivers : int
        So many transfers, or attempts to open a receiver, are answered with ``server-busy``.
    slow_partitions : dict of str to float
        Seconds between two deliveries (of up to 100 events) of a partition.
    redeliver_every : int
        After so many events a receiver gets the last three once more; 0 never.
    store_twice_every : int
        Every so-manieth event is stored twice, as when a producer repeats what was accepted; 0 never.
    token_seconds : float or None
        No token is honoured for longer than this.
    clock_ahead_seconds : float
        How far the service's clock is ahead.
    """

    drop_after_events: int = 0
    busy_sends: int = 0
    busy_receivers: int = 0
    slow_partitions: dict[str, float] = field(default_factory=dict)
    redeliver_every: int = 0
    store_twice_every: int = 0
    token_seconds: float | None = None
    clock_ahead_seconds: float = 0.0


class FaultFile:
    """Faults as they stand in a file; none where there is no file."""

    def __init__(self, path: Path | None) -> None:
        self._path, self._changed = path, 0
        self._last = Faults()

    @property
    def now(self) -> Faults:
        """The faults, read anew when the file has changed since: a fault holds from the next request on."""
        changed = self._path.stat().st_mtime_ns if self._path and self._path.exists() else 0
        if changed != self._changed and self._path:
            self._changed = changed
            self._last = Faults(**json.loads(self._path.read_text(encoding="utf-8"))) if changed else Faults()
        return self._last
