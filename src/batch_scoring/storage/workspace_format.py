"""The format of a workspace: which tables there are and how they are stored."""

from __future__ import annotations

import json
import re
import shlex

from batch_scoring.core.errors import InputError
from batch_scoring.storage.folder import Entry, Folder
from batch_scoring.storage.json_files import json_bytes

FORMAT = 2
MARKER = "workspace.json"
# Tables of format 1 had a file a sensor and day.
_FORMER = re.compile(r"[^/]+/\d{4}-\d\d-\d\d\.parquet")
READINGS, WINDOWS, PREDICTIONS = (
    "02_intermediate/readings",
    "03_primary/windows",
    "07_model_output/predictions",
)


def require_format(folder: Folder) -> None:
    """Raise for a workspace of another format; mark a new one.

    Raises
    ------
    InputError
        Saying how to convert it.
    """
    found = read_format(folder)
    if found is None:
        write_format(folder, FORMAT)
    elif found < FORMAT:
        raise InputError(
            f"{folder.path()}: this workspace has format {found}, written by an earlier version; expected "
            f"{FORMAT}: convert it with `kedro workspace upgrade --data {shlex.quote(folder.path())}`"
        )
    elif found > FORMAT:
        raise InputError(
            f"{folder.path()}: this workspace has format {found}, written by a newer version; expected "
            f"{FORMAT}: install that version of batch_scoring, or use another folder"
        )


def read_format(folder: Folder) -> int | None:
    """Return the format of a workspace; None for a new one.

    Raises
    ------
    InputError
        When its marker cannot be read.
    """
    try:
        return int(json.loads(folder.read(MARKER)[0])["format"])
    except FileNotFoundError:
        is_former = any(former_files(folder.below(name)) for name in (READINGS, WINDOWS, PREDICTIONS))
        return 1 if is_former else None
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{folder.path(MARKER)}: not readable ({error}); expected a format, such as "
            f'{{"format": {FORMAT}}}; delete it and run again'
        ) from error


def write_format(folder: Folder, number: int) -> None:
    """Mark a workspace as one of this format."""
    try:
        former = folder.read(MARKER)[1]
    except FileNotFoundError:
        former = None
    folder.replace(MARKER, json_bytes({"format": number}), former)


def former_files(folder: Folder) -> list[Entry]:
    """List the files of a table of format 1."""
    return [entry for entry in folder.entries(".parquet") if _FORMER.fullmatch(entry.name)]
