"""What a folder of files can do, wherever it lies: every file in it appears whole or not at all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any


@dataclass(frozen=True)
class Entry:
    """A file of a folder, as listed.

    Attributes
    ----------
    name : str
        Relative to the folder, with ``/``.
    size : int
        Bytes.
    changed_ns : int
        When it last changed, nanoseconds since the epoch, by the clock named in ``Folder.clock``.
    version : str
        Another one whenever the file has changed (a blob's ETag); empty for local files.
    """

    name: str
    size: int
    changed_ns: int
    version: str = ""


class Folder(ABC):
    """A folder of files named by ``/``-separated paths relative to it.

    Every method raises ``InputError``, one sentence, when the storage cannot be reached, refuses the
    credentials or fails for good. ``FileNotFoundError`` is raised only for a file that is not there.

    Attributes
    ----------
    clock : str
        The clock of the change times; times of two clocks cannot be compared.
    """

    clock: str

    @abstractmethod
    def path(self, name: str = "") -> str:
        """How a person would name a file of the folder; never with a secret in it."""

    @abstractmethod
    def below(self, name: str) -> Folder:
        """A folder inside this one; it need not be there."""

    @abstractmethod
    def entries(self, suffix: str = "") -> list[Entry]:
        """All files at any depth whose names end in ``suffix``, sorted by name; none of no folder."""

    @abstractmethod
    def entry(self, name: str) -> Entry | None:
        """What is known of a file; None when it is not there."""

    @abstractmethod
    def read(self, name: str) -> tuple[bytes, str]:
        """A small file's bytes and its version; raises FileNotFoundError."""

    @abstractmethod
    def open_ranges(
        self, name: str, entry: Entry | None = None, footer: Callable[[], bytes] | None = None
    ) -> Any:
        """What ``pyarrow.parquet.ParquetFile`` opens; of a blob only the end is fetched for a footer.

        Parameters
        ----------
        name : str
        entry : Entry, optional
            Its entry in a listing.
        footer : callable, optional
            Gives a blob's end, where that is on its way.

        Raises
        ------
        FileNotFoundError
            The absence of a local file is reported when the path is opened.
        """

    @abstractmethod
    def local_copy(self, name: str, keep_in: Path | None = None, entry: Entry | None = None) -> Path:
        """The file itself where it is local, else a copy; raises FileNotFoundError.

        Parameters
        ----------
        name : str
        keep_in : Path, optional
            Where copies lie; default: a cache of this machine. A copy of the same version is used again.
        entry : Entry, optional
            Its entry in a listing: this version is read.
        """

    @abstractmethod
    def writing(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """Open a local file, named ``.name``, that takes this name when the block ends without an error.

        Raises ConflictError when another run is writing, or has meanwhile written, something else there.
        """

    @abstractmethod
    def put(self, name: str, path: Path) -> None:
        """Store a copy of a local file under a name."""

    @abstractmethod
    def replace(self, name: str, data: bytes, former: str | None) -> None:
        """Store bytes where the file's version still is ``former``; None: where there is no file.

        Raises ConflictError when another run was quicker and wrote something else.
        """

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove a file; nothing happens when it is not there."""
