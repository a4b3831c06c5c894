"""The peak memory of a program in a process of its own."""

from __future__ import annotations

import subprocess
import sys

# Threads have buffers of their own, and libraries start as many as there are cores.
_BEGINNING = "import os; os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])\n"
# Not ru_maxrss, which begins with the memory of the process that started this one.
_END = """
import re
print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
"""


def peak_mib(program: str, *arguments: object) -> tuple[float, list[str]]:
    """The peak in MiB, and the lines that the program printed; on two cores, whatever the machine has."""
    done = subprocess.run(
        [sys.executable, "-c", _BEGINNING + program + _END, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    *lines, peak = done.stdout.splitlines()
    return int(peak) / 1024, lines
