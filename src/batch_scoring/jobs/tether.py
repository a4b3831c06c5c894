"""Kill the job when its parent dies: ``python -m batch_scoring.jobs.tether -m MODULE ARGUMENTS``.

Standard input is the tether: a pipe that nobody writes to. When its other end is gone, in whatever way, the
whole process group is killed; so a job does not go on while its engine reruns it elsewhere. Must be started
as the leader of a process group.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading


def main(arguments: list[str]) -> None:
    """Run the module named after ``-m``, with the arguments behind it."""
    threading.Thread(target=_end_with_the_tether, daemon=True).start()
    sys.argv = arguments[1:]
    runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)


def _end_with_the_tether() -> None:
    while os.read(0, 1):
        pass
    if sys.platform == "win32":
        raise NotImplementedError
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
