"""Identify a process so that a later one can check whether it is alive; end process groups."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_GRACE_SECONDS = 10.0


def host() -> str:
    """Return the machine's name and process namespace: two containers of one name are two hosts."""
    try:
        namespace = str((_PROC / "self/ns/pid").readlink())
    except OSError:
        namespace = "pid"
    return f"{socket.gethostname()} {namespace}"


def process() -> str:
    """Identify the current process: its id and start time, since ids are reused."""
    return f"{os.getpid()} {_started(os.getpid())}"


def is_alive(text: str) -> bool:
    """Whether the process identified by :func:`process` on this host is still running."""
    pid, _, started = text.partition(" ")
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # Another user's, but alive.
    return _started(int(pid)) == started


def start_ticks(pid: int | str) -> int:
    """Return a process's start in clock ticks since boot; raises OSError where there is no /proc."""
    # The program name is in parentheses and may contain spaces and parentheses.
    return int((_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[19])


def _started(pid: int) -> str:
    """Return the boot id and clock tick of a process's start; empty where there is no /proc."""
    try:
        return f"{(_PROC / 'sys/kernel/random/boot_id').read_text().strip()} {start_ticks(pid)}"
    except OSError:
        return ""


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End the process group that a process leads: SIGTERM, then SIGKILL after a grace period."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
