"""Python as it is where there is no POSIX: with this folder on PYTHONPATH, for a process and its children.

Only what the project's own modules see is hidden where the standard library needs it to run here at all.
"""

import builtins
import multiprocessing
import os
import signal
import sys
from pathlib import Path

_MODULES = {"fcntl", "grp", "posix", "pwd", "resource", "termios"}
_OS = (
    "fork forkpty geteuid getegid getgid getloadavg getpgrp getuid killpg mkfifo pread pwrite "
    "sched_getaffinity setpgid setsid statvfs"
)
_SIGNALS = "SIGALRM SIGHUP SIGPIPE SIGQUIT SIGUSR1 SIGUSR2"
_import = builtins.__import__


def _import_elsewhere(name, globals=None, *rest, **more):
    if name in _MODULES and (globals or {}).get("__name__", "").startswith("batch_scoring"):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    found = _import(name, globals, *rest, **more)
    processes = sys.modules.get("batch_scoring.core.processes")
    if hasattr(processes, "_PROC"):
        processes._PROC = Path("/no/proc")
    return found


builtins.__import__ = _import_elsewhere
for _name in _OS.split():
    delattr(os, _name)
for _name in _SIGNALS.split():
    delattr(signal, _name)
multiprocessing.set_start_method("spawn")
