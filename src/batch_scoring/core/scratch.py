"""A temporary folder that is gone when its run ends, and at the next run when that one was killed."""

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
    """Make a folder for the time of the block, and remove folders that killed runs left.

    Parameters
    ----------
    parent : str, optional
        Where; default: the system's place for temporary files. It is made when it is not there.
    """
    place = Path(parent or tempfile.gettempdir())
    place.mkdir(parents=True, exist_ok=True)
    _clear_abandoned(place)
    # Under its own name only when it is locked: until then another run would take it for abandoned.
    hidden = Path(tempfile.mkdtemp(prefix=f".{PREFIX}", dir=place))
    with (hidden / "lock").open("w") as lock:
        # The lock ends with the process, however that ends.
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
            continue  # another user's, or just being made or cleared away


def _is_free(lock: IO[str]) -> bool:
    """Take the lock if nobody has it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
