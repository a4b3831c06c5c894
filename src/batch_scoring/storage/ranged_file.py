"""A file elsewhere, read from its end first: a footer costs its own bytes, rows fetch the whole file once."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from typing import IO, Any


class RangedFile(io.RawIOBase):
    """A seekable file whose end is in memory; the rest is fetched, all at once, when it is read.

    Parameters
    ----------
    size : int
        Bytes of the whole.
    fetch_end : callable
        Gives the last bytes, as many as it thinks fit; asked at the first use.
    fetch_whole : callable
        Gives an open local file with all bytes; asked at most once.
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
        """Move; nothing is fetched."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        """Where the next read begins."""
        return self._position

    def size(self) -> int:
        """Bytes of the whole."""
        return self._size

    def read(self, size: int | None = -1) -> bytes:
        """Read on."""
        rest = self._size - self._position
        wanted = max(rest if size is None or size < 0 else min(size, rest), 0)
        data = self._read_at(self._position, wanted) if wanted else b""
        self._position += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        """Read on, into a buffer."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Give up the local copy."""
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
        data = os.pread(self._whole.fileno(), size, position)
        if len(data) != size:
            raise OSError(f"{size} bytes wanted at {position}, {len(data)} there")
        return data
