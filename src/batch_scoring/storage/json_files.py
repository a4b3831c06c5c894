"""JSON files in folders, indented for people and machines alike."""

from __future__ import annotations

import json
from typing import Any

from batch_scoring.core.errors import InputError
from batch_scoring.storage.folder import Folder


def json_bytes(values: Any, indent: int = 1, sort_keys: bool = False) -> bytes:
    """Write values as the bytes of a file."""
    return (json.dumps(values, indent=indent, sort_keys=sort_keys, ensure_ascii=False) + "\n").encode()


def read_json(folder: Folder, name: str, mend: str) -> Any:
    """Read a file; None where there is none.

    Raises
    ------
    InputError
        When it is not JSON, with ``mend``: what to do about it.
    """
    try:
        return json.loads(folder.read(name)[0])
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError(f"{folder.path(name)}: not readable ({error}); {mend}") from error
