"""Tell errors of the operating system in one sentence: what is wrong, where, and what to do.

Libraries wrap them in errors of their own, some without the number or the path; these are read from the text.
No library is imported here.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batch_scoring.core.errors import ConflictError, InputError, MachineError

_AGAIN = "nothing is half written: run again once this is fixed"
_PERMISSION = ("permission is denied", "give the user of this run access to it, or name another folder")
# What an error number means, and what to do.
_WORDS = {
    errno.ENOSPC: ("the disk is full", f"make room; {_AGAIN}"),
    errno.EDQUOT: ("the disk quota is used up", f"make room or raise the quota; {_AGAIN}"),
    errno.EFBIG: ("the file is larger than may be written", f"raise the limit (`ulimit -f`); {_AGAIN}"),
    errno.EROFS: ("the file system is read-only", "mount it for writing, or name another folder"),
    errno.EACCES: _PERMISSION,
    errno.EPERM: _PERMISSION,
    errno.EIO: ("the disk fails (input/output error)", f"look for its cause in `dmesg`; {_AGAIN}"),
    errno.ESTALE: ("the network folder is gone (stale file handle)", f"mount it again; {_AGAIN}"),
    errno.EMFILE: ("too many files are open", "raise the limit (`ulimit -n`) and run again"),
    errno.ENFILE: ("too many files are open on this machine", "end other programs and run again"),
    errno.ENOTDIR: ("a file is where a folder is expected", "remove it, or name another folder"),
    errno.EISDIR: ("a folder is where a file is expected", "remove it, or name another file"),
    errno.ENAMETOOLONG: ("the name is too long", "name a shorter one"),
    errno.ELOOP: ("its symbolic links go in circles", "correct the links"),
    errno.ENOMEM: ("the memory is used up", "give this run more memory, or run fewer at once"),
    errno.EAGAIN: ("no more processes or threads may be started", "raise the limit (`ulimit -u`)"),
}
_NO_INODES = ("the disk holds no more files (its inodes are used up)", f"delete files; {_AGAIN}")
# SQLite's errors, by the beginning of their names.
_OF_SQLITE = {
    "SQLITE_FULL": _WORDS[errno.ENOSPC],
    "SQLITE_READONLY": _PERMISSION,
    "SQLITE_PERM": _PERMISSION,
    "SQLITE_CANTOPEN": ("it cannot be opened", "see that its folder is there and may be written to"),
    "SQLITE_IOERR": _WORDS[errno.EIO],
    "SQLITE_NOMEM": _WORDS[errno.ENOMEM],
    "SQLITE_CORRUPT": ("this database is damaged", "restore it from a backup"),
    "SQLITE_NOTADB": ("this is no database", "restore it from a backup"),
}
_IS_LOCKED = ("SQLITE_BUSY", "SQLITE_LOCKED")
_DATABASE = "MLflow's database"
# Whose errors carry a number of the system in their text only.
_TEXT_ONLY = {"_internal", "deltalake", "_duckdb", "duckdb", "pyarrow"}
_NUMBER = re.compile(r"\b(?:os error|errno|Os \{ code:) (\d+)")
_TEXTS = {os.strerror(number): number for number in _WORDS}
_PATH = re.compile(r"""["'](/[^"'\n]+)["']|(?:file|directory:) (/[^\n:]+?)(?=#\d+|:|\s*\n|$)""")


def system_error(error: BaseException | None, path: str | os.PathLike[str] = "") -> InputError | None:
    """Tell what is wrong with the machine; None where an error is of another kind.

    Parameters
    ----------
    error : BaseException or None
        The error; what it was raised from is looked at, too.
    path : path, optional
        Of the file or folder in question; used where the error does not name it.

    Examples
    --------
    >>> print(system_error(OSError(28, "No space left on device", "/data/a.parquet")))
    /data/a.parquet: the disk is full; make room; nothing is half written: run again once this is fixed
    >>> print(system_error(ValueError("x")))
    None
    """
    for one in causes(error):
        found = _of_database(one, path) or _of_system(one, path)
        if found is not None:
            return found
        if isinstance(one, MemoryError):
            what, advice = _WORDS[errno.ENOMEM]
            reason = f"{what} ({_one_line(one)})" if str(one) else what
            return MachineError(f"{path}: {reason}; {advice}" if path else f"{reason}; {advice}")
    return None


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it was raised from, the outermost first; Kedro wraps those of datasets."""
    while error is not None:
        yield error
        # OmegaConf names no cause when a resolver has raised an error.
        is_unnamed = type(error).__module__.startswith("omegaconf")
        error = error.__cause__ or (error.__context__ if is_unnamed else None)


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Name the file in errors of the system that do not: a write knows no name."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = os.fspath(path)
        raise


def _of_system(error: BaseException, path: str | os.PathLike[str]) -> InputError | None:
    number = _number(error)
    if number not in _WORDS:
        return None
    named = getattr(error, "filename", None)
    text = _PATH.search(str(error))
    place = named if isinstance(named, str) and named else (text[1] or text[2]) if text else os.fspath(path)
    what, advice = _NO_INODES if number == errno.ENOSPC and _has_no_inodes(place) else _WORDS[number]
    if place and _is_temporary(place):
        advice = f"{advice.partition(';')[0]}, or name another folder for temporary files in TMPDIR"
    return MachineError(f"{place}: {what}; {advice}" if place else f"{what}; {advice}")


def _number(error: BaseException) -> int | None:
    """Return an error's number; of an error of a library, read from its text."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    if not isinstance(error, OSError) and type(error).__module__.partition(".")[0] not in _TEXT_ONLY:
        return None
    text = str(error)
    found = _NUMBER.search(text)
    if found is not None:
        return int(found[1])
    # "Too many open files in system" begins with another one.
    said = max((known for known in _TEXTS if known in text), key=len, default="")
    return _TEXTS.get(said)


def _of_database(error: BaseException, path: str | os.PathLike[str]) -> InputError | None:
    name = str(getattr(error, "sqlite_errorname", None) or "")
    place = os.fspath(path) or _DATABASE
    if name.startswith(_IS_LOCKED):
        return ConflictError(
            f"{place}: another program holds this database; nothing is lost: run again when that has ended"
        )
    found = next((words for known, words in _OF_SQLITE.items() if name.startswith(known)), None)
    return MachineError(f"{place}: {found[0]}; {found[1]}") if found is not None else None


def _has_no_inodes(place: str) -> bool:
    folder = next((one for one in (Path(place), *Path(place).parents) if one.exists()), None)
    if folder is None or not hasattr(os, "statvfs"):
        return False
    status = os.statvfs(folder)
    return status.f_files > 0 and status.f_ffree == 0


def _is_temporary(place: str) -> bool:
    folder = tempfile.tempdir or os.environ.get("TMPDIR")
    return bool(folder) and Path(place).is_relative_to(str(folder))


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
