"""Opens a folder or a file given as a local path or as a URL; only a URL imports Azure's client."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batch_scoring.storage.folder import Folder
from batch_scoring.storage.local import LocalFolder
from batch_scoring.storage.location import SCHEMES

Credentials = Mapping[str, Any]


def is_remote(path: Path | str) -> bool:
    """Whether this is a URL of Blob Storage.

    Examples
    --------
    >>> is_remote("abfs://fleet/data"), is_remote("data/01_raw")
    (True, False)
    """
    scheme, mark, _ = str(path).partition("://")
    return bool(mark) and scheme in SCHEMES


def join(path: Path | str, *names: str) -> str:
    """A path or URL with names below it.

    Examples
    --------
    >>> join("abfs://fleet/data/", "published"), join("data", "a", "b")
    ('abfs://fleet/data/published', 'data/a/b')
    """
    return "/".join([str(path).rstrip("/") or "/", *names]) if names else str(path)


def open_folder(path: Folder | Path | str, credentials: Credentials | None = None) -> Folder:
    """Open a folder; nothing is read, and it need not be there.

    Parameters
    ----------
    path : str or Path
        A local path, ``abfs://container/path`` or ``https://account…/container/path``. A folder that
        is open already is given back.
    credentials : mapping, optional
        See :mod:`batch_scoring.cloud.credentials`; for URLs only.

    Raises
    ------
    InputError
        When a URL makes no sense.
    """
    if isinstance(path, Folder):
        return path
    if not is_remote(path):
        return LocalFolder(path)
    from batch_scoring.storage.blob import BlobFolder
    from batch_scoring.storage.location import Location

    return BlobFolder(Location.read(str(path)), credentials)


def open_file(path: Path | str, credentials: Credentials | None = None) -> tuple[Folder, str]:
    """The folder of a file, and the file's name in it."""
    if is_remote(path):
        folder, _, name = str(path).rpartition("/")
        return open_folder(folder, credentials), name
    place = Path(path)
    return LocalFolder(place.parent), place.name
