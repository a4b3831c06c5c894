"""Temporary folders, removed when their run ends, or by the next run if it was killed."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

PREFIX = "batch_scoring_scratch_"


@contextmanager
def scratch_folder(parent: str | None = None) -> Iterator[Path]:
    """Create a folder for the duration of the block, and remove folders left by killed runs.

    Parameters
    ----------
    parent : str, optional
        Parent folder, created if missing; default: the system's temporary folder.
    """
    place = Path(parent or tempfile.gettempdir())
    place.mkdir(parents=True, exist_ok=True)
    _clear_abandoned(place)
    # Renamed only once it is locked: until then another run would treat it as abandoned.
    hidden = Path(tempfile.mkdtemp(prefix=f".{PREFIX}", dir=place))
    with (hidden / "lock").open("w") as lock:
        # The lock is released with the process, however that ends.
        _is_free(lock)
        folder = hidden.rename(place / hidden.name.removeprefix("."))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _clear_abandoned(place: Path) -> None:
    for folder in place.glob(f"{PREFIX}*"):
        try:
            with (folder / "lock").open("r+") as lock:
                if _is_free(lock):
                    shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # another user's, or being created or removed now


def _is_free(lock: IO[str]) -> bool:
    """Take the lock if it is free."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
