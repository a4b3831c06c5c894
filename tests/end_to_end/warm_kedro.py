"""``kedro`` commands, and programs, as forks of a process that has imported what they need in seconds.

Each is a process of its own with its own environment, output and exit code. What a start-up imports, what an
interpreter frees at its end, kills and locks are for :meth:`tests.end_to_end.workspaces.Workspace.start`, a
process from the beginning.
"""

from __future__ import annotations

import atexit
import gc
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from tempfile import TemporaryDirectory
from threading import Lock, Timer
from typing import NoReturn

PROJECT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 900  # of a busy machine
_PIPELINES = (
    *("simulate", "ingest", "aggregate", "train", "score", "incidents", "monitor", "track"),
    *("evaluate", "report", "maintain", "receive", "publish"),
)
_IMPORTS = (
    *("kedro.framework.cli.cli", "kedro.framework.session", "kedro.runner", "kedro.io", "kedro.config"),
    *("kedro.validation", "kedro_viz.integrations.kedro.hooks", "pathspec", "deltalake"),
    *("kedro_datasets.json", "kedro_datasets.text", "kedro_datasets.pandas", "kedro_datasets.plotly"),
    *("numpy", "pyarrow.parquet", "pyarrow.compute", "pyarrow.dataset", "pandas", "scipy.stats"),
    *("sklearn.svm", "sklearn.preprocessing", "sklearn.pipeline", "mlflow.pyfunc", "sqlalchemy", "alembic"),
    *("mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store"),
    *("matplotlib.figure", "plotly.graph_objects", "batch_scoring.registry.tracking"),
    *("azure.storage.blob", "azure.eventhub", "duckdb", "sklearn.ensemble"),
    *(f"batch_scoring.cli.{name}" for name in ("jobs", "models")),
    *(f"batch_scoring.datasets.{name}" for name in ("fleet_models", "row_tables")),
    *(f"batch_scoring.pipelines.{name}" for name in _PIPELINES),
)


class WarmKedro:
    """The process that forks: started by the first command, for all workers of pytest, ends with the last.

    Parameters
    ----------
    environment : mapping of str to str, optional
        More variables of that process, such as ``LD_PRELOAD``; commands do not inherit them.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._lock, self._environment = Lock(), dict(environment or {})
        run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
        digest = hashlib.sha256(json.dumps([run, self._environment]).encode()).hexdigest()
        # In Linux's abstract namespace: a name that one process has, and that goes with it.
        self._address = f"\0batch_scoring.warm_kedro.{digest}"
        self._connect()

    def run(
        self,
        arguments: Sequence[str],
        more: Mapping[str, str | None] | None = None,
        kill_after: float | None = None,
        folder: Path = PROJECT,
    ) -> tuple[int, str]:
        """Run ``kedro`` with these arguments in today's environment and more; its exit code and output.

        A variable that is None in ``more`` is left out. After ``kill_after`` seconds the command is killed,
        if it has not ended. It stands in ``folder``, of a project with the same sources.
        """
        return self._run({"arguments": list(arguments), "folder": str(folder)}, more, kill_after)

    def run_program(self, program: str) -> tuple[int, str]:
        """Run a program in Python in today's environment; its exit code and output."""
        return self._run({"arguments": [], "program": program})

    def _run(
        self,
        what: Mapping[str, object],
        more: Mapping[str, str | None] | None = None,
        kill_after: float | None = None,
    ) -> tuple[int, str]:
        with self._lock, TemporaryDirectory() as folder:
            output = Path(folder, "output.txt")
            environment = os.environ | {"DO_NOT_TRACK": "1"} | dict(more or {})
            request = {
                **what,
                "environment": {name: value for name, value in environment.items() if value is not None},
                "output": str(output),
                "kill_after": kill_after,
            }
            code = self._ask(request)
            if code is None:  # it ended with the last other worker, just before this one had connected
                self._connect()
                code = self._ask(request)
            assert code is not None, "the process that forks kedro has ended"
            return code, output.read_text(encoding="utf-8")

    def _ask(self, request: dict) -> int | None:
        try:
            print(json.dumps(request), file=self._stream, flush=True)
            return int(self._stream.readline() or "x")
        except (OSError, ValueError):
            return None

    def _connect(self) -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            try:
                listener.bind(self._address)
            except OSError:
                pass  # another worker has started it
            else:
                listener.listen()
                self._start(listener)
        client = socket.socket(socket.AF_UNIX)
        client.connect(self._address)
        self._stream = client.makefile("rw", encoding="utf-8")

    def _start(self, listener: socket.socket) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.end_to_end.warm_kedro", str(listener.fileno())],
            cwd=PROJECT,
            env=os.environ
            | {"MLFLOW_CONFIGURE_LOGGING": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
            | self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
        )


@cache
def warm_kedro() -> WarmKedro:
    """The one of this process."""
    return WarmKedro()


def _serve(listener: socket.socket) -> None:
    """Answer the workers of pytest, each on a connection of its own, until all of them have ended."""
    listener.set_inheritable(False)
    for name in _IMPORTS:
        import_module(name)
    # MLflow reads the names of all installed packages before it logs a first model: a quarter of a small run.
    import_module("mlflow.utils.requirements_utils").warn_dependency_requirement_mismatches(["mlflow"])
    gc.freeze()  # else each fork copies what its collector looks at, which is all
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that answer
    with DefaultSelector() as waiting:
        waiting.register(listener, EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fileobj is listener:
                    worker = listener.accept()[0]
                    waiting.register(worker, EVENT_READ, worker.makefile("rw", encoding="utf-8"))
                elif line := key.data.readline():
                    if os.fork() == 0:
                        listener.close()  # whoever connects is to find the server or nobody
                        _answer(json.loads(line), key.data)
                else:
                    waiting.unregister(key.fileobj)
                    if len(waiting.get_map()) == 1:
                        return


def _answer(request: dict, stream) -> None:
    """In a process of its own, run a command in another and reply its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child == 0:
        _run_and_exit(request)
    with _killer(child, request["kill_after"]):
        _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), file=stream, flush=True)
    os._exit(0)


def _run_and_exit(request: dict) -> NoReturn:
    """Run a command or program, and end as Python does but for freeing its objects.

    That would copy most of the memory that the fork shares: a third of the time of a command.
    """
    code: object = 1
    try:
        _become(request)
        if "program" in request:
            exec(compile(request["program"], "<program>", "exec"), {"__name__": "__main__"})
        else:
            from kedro.framework.cli.cli import main

            main()
        code = 0
    except SystemExit as ending:
        code = ending.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


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
    os.chdir(request.get("folder", PROJECT))
    sys.argv = ["kedro", *request["arguments"]]


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
