"""Fit devices in a child process, and the parent's handle of it.

Tables pass through pipes in Arrow's IPC format: nothing is pickled, and nothing of the parent is
imported or inherited. The process ends with its input, so it never outlives its parent.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO

import pyarrow as pa

from batch_scoring.core.processes import KILLED
from batch_scoring.detection.detectors.base import FitParameters
from batch_scoring.detection.fit import Fitted, fit_windows

_JOB = b"fit"
# Each core has its own process; more threads would compete for it.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class FitProcess:
    """A running process that fits one piece of work at a time."""

    def __init__(self) -> None:
        package = str(Path(__file__).parents[2])
        paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            env=os.environ | _ONE_THREAD | {"PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def fit(self, windows: pa.Table, features: Sequence[str], parameters: FitParameters) -> Fitted:
        """Fit windows in the process, as :func:`fit_windows` does.

        Raises
        ------
        ChildProcessError
            When the process has died, such as when out of memory.
        """
        source, target = self._process.stdout, self._process.stdin
        assert source is not None
        assert target is not None
        job = json.dumps([list(features), asdict(parameters)]).encode()
        try:
            _send(target, windows.replace_schema_metadata({_JOB: job}))
            models, status = _receive(source), _receive(source)
        except BrokenPipeError:
            models = status = None
        if models is None or status is None:
            raise ChildProcessError(f"the process that fitted it died ({_cause(self._process.wait())})")
        return Fitted(models, status, windows.num_rows)

    def end(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.communicate()


def main() -> None:
    """Fit incoming tables until the input ends."""
    # Ctrl-C on a terminal reaches every process of the run; the parent ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    target = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # Printed text must not get between the tables.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    while (windows := _receive(sys.stdin.buffer)) is not None:
        features, parameters = json.loads(windows.schema.metadata[_JOB])
        fitted = fit_windows(windows, features, FitParameters(**parameters))
        _send(target, fitted.models)
        _send(target, fitted.status)


def _send(target: IO[bytes], table: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    data = sink.getvalue()
    target.write(len(data).to_bytes(8, "little"))
    target.write(data)
    target.flush()


def _receive(source: IO[bytes]) -> pa.Table | None:
    """Receive the next table; None once the other side has ended."""
    size = int.from_bytes(source.read(8), "little")
    data = source.read(size)
    if size == 0 or len(data) < size:
        return None
    return pa.ipc.open_stream(pa.py_buffer(data)).read_all()


def _cause(exit_code: int) -> str:
    if exit_code == -KILLED:
        return "killed: the machine may have been out of memory"
    return f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"


if __name__ == "__main__":
    # Default SIGPIPE: the process ends silently once its parent is gone.
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    main()
