"""Open a folder or file by local path or URL; only a URL imports the client of its service."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batch_scoring.core.errors import InputError
from batch_scoring.storage.folder import Folder
from batch_scoring.storage.local import LocalFolder
from batch_scoring.storage.location import AZURE, BUCKETS, Location

Credentials = Mapping[str, Any]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # one letter is a drive of Windows


def is_remote(path: Path | str) -> bool:
    """Whether this is a URL of Blob Storage, S3 or Google Cloud Storage.

    Examples
    --------
    >>> is_remote("abfs://fleet/data"), is_remote("s3://fleet/data"), is_remote("data/01_raw")
    (True, True, False)
    """
    return _scheme(path) in (*AZURE, *BUCKETS)


def is_blob(path: Path | str) -> bool:
    """Whether this is a URL of Blob Storage, which services of Azure reach.

    Examples
    --------
    >>> is_blob("abfs://fleet/data"), is_blob("s3://fleet/data")
    (True, False)
    """
    return _scheme(path) in AZURE


def _scheme(path: Path | str) -> str:
    scheme, mark, _ = str(path).partition("://")
    return scheme if mark else ""


def read_place(place: Any) -> str:
    """Check the place of a folder or file; ``~`` is expanded.

    Raises
    ------
    InputError
        When it is neither a local path nor a URL of a storage that is known.

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
            f"{text!r} is not valid; expected a local path, or a URL of Blob Storage, S3 or Google Cloud "
            "Storage, such as /srv/fleet, abfs://container/path, s3://bucket/path or gs://bucket/path"
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
        A local path, ``abfs://container/path``, ``https://account…/container/path``,
        ``s3://bucket/path`` or ``gs://bucket/path``. An open folder is returned as it is.
    credentials : mapping, optional
        See :mod:`batch_scoring.cloud.credentials`; for Blob Storage only.

    Raises
    ------
    InputError
        When the path or URL is not valid.
    """
    if isinstance(path, Folder):
        return path
    if not is_remote(path):
        return LocalFolder(read_place(path))
    location = Location.read(str(path))
    if location.scheme in BUCKETS:
        return _open_bucket(location, credentials)
    from batch_scoring.storage.blob import BlobFolder

    return BlobFolder(location, credentials)


def _open_bucket(location: Location, credentials: Credentials | None) -> Folder:
    if credentials:
        raise InputError(
            f"{location}: credentials of a bucket are those of the environment; leave `credentials` out, and "
            "see docs/how-to/s3-and-gcs.md"
        )
    try:
        from batch_scoring.storage.bucket import BucketFolder
    except ModuleNotFoundError as error:
        extra = {"s3": "s3", "gs": "gcs"}[location.scheme]
        raise InputError(
            f"{location}: {error.name} is not installed; pip install 'batch_scoring[{extra}]'"
        ) from None
    return BucketFolder(location)


def open_file(path: Path | str, credentials: Credentials | None = None) -> tuple[Folder, str]:
    """Open the folder of a file; return it and the file's name in it."""
    if is_remote(path):
        folder, _, name = str(path).rpartition("/")
        return open_folder(folder, credentials), name
    place = Path(read_place(path))
    return LocalFolder(place.parent), place.name
