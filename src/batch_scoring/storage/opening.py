"""Open a folder or file by local path or URL; only a URL imports Azure's client."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batch_scoring.core.errors import InputError
from batch_scoring.storage.folder import Folder
from batch_scoring.storage.local import LocalFolder
from batch_scoring.storage.location import SCHEMES

Credentials = Mapping[str, Any]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")


def is_remote(path: Path | str) -> bool:
    """Whether this is a URL of Blob Storage.

    Examples
    --------
    >>> is_remote("abfs://fleet/data"), is_remote("data/01_raw")
    (True, False)
    """
    scheme, mark, _ = str(path).partition("://")
    return bool(mark) and scheme in SCHEMES


def read_place(place: Any) -> str:
    """Check the place of a folder or file; ``~`` is expanded. ``${place:…}`` in a file below ``conf/``.

    Raises
    ------
    InputError
        When it is neither a local path nor a URL of Blob Storage.

    Examples
    --------
    >>> read_place("abfs://fleet/data"), read_place("data/01_raw")
    ('abfs://fleet/data', 'data/01_raw')
    """
    text = "" if place is None else str(place)
    # Path.expanduser would shorten what it expands, and raise for an unknown user.
    path = text if is_remote(text) else os.path.expanduser(text)  # noqa: PTH111
    if not path.strip() or "\0" in path or path.startswith("~") or (_URL.match(path) and not is_remote(path)):
        raise InputError(
            f"{text!r} is not valid; expected a local path or a URL of Blob Storage, such as /srv/fleet or "
            "abfs://container/path"
        )
    return path


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
        When the path or URL is not valid.
    """
    if isinstance(path, Folder):
        return path
    if not is_remote(path):
        return LocalFolder(read_place(path))
    from batch_scoring.storage.blob import BlobFolder
    from batch_scoring.storage.location import Location

    return BlobFolder(Location.read(str(path)), credentials)


def open_file(path: Path | str, credentials: Credentials | None = None) -> tuple[Folder, str]:
    """Open the folder of a file; return it and the file's name in it."""
    if is_remote(path):
        folder, _, name = str(path).rpartition("/")
        return open_folder(folder, credentials), name
    place = Path(read_place(path))
    return LocalFolder(place.parent), place.name
