"""Read configuration from environment variables, where containers find their place.

Kedro reads this module at every start, so it imports nothing heavy.
"""

from __future__ import annotations

import os
from typing import Any

from batch_scoring.core.errors import InputError


def variable(name: str, default: str | None = None) -> str | None:
    """The text of a variable; ``${environment:NAME,default}`` in a file below ``conf/``.

    One that is empty counts as not set.
    """
    return os.environ.get(name) or default


def group(name: str) -> dict[str, Any]:
    """The settings that a variable holds as a JSON object; ``${environment_json:NAME}``, empty if not set.

    Raises
    ------
    InputError
        When it is none.
    """
    import json

    text = os.environ.get(name)
    if not text:
        return {}
    try:
        read = json.loads(text)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise InputError(f"{name}: this variable holds no JSON object; unset it, or write it as in {{}}")
    return read
