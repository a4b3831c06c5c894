"""Processes: identify one so that a later process can see whether it still lives, and end a group."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")


def host() -> str:
    """The machine's name and process namespace: two containers of one name are two hosts."""
    try:
        namespace = str((_PROC / "self/ns/pid").readlink())
    except OSError:
        namespace = "pid"
    return f"{socket.gethostname()} {namespace}"


def process() -> str:
    """The current process: its id, and when it started, for ids are used again."""
    return f"{os.getpid()} {_started(os.getpid())}"


def is_alive(text: str) -> bool:
    """Whether the process that :func:`process` described, on this host, still runs."""
    pid, _, started = text.partition(" ")
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # Somebody else's, but there.
    return _started(int(pid)) == started


def _started(pid: int) -> str:
    """The boot and the clock tick at which a process started; empty where there is no /proc."""
    try:
        # The name of the program is in parentheses and may hold spaces and parentheses itself.
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return f"{(_PROC / 'sys/kernel/random/boot_id').read_text().strip()} {fields[19]}"
    except OSError:
        return ""


def end_group(process: subprocess.Popen[bytes], grace_seconds: float = 10.0) -> None:
    """End the process group that a process leads: by SIGTERM, and by SIGKILL after a time of grace."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace_seconds)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
