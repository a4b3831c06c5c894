"""Say what went wrong with a Delta table in one sentence; the library's own errors fill a screen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from batch_scoring.core.errors import InputError
from batch_scoring.core.system_errors import system_error
from batch_scoring.storage.folder import Folder
from batch_scoring.storage.local import LocalFolder
from batch_scoring.storage.table_log import LOG

_LONGEST_REASON = 300
# How the library begins when a log is not as the protocol says.
_DAMAGED = "Kernel error: "


@contextmanager
def clear_errors(folder: Folder) -> Iterator[None]:
    """Raise errors of ``deltalake`` as one sentence that names the table; a missing table as it is."""
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        yield
    except TableNotFoundError:
        raise
    except (DeltaError, OSError, ValueError) as error:
        # The client's own sentence names what is wrong with a storage.
        folder.entry(f"{LOG}/_last_checkpoint")
        advice = "; restore its log from a backup" if str(error).startswith(_DAMAGED) else ""
        raise system_error(error, folder.path()) or InputError(
            f"{folder.path()}: this table cannot be read or written ({_one_line(error)}){advice}"
        ) from error


def require_whole(folder: Folder, version: int) -> None:
    """Raise when a local log ends in an empty file, which deltalake takes for a commit of nothing."""
    if isinstance(folder, LocalFolder):
        place = folder.root / LOG / f"{version:020d}.json"
        if place.exists() and place.stat().st_size == 0:
            raise InputError(
                f"{place}: this commit is empty, perhaps since the power failed, and this table cannot be "
                "read; delete that file and run again"
            )


def _one_line(error: Exception) -> str:
    """Return an error of ``deltalake`` without its colours, arrows, lines and the calls of RUST_BACKTRACE."""
    said = re.split(r"\n\s*0: ", str(error))[0]
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m|↳", " ", said).split())
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}…"
