"""Digests of settings and inputs, which show whether a result is still up to date."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


def file_sha256(path: Path | str) -> str:
    """Compute the SHA-256 of a file, block by block; 64 hex digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(values: Any) -> str:
    """Compute the SHA-256 of values as JSON with sorted keys; 64 hex digits.

    Stored results are compared with it: a change of the JSON's form would recompute all of them.

    Examples
    --------
    >>> digest_of({"b": 1, "a": "ä"}) == digest_of({"a": "ä", "b": 1})
    True
    """
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def number_of(values: Any) -> int:
    """Compute 60 bits of :func:`digest_of`, which fit where a table keeps a number."""
    return int(digest_of(values)[:15], 16)
