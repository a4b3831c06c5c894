"""Temporary folders, removed when their run ends, or by the next run if it was killed; temporary files."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from batch_scoring.core.locks import locked

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
    folder = place / hidden.name.removeprefix(".")
    with locked(_lock_of(folder), wait=True):  # another run may just be looking whether it is abandoned
        hidden.rename(folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def temporary_file(folder: Path | None = None) -> Iterator[IO[bytes]]:
    """Open a new file, removed after the block; in it, it may be closed, and opened again by its name.

    Windows opens no file twice that ``tempfile`` is to remove when it is closed.
    """
    file = tempfile.NamedTemporaryFile(dir=folder, prefix="batch_scoring_", delete=False)  # noqa: SIM115
    try:
        with file:
            yield file
    finally:
        Path(file.name).unlink(missing_ok=True)


def _lock_of(folder: Path) -> Path:
    """Name a folder's lock, which lies beside it: Windows renames no folder with an open file."""
    return folder.with_name(f"{folder.name}.lock")


def _clear_abandoned(place: Path) -> None:
    for lock in place.glob(f"{PREFIX}*.lock"):
        try:
            with locked(lock):
                shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
        except OSError:
            continue  # a live run's, another user's, or being created or removed now
