"""Read and write indented JSON files in folders."""

from __future__ import annotations

import json
from typing import Any

from batch_scoring.core.errors import InputError
from batch_scoring.storage.folder import Folder


def json_bytes(values: Any, indent: int = 1, sort_keys: bool = False) -> bytes:
    """Encode values as the bytes of a JSON file."""
    return (json.dumps(values, indent=indent, sort_keys=sort_keys, ensure_ascii=False) + "\n").encode()


def read_json(folder: Folder, name: str, mend: str) -> Any:
    """Read a JSON file; None if it does not exist.

    Raises
    ------
    InputError
        When it is not valid JSON; ``mend`` says what to do.
    """
    try:
        return json.loads(folder.read(name)[0])
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError(f"{folder.path(name)}: not readable ({error}); {mend}") from error
