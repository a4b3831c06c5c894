"""Of several processes, on any machines, one at a time does something: a file says who, and that it lives."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from batch_scoring.core import processes as process_identity
from batch_scoring.core.errors import InputError, OvertakenError
from batch_scoring.core.moments import as_text
from batch_scoring.storage import Folder

# Who has not said for so long that it lives is gone, where it cannot be looked up.
SILENCE = timedelta(minutes=10)
# Of threads: what a process knows of a file's versions is common to them.
_here: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
_SECONDS_BETWEEN_SIGNS = 30.0
_SECONDS_BETWEEN_LOOKS = 1.0
_LONGEST_PAUSE_BEHIND_OTHERS = 0.05


class OneWriter:
    """A turn at something: a block in which no other process has it.

    One that was killed is succeeded: at once on the same machine, else after ten minutes of silence.

    Parameters
    ----------
    folder : Folder
    name : str
        Of the file.
    pause : callable
        Waits so many seconds.
    """

    def __init__(self, folder: Folder, name: str, pause: Callable[[float], None] = time.sleep) -> None:
        self._folder, self._name, self._pause = folder, name, pause
        self._lock = _here[folder.path(name)]
        self._version: str | None = None
        self._signed = 0.0

    def __enter__(self) -> OneWriter:
        """Wait for the turn, and take it."""
        self._lock.acquire()
        try:
            self._take()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the turn to others."""
        try:
            with suppress(OvertakenError):
                self._write_ours(is_over=True)
        finally:
            self._lock.release()

    def _take(self) -> None:
        while True:
            there, self._version = self._read()
            if there is None or _is_over(there):
                try:
                    self._write(is_over=False)
                    return
                except OvertakenError:
                    continue
            self._pause(_SECONDS_BETWEEN_LOOKS)

    def sign(self) -> None:
        """Say that this process lives; to be called between the steps of a long work.

        Raises
        ------
        InputError
            When another process has taken over, for this one was silent for too long.
        """
        if time.monotonic() - self._signed < _SECONDS_BETWEEN_SIGNS:
            return
        try:
            self._write_ours(is_over=False)
        except OvertakenError as error:
            raise InputError(
                f"{self._folder.path(self._name)}: another process took over, as this one was silent for "
                f"more than {SILENCE}; it goes on with what is left"
            ) from error

    def _write_ours(self, is_over: bool) -> None:
        """Write about a turn that we have; raises OvertakenError when we have it no more."""
        while True:
            try:
                return self._write(is_over)
            except OvertakenError:
                # Somebody may only be trying, in vain: our turn is lost when the file says so.
                there, self._version = self._read()
                if there is None or there["over"] or _whose(there) != _we():
                    raise
                self._pause(random.uniform(0, _LONGEST_PAUSE_BEHIND_OTHERS))

    def _write(self, is_over: bool) -> None:
        host, process = _we()
        values = {
            "host": host,
            "process": process,
            "pid": os.getpid(),
            "signed": as_text(datetime.now(UTC)),
            "over": is_over,
        }
        self._folder.replace(self._name, (json.dumps(values) + "\n").encode(), self._version)
        self._signed = time.monotonic()
        self._version = self._read()[1]

    def _read(self) -> tuple[dict[str, Any] | None, str | None]:
        try:
            text, version = self._folder.read(self._name)
        except FileNotFoundError:
            return None, None
        return json.loads(text), version


def _we() -> tuple[str, str]:
    return process_identity.host(), process_identity.process()


def _whose(there: dict[str, Any]) -> tuple[str, str]:
    return there["host"], there["process"]


def _is_over(there: dict[str, Any]) -> bool:
    """Whether who took the turn has ended it, or is gone."""
    if there["over"]:
        return True
    if there["host"] == process_identity.host():
        return not process_identity.is_alive(there["process"])
    return datetime.now(UTC) - datetime.fromisoformat(there["signed"]) > SILENCE
