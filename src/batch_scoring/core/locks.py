"""Locks between processes of a machine; a lock ends with its process, however that ends."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]

# As attributes, since mypy for Windows knows the module to be empty.
_flock: Callable[[IO[bytes], int], None] | None = getattr(fcntl, "flock", None)
_EXCLUSIVE, _AT_ONCE = getattr(fcntl, "LOCK_EX", 0), getattr(fcntl, "LOCK_NB", 0)


@contextmanager
def locked(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold a lock file during the block; it is made, and removed in the end.

    Parameters
    ----------
    path : Path
        Of the lock file, in a folder that exists.
    wait : bool
        Whether to wait for another process, or thread, that holds it.

    Raises
    ------
    BlockingIOError
        When another one holds it, and is not waited for.
    """
    with _taken(path, wait, _flock) if _flock else _taken_in_windows(path, wait):
        yield


@contextmanager
def _taken(path: Path, wait: bool, flock: Callable[[IO[bytes], int], None]) -> Iterator[None]:
    while True:
        with path.open("ab") as file:
            flock(file, _EXCLUSIVE if wait else _EXCLUSIVE | _AT_ONCE)
            if _is_open_at(path, file):  # else its owner has removed it between our opening and our locking
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)
                return


def _is_open_at(path: Path, file: IO[bytes]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


@contextmanager
def _taken_in_windows(path: Path, wait: bool) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(path, thread_local=False)  # which removes its file there
    try:
        lock.acquire(blocking=wait)
    except Timeout:
        raise BlockingIOError(errno.EAGAIN, "another program has locked it", str(path)) from None
    try:
        yield
    finally:
        lock.release()
