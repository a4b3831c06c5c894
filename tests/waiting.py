"""Wait for what a process, thread or server of a test does, instead of for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Of a machine that does twenty other things; what is waited for comes in moments.
PATIENCE_SECONDS = 180.0


def wait_for(condition: Callable[[], T], explain: Callable[[], object] = str) -> T:
    """The condition's first true value; what ``explain`` returns is shown when none comes."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < until, explain() or "it has not come"
        time.sleep(0.02)
    return found
