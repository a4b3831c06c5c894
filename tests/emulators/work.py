"""A job that really runs, as processes of this machine, and how it ended.

Its container image is stood in for by this Python environment and the project's folder.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

PROJECT = Path(__file__).parents[2]
OUT, ERR = "stdout.txt", "stderr.txt"


class End(StrEnum):
    """How a job ended."""

    EXITED = "exited"
    NODE_LOST = "node lost"
    IMAGE = "image pull failure"
    TOO_LONG = "took too long"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Outcome:
    """The end of one start of a job; ``exit_code`` is None where no process came to an end by itself."""

    key: Hashable
    node: str
    end: End
    exit_code: int | None
    folder: Path | None


@dataclass(frozen=True)
class Work:
    """A job to be started once. The callbacks come from other threads, without any lock held.

    ``on_start(node, folder)`` comes before the process; ``folder`` will hold stdout.txt and stderr.txt.
    ``on_end(outcome)`` comes exactly once for each work, also for one that was never started.
    """

    key: Hashable
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    on_start: Callable[[str, Path], None] = lambda node, folder: None
    on_end: Callable[[Outcome], None] = lambda outcome: None
    limit_seconds: float | None = None
    image: str = ""
    options: Sequence[str] = ()  # of the container; none: those of the runner


class KilledWith(subprocess.Popen):
    """The process of a job that goes on elsewhere, as a container does, when the process is killed."""

    def after_kill(self) -> None:
        """End the job itself."""
        raise NotImplementedError


Runner = Callable[[Work, Path], subprocess.Popen]


def run_process(work: Work, folder: Path) -> subprocess.Popen:
    """Start a job as a process group of its own, with the environment it asks for and no more."""
    first, *others = work.command
    environment = {
        name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME", "LANG") if name in os.environ
    }
    with (folder / OUT).open("wb") as out, (folder / ERR).open("wb") as err:
        return subprocess.Popen(
            [sys.executable if first in ("python", "python3") else first, *others],
            cwd=PROJECT,
            env=environment | dict(work.environment),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )


def kill(process: subprocess.Popen) -> None:
    """Kill all of a job, wherever it is."""
    has_ended = process.returncode is not None
    _kill_group(process)
    if isinstance(process, KilledWith) and not has_ended:
        process.after_kill()


def _kill_group(process: subprocess.Popen) -> None:
    """Kill all of a job, as the end of a container does: also what has a process group of its own by now."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    while others := _of_session(process.pid):
        for pid in others:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.001)


def _of_session(session: int) -> list[int]:
    """The processes of a session that are not dead yet."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, _, its_session, *_ = place.read_text().rpartition(")")[2].split()
            if int(its_session) == session and state not in "ZX":
                found.append(int(place.parent.name))
    return found
