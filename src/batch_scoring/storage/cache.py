"""Folders for copies on this machine: a cache that outlives the run, and a scratch folder."""

from __future__ import annotations

import atexit
import os
import tempfile
import time
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from batch_scoring.core.scratch import scratch_folder

CACHE_VARIABLE = "BATCH_SCORING_CACHE"
KEEP_DAYS = 7


def cache_folder() -> Path:
    """Return the cache of published models: ``$BATCH_SCORING_CACHE`` or ``~/.cache/batch_scoring``.

    If it is not writable, a folder that is removed with the run. Only this user may write to it, since
    models are read from it.
    """
    wanted = os.environ.get(CACHE_VARIABLE)
    place = Path(wanted) if wanted else Path.home() / ".cache" / "batch_scoring"
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return run_folder()
    return place if os.access(place, os.W_OK) else run_folder()


@cache
def run_folder() -> Path:
    """Return this process's scratch folder; removed at its end, or by the next run if it was killed."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(scratch_folder(tempfile.gettempdir()))


def forget_unused(folder: Path) -> None:
    """Remove copies that have not been used for a week."""
    oldest = time.time() - KEEP_DAYS * 86_400
    for copy in folder.iterdir():
        try:
            if copy.stat().st_mtime < oldest:
                copy.unlink()
        except OSError:
            continue  # another run has removed it
