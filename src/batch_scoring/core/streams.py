"""Standard streams, which may be closed when a run starts."""

from __future__ import annotations

import os
import sys


def open_closed_streams() -> None:
    """Open what is closed of input, output and errors at nothing.

    Else the next file that is opened takes their number, and a library's warning is written into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def is_terminal() -> bool:
    """Whether a person looks on."""
    return sys.stderr is not None and sys.stderr.isatty()
