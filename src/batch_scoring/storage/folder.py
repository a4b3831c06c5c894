"""Interface of local and remote folders; every file appears whole or not at all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any


@dataclass(frozen=True)
class Entry:
    """A listed file of a folder.

    Attributes
    ----------
    name : str
        Relative to the folder, with ``/``.
    size : int
        Bytes.
    changed_ns : int
        Time of the last change, nanoseconds since the epoch, by the clock named in ``Folder.clock``.
    version : str
        Changes with the file (a blob's ETag); empty for local files.
    """

    name: str
    size: int
    changed_ns: int
    version: str = ""


class Folder(ABC):
    """A folder of files named by ``/``-separated paths relative to it.

    Every method raises ``InputError``, one sentence, when the storage cannot be reached, refuses the
    credentials or fails after all retries. ``FileNotFoundError`` is raised only for a missing file.

    Attributes
    ----------
    clock : str
        Clock of the change times; times of different clocks cannot be compared.
    """

    clock: str

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path()!r})"

    @abstractmethod
    def path(self, name: str = "") -> str:
        """Return a file's full path or URL, without secrets."""

    @abstractmethod
    def delta_address(self) -> tuple[str, dict[str, str]]:
        """Return what ``deltalake`` opens, and its storage options, with secrets; none for a local folder."""

    @abstractmethod
    def below(self, name: str) -> Folder:
        """Return a folder inside this one; it need not exist."""

    @abstractmethod
    def entries(self, suffix: str = "") -> list[Entry]:
        """List files at any depth whose names end in ``suffix``, sorted; empty if the folder is missing."""

    @abstractmethod
    def entry(self, name: str) -> Entry | None:
        """Return a file's entry; None if it does not exist."""

    @abstractmethod
    def read(self, name: str) -> tuple[bytes, str]:
        """Read a small file's bytes and its version; raises FileNotFoundError."""

    @abstractmethod
    def open_ranges(self, name: str, entry: Entry | None = None) -> Any:
        """Return what ``pyarrow.parquet.ParquetFile`` opens; a blob's footer fetches only its end.

        Parameters
        ----------
        name : str
        entry : Entry, optional
            Its entry in a listing.

        Raises
        ------
        FileNotFoundError
            For a local file only when the path is opened.
        """

    @abstractmethod
    def local_copy(self, name: str, keep_in: Path | None = None, entry: Entry | None = None) -> Path:
        """Return the path of a local file, or of a local copy; raises FileNotFoundError.

        Parameters
        ----------
        name : str
        keep_in : Path, optional
            Folder of copies; default: this machine's cache. A copy of the same version is reused.
        entry : Entry, optional
            Its entry in a listing; this version is read.
        """

    @abstractmethod
    def writing(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """Open a local file whose ``.name`` can be written to; stored when the block ends without an error.

        Raises ConflictError when another run is writing the file, or has written other bytes meanwhile.
        """

    @abstractmethod
    def put(self, name: str, path: Path) -> None:
        """Store a copy of a local file under this name."""

    @abstractmethod
    def replace(self, name: str, data: bytes, former: str | None) -> None:
        """Store bytes if the file's version is still ``former``; None: if there is no file.

        Raises ConflictError when another run has written other bytes first.
        """

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove a file if it exists."""
