"""The settings ``deploy.image``: name and base of the image."""

from __future__ import annotations

import re
from dataclasses import dataclass

from batch_scoring.core.parameters import require

_REPOSITORY = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True)
class ImageSettings:
    """``deploy.image``.

    Attributes
    ----------
    repository : str
        The image's name in its registry.
    tag : str or None
        None: the package's version and the commit.
    base : str
        The base image, with Python in it.

    Raises
    ------
    InputError
        When a name is not valid.
    """

    repository: str = "batch-scoring"
    tag: str | None = None
    base: str = "docker.io/library/python:3.12-slim"

    def __post_init__(self) -> None:
        checks = {
            "repository": (
                _REPOSITORY.fullmatch(self.repository) is not None,
                "lower-case letters and digits, separated by one of . _ - /",
            ),
            "tag": (
                self.tag is None or _TAG.fullmatch(self.tag) is not None,
                "1 to 128 letters, digits, . _ and -, no . or - first",
            ),
        }
        require(self, "deploy.image", checks)
