"""A command run as a process of its own: how long it took, the memory it held, and the bytes it wrote.

The command is started by this file run as a small program in between: Linux counts in a process's peak
the memory of the one that started it, and a benchmark that has just made a fleet holds a lot.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

GIB = 2**30
# What makes NumPy's and scikit-learn's libraries stay on one thread.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Finished:
    """A process that has ended well.

    Attributes
    ----------
    seconds : float
        From its start to its end.
    cpu_seconds : float
        Of the processor, in it and in the processes it waited for.
    peak_gib : float
        Memory it held at the most (``ru_maxrss``); with its children, where these were counted.
    output : str
        What it wrote to its standard output.
    began : float
        When it was started, seconds since the epoch.
    written_bytes : int
        What it and the processes it waited for handed to ``write`` and its relatives (``wchar`` of
        ``/proc/PID/io``): to files that were deleted again too, on any file system, cached or not.
    """

    seconds: float
    cpu_seconds: float
    peak_gib: float
    output: str
    began: float
    written_bytes: int


def user_environment() -> dict[str, str]:
    """Return the environment of a command as people run it.

    Where Python is told to write no byte code, a project that is not installed is compiled at every start:
    0.4 s of the processor for the modules of an hour. So the first run writes it.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"DO_NOT_TRACK": "1"}


def run(
    command: Sequence[str],
    folder: Path,
    *,
    cores: Sequence[int] | None = None,
    one_thread: bool = False,
    with_children: bool = False,
    variables: Mapping[str, str] | None = None,
) -> Finished:
    """Run a command to its end; stop the whole program, with what it printed, when it fails.

    Parameters
    ----------
    command : sequence of str
    folder : Path
        Where it runs.
    cores : sequence of int, optional
        The cores it may use; default: all that this program may.
    one_thread : bool
        Whether numerical libraries are told to use one thread.
    with_children : bool
        Whether the memory of processes it starts counts too. It is sampled five times a second,
        and memory that processes share counts once for each.
    variables : mapping of str to str, optional
        Of its environment, besides those of this program.
    """
    environment = user_environment() | (ONE_THREAD if one_thread else {}) | (variables or {})
    pinned = ["taskset", "-c", ",".join(map(str, cores))] if cores else []
    between = [sys.executable, "-S", __file__, json.dumps(with_children), *pinned, *command]
    told = subprocess.run(between, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    result = json.loads(told.stdout)
    if result["code"] != 0:
        sys.exit(f"{' '.join(command)} ended with {result['code']}:\n{result['output']}\n{result['errors']}")
    return Finished(**{name: result[name] for name in Finished.__dataclass_fields__})


def watch(command: Sequence[str], with_children: bool) -> dict[str, object]:
    """Run a command from this small process and tell all about it."""
    written, started, began = _written_bytes(), time.time(), time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    stderr = process.stderr
    ended, sampled, errors = threading.Event(), [0], [""]
    threads = [threading.Thread(target=lambda: errors.append(stderr.read()))]
    if with_children:
        threads.append(threading.Thread(target=_sample, args=(process.pid, sampled, ended)))
    try:
        for thread in threads:
            thread.start()
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        # Its session does not hear the Ctrl-C that this one hears.
        os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        ended.set()
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    for thread in threads:
        thread.join()
    peak = max(usage.ru_maxrss * 1024, *sampled, 0) / GIB
    told = {"seconds": seconds, "peak_gib": peak, "code": process.returncode, "began": started}
    # Linux adds what a process has written to the count of the one that waits for its end: to this one's.
    told |= {"written_bytes": _written_bytes() - written, "cpu_seconds": usage.ru_utime + usage.ru_stime}
    return told | {"output": output, "errors": errors[-1]}


def _written_bytes() -> int:
    """The bytes that this process, and all that it has waited for, have written so far."""
    counts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counts["wchar"])


def _sample(session: int, peak: list[int], ended: threading.Event) -> None:
    while not ended.wait(0.2):
        held = sum(_resident_bytes(process, session) for process in Path("/proc").glob("[0-9]*"))
        peak[0] = max(peak[0], held)


def _resident_bytes(process: Path, session: int) -> int:
    """What a process of the session holds in memory; 0 where it is of another one, or gone."""
    try:
        # The name, in brackets, may hold spaces; after it, the session is the 4th field, the pages the 22nd.
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[21]) * os.sysconf("SC_PAGE_SIZE") if int(fields[3]) == session else 0


if __name__ == "__main__":
    print(json.dumps(watch(sys.argv[2:], json.loads(sys.argv[1]))))
