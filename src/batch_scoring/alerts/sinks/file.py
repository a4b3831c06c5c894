"""Append events to a file, one line of JSON each, each once."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from batch_scoring.alerts.sinks.base import BATCH, Message, ReadSecret, UnreachableError, to_json
from batch_scoring.core.locks import locked

# Lines written by a run that was killed before it saved the ledger are among these last ones.
_TAIL_BYTES = 4_000_000
_OURS = b'{"event_id": '


@dataclass(frozen=True)
class Settings:
    """A line of JSON at the end of a file."""

    path: str
    type: Literal["file"] = "file"
    name: str = "file"

    def open(self, secret: ReadSecret) -> FileSink:
        """Make the sink."""
        return FileSink(self.name, Path(self.path))


class FileSink:
    """A file of JSON lines, which only this sink may write.

    Parameters
    ----------
    name : str
    path : Path
        The file and its folder are made when they are not there.
    """

    takes_all = True

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self._path = path
        self._file: IO[bytes] | None = None
        self._open_until_closed = ExitStack()
        self._there: set[str] = set()

    def send(self, message: Message) -> str:
        """Append the line and sync it to disk, unless it was written before."""
        try:
            if self._file is None:
                self._open()
            if self._file is not None and message["event_id"] not in self._there:
                self._file.write(to_json(message) + b"\n")
                self._file.flush()
                os.fsync(self._file.fileno())
        except OSError as error:
            self.close()
            raise UnreachableError(f"{self._path}: {error.strerror}") from error
        return f"a line at the end of {self._path}"

    def close(self) -> None:
        """Close the file."""
        self._file = None
        self._open_until_closed.close()

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            stack.enter_context(locked(self._path.with_name(f".{self._path.name}.lock")))
            file = stack.enter_context(self._path.open("a+b", buffering=0))
            self._there = _mend_and_read(file)
            self._open_until_closed = stack.pop_all()
        self._file = file


def _mend_and_read(file: IO[bytes]) -> set[str]:
    """Return the ids of the last events, and cut off an incomplete line left by a killed run."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _TAIL_BYTES))
    *lines, rest = file.read().split(b"\n")
    if rest.startswith(_OURS[: len(rest)]):
        file.truncate(size - len(rest))
    elif rest:
        file.write(b"\n")
    return {json.loads(line)["event_id"] for line in lines[-BATCH:] if line.startswith(_OURS)}
