"""Cores, and processes: identify one so that a later one can check whether it is alive; end groups of them.

Linux tells of processes in ``/proc``; elsewhere psutil asks the system.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from batch_scoring.core.errors import InputError

_PROC = Path("/proc")
_GRACE_SECONDS = 10.0
# Signals by their numbers: Windows has no name for the first, and reports jobs that ran elsewhere.
KILLED, TERMINATED = 9, 15


def usable_cores() -> int:
    """Return the number of cores that this process may use; all of them where the system limits none."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def host() -> str:
    """Return the machine's name and process namespace: two containers of one name are two hosts."""
    try:
        namespace = str((_PROC / "self/ns/pid").readlink())
    except OSError:
        namespace = "pid"
    return f"{socket.gethostname()} {namespace}"


def process() -> str:
    """Identify the current process: its id and start time, since ids are reused."""
    return f"{os.getpid()} {_started(os.getpid()) or ''}"


def is_alive(text: str) -> bool:
    """Whether the process identified by :func:`process` on this host is still running."""
    pid, _, started = text.partition(" ")
    return pid.isdigit() and _started(int(pid)) == started


def arguments_of(pid: int) -> list[str]:
    """Return the command line of a process; empty where there is no such process."""
    if _PROC.is_dir():
        try:
            return os.fsdecode((_PROC / str(pid) / "cmdline").read_bytes()).split("\0")
        except OSError:
            return []
    import psutil

    try:
        return list(psutil.Process(pid).cmdline())
    except psutil.Error:
        return []


def start_ticks(pid: int | str) -> int:
    """Return a process's start in clock ticks since boot; raises OSError where there is no /proc."""
    # The program name is in parentheses and may contain spaces and parentheses.
    return int((_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[19])


def _started(pid: int) -> str | None:
    """Return when a process started, as text that no other process with its id has; None without one."""
    if _PROC.is_dir():
        try:
            return f"{(_PROC / 'sys/kernel/random/boot_id').read_text().strip()} {start_ticks(pid)}"
        except OSError:
            return None
    import psutil

    try:
        return str(psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def require_process_groups(setting: str) -> None:
    """Raise where processes have no groups, which can be ended as a whole: under Windows.

    Raises
    ------
    InputError
        Naming the setting, and what to do instead.
    """
    if not hasattr(os, "killpg"):
        raise InputError(
            f"{setting} needs Linux or macOS; under Windows, use `kedro run`, or an engine of Azure"
        )


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End the process group that a process leads: SIGTERM, then SIGKILL after a grace period."""
    if sys.platform == "win32":
        raise NotImplementedError
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
