"""What happened when, as a table that a person reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Timeline:
    """Lines with seconds since the beginning; each is printed as it comes."""

    say: Callable[[str], None] = print
    began: float = field(default_factory=time.monotonic)
    lines: list[tuple[float, float, str]] = field(default_factory=list)

    @contextmanager
    def step(self, what: str) -> Iterator[list[str]]:
        """Time a block; what is appended to its value is told behind."""
        first, notes = time.monotonic(), list[str]()
        yield notes
        took = time.monotonic() - first
        told = "; ".join([what, *notes])
        self.lines.append((first - self.began, took, told))
        self.say(f"{first - self.began:7.1f} s {took:6.1f} s  {told}")
