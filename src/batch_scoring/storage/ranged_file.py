"""Read a remote file from its end: a footer costs its own bytes, rows fetch the whole file once."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from typing import IO, Any


class RangedFile(io.RawIOBase):
    """A seekable file whose end is in memory; the whole file is fetched once the rest is read.

    Parameters
    ----------
    size : int
        Bytes of the file.
    fetch_end : callable
        Returns the last bytes, of any length; called at the first use.
    fetch_whole : callable
        Returns an open local file with all bytes; called at most once.
    """

    def __init__(
        self, size: int, fetch_end: Callable[[], bytes], fetch_whole: Callable[[], IO[bytes]]
    ) -> None:
        self._size = size
        self._fetch_end = fetch_end
        self._fetch_whole = fetch_whole
        self._end: bytes | None = None
        self._whole: IO[bytes] | None = None
        self._position = 0
        self._lock = threading.Lock()

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position; nothing is fetched."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        """Return the position of the next read."""
        return self._position

    def size(self) -> int:
        """Return the bytes of the file."""
        return self._size

    def read(self, size: int | None = -1) -> bytes:
        """Read from the position on."""
        rest = self._size - self._position
        wanted = max(rest if size is None or size < 0 else min(size, rest), 0)
        data = self._read_at(self._position, wanted) if wanted else b""
        self._position += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        """Read from the position on into a buffer."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the local copy."""
        if self._whole is not None:
            self._whole.close()
        super().close()

    def _read_at(self, position: int, size: int) -> bytes:
        with self._lock:
            if self._end is None:
                self._end = self._fetch_end()
            start = position - (self._size - len(self._end))
            if start >= 0:
                return self._end[start : start + size]
            if self._whole is None:
                self._whole = self._fetch_whole()
        data = _read_range(self._whole, position, size, self._lock)
        if len(data) != size:
            raise OSError(f"expected {size} bytes at {position}, got {len(data)}")
        return data


def _read_range(file: IO[bytes], position: int, size: int, lock: threading.Lock) -> bytes:
    if hasattr(os, "pread"):
        data: bytes = os.pread(file.fileno(), size, position)
        return data
    with lock:  # Windows reads from a file's one position
        file.seek(position)
        return file.read(size)
