"""Other people's schedulers, each in an environment of its own, where ``make test-long`` puts it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.end_to_end.workspaces import Workspace

PROJECT = Path(__file__).parents[2]
# RECIPES names another folder.
HOME = Path(os.environ.get("RECIPES") or PROJECT / ".recipes")


def program(environment: str, name: str) -> str:
    """The path of a program; skips the test where it is not installed."""
    path = HOME / environment / "bin" / name
    if not path.is_file():
        pytest.skip(f"there is no {name} in {HOME / environment}; `make test-long` installs it")
    return str(path)


def run(command: list[str], environment: dict[str, str], succeeds: bool = True) -> str:
    """Run a command that has to succeed, or to fail, within a quarter of an hour; what it printed."""
    done = subprocess.run(
        command,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        check=False,
    )
    assert (done.returncode == 0) == succeeds, done.stdout[-10_000:]
    return done.stdout


@contextmanager
def kill_first(command: str) -> Iterator[list[int]]:
    """Kill the first process with this in its command line, once it is there; yields its id, when it has."""
    victims: list[int] = []
    over = Event()

    def watch() -> None:
        while not victims and not over.wait(0.1):
            for process in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):  # it has ended meanwhile
                    line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                    if command in line and not victims:
                        os.kill(int(process.name), signal.SIGKILL)
                        victims.append(int(process.name))

    watcher = Thread(target=watch)
    watcher.start()
    try:
        yield victims
    finally:
        over.set()
        watcher.join()


def unscored(trained: Workspace, folder: Path) -> Workspace:
    """A workspace with the models of another one, and nothing else: all its readings are still to come."""
    shutil.copytree(f"{trained.folder}/06_models", folder / "06_models")
    return replace(trained, folder=folder)
