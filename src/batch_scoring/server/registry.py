"""The versions of the models, by `kedro models` in a process of its own.

MLflow takes seconds to start and hundreds of megabytes; the server neither waits for it nor holds it. The
command has the registry's lock, and its one sentence where something is wrong.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from batch_scoring.core.errors import CONFLICT as CONFLICT_CODE
from batch_scoring.core.errors import ConflictError, InputError


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes
    ----------
    code : int
        Its exit code.
    output, errors : str
    """

    code: int
    output: str
    errors: str


Run = Callable[[Sequence[str]], Ended]


class Registry:
    """Lists the versions, and changes which one is scored. Threads may share it.

    Parameters
    ----------
    run : callable
        Runs ``kedro models`` with these arguments.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._listed: tuple[object, list[dict[str, Any]]] | None = None

    def versions(self, champions: object) -> list[dict[str, Any]]:
        """List the versions of all sensors, newest first; read once while the champions stay the same.

        Raises
        ------
        InputError
            With the command's sentence.
        """
        with self._lock:  # of many that ask at once, one command is started
            if self._listed is None or self._listed[0] != champions:
                self._listed = champions, json.loads(_checked(self._run(["list", "--json"])))
            return self._listed[1]

    def promote(self, sensor: str, version: str) -> None:
        """Make a version the one that is scored; raises InputError with the command's sentence."""
        self._change(["promote", "--", sensor, version])

    def roll_back(self, sensor: str) -> None:
        """Score a sensor with the champion before this one; raises InputError."""
        self._change(["rollback", "--", sensor])

    def forget(self) -> None:
        """List the versions anew when they are asked for next."""
        with self._lock:
            self._listed = None

    def _change(self, arguments: Sequence[str]) -> None:
        try:
            _checked(self._run(arguments))
        finally:
            self.forget()


def _checked(ended: Ended) -> str:
    if ended.code == 0:
        return ended.output
    lines = [line for line in ended.errors.splitlines() if line.strip()]
    sentence = lines[-1].removeprefix("Error: ") if lines else f"the command ended with {ended.code}"
    raise (ConflictError if ended.code == CONFLICT_CODE else InputError)(sentence)
