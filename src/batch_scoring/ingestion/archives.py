"""List and unpack the files of an archive (.zip, .tar): none lies outside of it, and none is a bomb."""

from __future__ import annotations

import lzma
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, Self

from batch_scoring.core.errors import InputError
from batch_scoring.ingestion.text_bytes import without_compression

# Text of readings packs to a hundredth at best: what unpacks to more, and to more than this, is a bomb.
_MOST_RATIO = 200
_MOST_BYTES = 1 << 30
# What lists more files, or has longer names or notes, fills the memory with its list.
_MOST_FILES, _MOST_NAME, _MOST_NOTE_BYTES = 100_000, 4096, 1 << 20
# Entries of a .tar that are read into memory: names and notes of the next one.
_NOTES = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
_DRIVE = re.compile("[A-Za-z]:")
_UNPACK = "unpack it yourself, and name the folder"


def members(path: str) -> list[str]:
    """Return the names of the files in an archive; hidden ones are left out.

    Raises
    ------
    InputError
        When it cannot be unpacked: it is broken, encrypted, names a file outside of it, or is a bomb.
    """
    names: dict[str, None] = {}
    n_bytes, most = 0, max(_MOST_BYTES, _MOST_RATIO * Path(path).stat().st_size)
    with _unpacking(path):
        for name, size, _ in _entries(path):
            parts = name.replace("\\", "/").split("/")
            if not parts[0] or ".." in parts or _DRIVE.fullmatch(parts[0]):
                raise InputError(f"{path}: names a file outside of it, {name!r}; unpack it yourself")
            if len(names) == _MOST_FILES or len(name) > _MOST_NAME:
                what = "a very long name" if len(name) > _MOST_NAME else f"more than {_MOST_FILES:,} files"
                raise InputError(f"{path}: holds {what}; {_UNPACK}")
            n_bytes += size
            if n_bytes > most:
                raise InputError(
                    f"{path}: unpacks to more than {most >> 20:,} MB, {_MOST_RATIO} times its size; {_UNPACK}"
                )
            if not any(part.startswith((".", "__MACOSX")) for part in parts):
                names[name] = None
    return list(names)


def unpack(path: str, names: Collection[str], folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Unpack some files of an archive into a folder; of equal names, the last one counts.

    Their copies get names of their own there, with the suffixes of theirs.

    Returns
    -------
    copies : dict of str to str
        The path of each, by its name.
    broken : dict of str to str
        Why a file cannot be unpacked, by its name, where others can.
    """
    copies: dict[str, str] = {}
    broken: dict[str, str] = {}
    with _unpacking(path):
        for number, (name, _, opened) in enumerate(_entries(path)):
            if name in names:
                plain = without_compression(name)
                copy = folder / f"{number}{Path(plain).suffix}{name[len(plain) :]}".lower()
                copies.pop(name, None)
                broken.pop(name, None)
                try:
                    with opened() as inner, copy.open("wb") as out:
                        shutil.copyfileobj(inner, out, 1 << 20)
                except (zipfile.BadZipFile, zlib.error, lzma.LZMAError) as error:
                    copy.unlink()
                    broken[name] = f"{error}"
                else:
                    copies[name] = str(copy)
    return copies, broken


def _entries(path: str) -> Iterator[tuple[str, int, Callable[[], IO[bytes]]]]:
    """Yield the files of an archive: name, bytes, and what opens it; links and devices are left out."""
    # A .tar that ends with a .zip or a workbook looks like a .zip, too.
    if zipfile.is_zipfile(path) and not _is_tar(path):
        with zipfile.ZipFile(path) as packed:
            for one in packed.infolist():
                if one.flag_bits & 1:
                    raise InputError(
                        f"{path}: is encrypted; unpack it with its password, and name the folder"
                    )
                if not (one.is_dir() or stat.S_ISLNK(one.external_attr >> 16)):
                    # Some programs on Windows write its separators.
                    name = one.filename.replace("\\", "/").removeprefix("./")
                    yield name, one.file_size, partial(packed.open, one)
        return
    with tarfile.open(path, tarinfo=_Header) as archive:
        for member in archive:
            if member.isreg():
                opened: Any = partial(archive.extractfile, member)
                yield _text(member.name.removeprefix("./")), member.size, opened


class _Header(tarfile.TarInfo):
    """An entry of a .tar; none that is read into memory is large."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read an entry, before what belongs to it is read."""
        found = super().frombuf(buf, encoding, errors)
        if found.type == tarfile.GNUTYPE_SPARSE or (found.type in _NOTES and found.size > _MOST_NOTE_BYTES):
            raise ValueError(f"{found.name[:40]!r} has a map of holes, or a very long name")
        return found


def _is_tar(path: str) -> bool:
    try:
        with tarfile.open(path, tarinfo=_Header):
            return True
    except tarfile.TarError:
        return False


def _text(name: str) -> str:
    """Return a name in which the bytes that are no UTF-8 are letters: two names stay two."""
    encoded = name.encode("utf-8", "surrogateescape")
    try:
        return encoded.decode()
    except UnicodeDecodeError:
        return encoded.decode("latin-1")


@contextmanager
def _unpacking(path: str) -> Iterator[None]:
    try:
        yield
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        RuntimeError,
        ValueError,
        OSError,
    ) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise InputError(
            f"{path}: cannot be unpacked ({error}); unpack it yourself, or copy it again"
        ) from None
