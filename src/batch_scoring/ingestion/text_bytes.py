"""Open a text file as the bytes of UTF-8 text, whatever it is compressed with and encoded in."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import re
from collections.abc import Callable
from functools import partial
from typing import IO, Any, cast

import pyarrow as pa

from batch_scoring.core.errors import InputError

COMPRESSIONS = (".gz", ".zst", ".bz2", ".xz")
# Of bzip2 at any level, also of nothing; of Zstandard after a frame to skip, as pzstd writes it, too.
_MAGIC = {
    ".gz": re.compile(rb"\x1f\x8b\x08"),
    ".zst": re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
    ".bz2": re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"),
    ".xz": re.compile(rb"\xfd7zXZ\x00"),
}
# What opens the others, whose errors are of no usual kind.
_OTHERS: dict[str, Callable[[str], Any]] = {
    ".zst": partial(pa.input_stream, compression="zstd"),
    ".xz": lzma.open,
}
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CHUNK = 1 << 20


def open_text(path: str, encoding: str = "auto") -> IO[bytes]:
    """Open a file of text; what is read from it is UTF-8.

    Parameters
    ----------
    path : str
        Of a plain file, or of one that is compressed, whatever its name ends in.
    encoding : str
        ``"auto"`` is UTF-8, or UTF-16 where the file has a byte order mark of it; bytes of UTF-8 are passed
        on as they are, unchecked.
    """
    file = open_bytes(path)
    if encoding == "auto":
        start = file.read(2)
        if start not in _UTF16:
            file.seek(0)
            return file
        encoding = "utf-16"
        file.seek(0)
    if codecs.lookup(encoding).name in ("utf-8", "utf-8-sig"):
        return file
    return cast("IO[bytes]", io.BufferedReader(_Transcoded(file, encoding), _CHUNK))


def open_bytes(path: str) -> IO[bytes]:
    """Open a file as its bytes before it was compressed."""
    ending = compression(path)
    if ending == ".gz":
        return cast("IO[bytes]", gzip.open(path, "rb"))
    if ending == ".bz2":
        return cast("IO[bytes]", bz2.open(path, "rb"))
    if ending in _OTHERS:
        return cast("IO[bytes]", io.BufferedReader(_Unpacked(path, ending), _CHUNK))
    return open(path, "rb")  # noqa: PTH123


def compression(path: str) -> str:
    """Return the suffix that the bytes of a file of text should have: what it is compressed with, or none.

    An empty file has that of its name.
    """
    with open(path, "rb") as file:  # noqa: PTH123
        head = file.read(10)
    ending = path[len(without_compression(path)) :].lower()
    return next((one for one, magic in _MAGIC.items() if magic.match(head)), "" if head else ending)


def without_compression(name: str) -> str:
    """Return a file's name without the suffix of its compression.

    Examples
    --------
    >>> without_compression("a.csv.zst")
    'a.csv'
    """
    ending = next((one for one in COMPRESSIONS if name.lower().endswith(one)), "")
    return name[: len(name) - len(ending)]


class _Unpacked(io.RawIOBase):
    """A packed file as its bytes before; what is wrong with it is an InputError."""

    def __init__(self, path: str, ending: str) -> None:
        self._path, self._ending = path, ending
        self._file = _OTHERS[ending](path)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data: bytes = self._file.read(len(buffer))
        except (pa.ArrowException, lzma.LZMAError, EOFError, OSError) as error:
            raise InputError(
                f"{self._path}: not a complete {self._ending[1:]} file ({error}); copy it here again"
            ) from None
        buffer[: len(data)] = data
        return len(data)

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        assert (offset, whence) == (0, 0)
        self._file = _OTHERS[self._ending](self._path)
        return 0


class _Transcoded(io.RawIOBase):
    """Text of another encoding, as UTF-8."""

    def __init__(self, file: IO[bytes], encoding: str) -> None:
        self._file, self._decoder = file, codecs.getincrementaldecoder(encoding)()
        self._held = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._held:
            data = self._file.read(_CHUNK)
            self._held = self._decoder.decode(data, final=not data).encode()
            if not data:
                break
        size = min(len(buffer), len(self._held))
        buffer[:size], self._held = self._held[:size], self._held[size:]
        return size

    def close(self) -> None:
        self._file.close()
        super().close()
