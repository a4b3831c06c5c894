"""Read the template as stored: without the query, the workflows' definitions and the container."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any


def read_template() -> dict[str, Any]:
    """Read ``azuredeploy.json``."""
    return _read("azuredeploy.json")


def read_container_group() -> dict[str, Any]:
    """Read ``container_group.json``: the body of the scheduler's container group, without a command."""
    return _read("container_group.json")


def _read(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(files(__package__).joinpath(name).read_text("utf-8"))
    return read
