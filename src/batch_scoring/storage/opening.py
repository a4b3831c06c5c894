"""Open a folder or file by local path or URL; only a URL imports Azure's client."""

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
    """Join names to a path or URL.

    Examples
    --------
    >>> join("abfs://fleet/data/", "published"), join("data", "a", "b")
    ('abfs://fleet/data/published', 'data/a/b')
    """
    return "/".join([str(path).rstrip("/") or "/", *names]) if names else str(path)


def open_folder(path: Folder | Path | str, credentials: Credentials | None = None) -> Folder:
    """Open a folder; nothing is read, and it need not exist.

    Parameters
    ----------
    path : str or Path
        A local path, ``abfs://container/path`` or ``https://account…/container/path``. An open
        folder is returned as it is.
    credentials : mapping, optional
        See :mod:`batch_scoring.cloud.credentials`; for URLs only.

    Raises
    ------
    InputError
        When a URL is not valid.
    """
    if isinstance(path, Folder):
        return path
    if not is_remote(path):
        return LocalFolder(path)
    from batch_scoring.storage.blob import BlobFolder
    from batch_scoring.storage.location import Location

    return BlobFolder(Location.read(str(path)), credentials)


def open_file(path: Path | str, credentials: Credentials | None = None) -> tuple[Folder, str]:
    """Open the folder of a file; return it and the file's name in it."""
    if is_remote(path):
        folder, _, name = str(path).rpartition("/")
        return open_folder(folder, credentials), name
    place = Path(path)
    return LocalFolder(place.parent), place.name
