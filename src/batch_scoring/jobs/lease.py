"""Lease for work that one process at a time may do, on any machine: a file names the holder."""

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
from batch_scoring.core.errors import ConflictError, InputError
from batch_scoring.core.moments import as_text
from batch_scoring.storage import Folder

# A holder on another machine that has not renewed its lease for this long is gone.
TTL = timedelta(minutes=10)
# Locks between threads, which share what the process knows of a file's versions.
_here: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
_SECONDS_BETWEEN_RENEWALS = 30.0
_SECONDS_BETWEEN_LOOKS = 1.0
_LONGEST_PAUSE_BEHIND_OTHERS = 0.05


class Lease:
    """Exclusive lease, held for a ``with`` block.

    A killed process loses its lease: at once on the same machine, else ten minutes after the last renewal.

    Parameters
    ----------
    name : str
        Of the file.
    pause : callable
        Waits the given seconds.
    """

    def __init__(self, folder: Folder, name: str, pause: Callable[[float], None] = time.sleep) -> None:
        self._folder, self._name, self._pause = folder, name, pause
        self._lock = _here[folder.path(name)]
        self._version: str | None = None
        self._renewed = 0.0

    def __enter__(self) -> Lease:
        """Wait for the lease, and take it."""
        self._lock.acquire()
        try:
            self._take()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Release the lease."""
        try:
            with suppress(ConflictError):
                self._write_held(is_over=True)
        finally:
            self._lock.release()

    def _take(self) -> None:
        while True:
            there, self._version = self._read()
            if there is None or _is_over(there):
                try:
                    self._write(is_over=False)
                    return
                except ConflictError:
                    continue
            self._pause(_SECONDS_BETWEEN_LOOKS)

    def renew(self) -> None:
        """Renew the lease; call this between the steps of long work.

        Raises
        ------
        InputError
            When another process has taken over the lease, which had expired.
        """
        if time.monotonic() - self._renewed < _SECONDS_BETWEEN_RENEWALS:
            return
        try:
            self._write_held(is_over=False)
        except ConflictError as error:
            raise InputError(
                f"{self._folder.path(self._name)}: another process took over this lease, which was not "
                f"renewed for more than {TTL}; the other process does the rest"
            ) from error

    def _write_held(self, is_over: bool) -> None:
        """Write the lease that we hold; raise ConflictError where we no longer hold it."""
        while True:
            try:
                return self._write(is_over)
            except ConflictError:
                # Another process may only be trying: the lease is lost when the file says so.
                there, self._version = self._read()
                if there is None or there["over"] or (there["host"], there["process"]) != _we():
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
        self._renewed = time.monotonic()
        self._version = self._read()[1]

    def _read(self) -> tuple[dict[str, Any] | None, str | None]:
        try:
            text, version = self._folder.read(self._name)
        except FileNotFoundError:
            return None, None
        return json.loads(text), version


def _we() -> tuple[str, str]:
    return process_identity.host(), process_identity.process()


def _is_over(there: dict[str, Any]) -> bool:
    """Return whether the holder has released the lease, or is gone."""
    if there["over"]:
        return True
    if there["host"] == process_identity.host():
        return not process_identity.is_alive(there["process"])
    return datetime.now(UTC) - datetime.fromisoformat(there["signed"]) > TTL
