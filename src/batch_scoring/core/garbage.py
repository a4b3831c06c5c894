"""Python's garbage collector rests while a run starts, when all that is made is made to stay."""

from __future__ import annotations

import gc


class Collector:
    """The process's garbage collector, and whether it rests.

    A start makes some 100,000 objects that stay. Going through them over and over, and a last time
    at the end, takes a fifth of a job with little to do.
    """

    def __init__(self) -> None:
        self._rests = False

    def rest(self) -> None:
        """Look for no garbage until ``wake``."""
        self._rests = True
        gc.disable()

    def wake(self) -> None:
        """Look for garbage again, but never among what is there now; nothing, unless the collector rests."""
        if self._rests:
            self._rests = False
            gc.freeze()
            gc.enable()


collector = Collector()
