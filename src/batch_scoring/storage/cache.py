"""Places for copies on this machine: a cache that outlives the run, and a scratch folder that does not."""

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
    """Where fetched copies of published models lie: ``$BATCH_SCORING_CACHE`` or ``~/.cache/batch_scoring``.

    Where that cannot be written, a folder that goes with the run. Nobody else may write in it: what is
    scored is read from there.
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
    """A scratch folder of this process; gone at its end, or at the next run where it was killed."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(scratch_folder(tempfile.gettempdir()))


def forget_unused(folder: Path) -> None:
    """Remove copies that no run has used for a week."""
    oldest = time.time() - KEEP_DAYS * 86_400
    for copy in folder.iterdir():
        try:
            if copy.stat().st_mtime < oldest:
                copy.unlink()
        except OSError:
            continue  # another run was quicker
