"""Read configuration from environment variables, as containers receive it.

Kedro reads this module at every start, so it imports nothing heavy.
"""

from __future__ import annotations

import os
from typing import Any

from batch_scoring.core.errors import InputError


def variable(name: str, default: str | None = None) -> str | None:
    """Return a variable's text; ``${environment:NAME,default}`` in a file below ``conf/``.

    An empty variable counts as not set.
    """
    return os.environ.get(name) or default


def group(name: str) -> dict[str, Any]:
    """Read settings from a variable with a JSON object; ``${environment_json:NAME}``, empty if not set.

    Raises
    ------
    InputError
        When it is not a JSON object.
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
        raise InputError(f"{name}: not a valid JSON object; expected one such as {{}}, or no value")
    return read
