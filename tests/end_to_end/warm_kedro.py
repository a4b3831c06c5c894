"""``kedro`` commands as forks of a process that has imported what they need, which takes them seconds.

Each is a process of its own with its own environment, output and exit code. What a start-up imports, kills
and locks are for :meth:`tests.end_to_end.workspaces.Workspace.start`, a process from the beginning.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock, Timer

PROJECT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 300
_IMPORTS = (
    *("kedro.framework.cli.cli", "kedro.framework.session", "kedro.runner", "kedro.io", "kedro.config"),
    *("kedro_datasets.json", "kedro_datasets.text", "kedro_datasets.pandas", "kedro_datasets.plotly"),
    *("numpy", "pyarrow.parquet", "pyarrow.compute", "pyarrow.dataset", "pandas", "scipy.stats"),
    *("sklearn.svm", "sklearn.preprocessing", "sklearn.pipeline", "mlflow.pyfunc", "sqlalchemy", "alembic"),
    *("matplotlib.figure", "plotly.graph_objects"),
    *(f"batch_scoring.pipelines.{name}" for name in ("train", "score", "ingest", "evaluate", "report")),
)


class WarmKedro:
    """The process that forks; started by the first command.

    Parameters
    ----------
    environment : mapping of str to str, optional
        More variables of that process, such as ``LD_PRELOAD``; commands do not inherit them.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._lock = Lock()
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.end_to_end.warm_kedro"],
            cwd=PROJECT,
            env=os.environ
            | {"MLFLOW_CONFIGURE_LOGGING": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
            | dict(environment or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self,
        arguments: Sequence[str],
        more: Mapping[str, str] | None = None,
        kill_after: float | None = None,
    ) -> tuple[int, str]:
        """Run ``kedro`` with these arguments in today's environment and more; its exit code and output.

        After ``kill_after`` seconds the command is killed, if it has not ended.
        """
        with self._lock, TemporaryDirectory() as folder:
            output = Path(folder, "output.txt")
            environment = os.environ | {"DO_NOT_TRACK": "1"} | dict(more or {})
            request = {
                "arguments": list(arguments),
                "environment": environment,
                "output": str(output),
                "kill_after": kill_after,
            }
            print(json.dumps(request), file=self._server.stdin, flush=True)
            code = int(self._server.stdout.readline())
            return code, output.read_text(encoding="utf-8")


@cache
def warm_kedro() -> WarmKedro:
    """The one of this process."""
    return WarmKedro()


def _serve() -> None:
    for name in _IMPORTS:
        import_module(name)
    from kedro.framework.cli.cli import main

    # A command is given the real standard streams, and no line that is meant for the server.
    requests, replies = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    for line in requests:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(request)
            main()
            return
        with _killer(child, request["kill_after"]):
            _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=replies, flush=True)


@contextmanager
def _killer(process: int, after: float | None) -> Iterator[None]:
    """Kill a process after some seconds, unless the block has ended before."""
    if after is None:
        yield
        return
    timer = Timer(after, os.kill, (process, signal.SIGKILL))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _become(request: dict) -> None:
    os.setsid()
    signal.alarm(TIMEOUT_SECONDS)
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT)
    for descriptor, stream in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, stream)
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = ["kedro", *request["arguments"]]


if __name__ == "__main__":
    _serve()
