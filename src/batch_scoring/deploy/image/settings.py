"""The settings ``deploy.image``: name and base of the image."""

from __future__ import annotations

import re
from dataclasses import dataclass

from batch_scoring.core.errors import InputError

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
        if not _REPOSITORY.fullmatch(self.repository):
            raise InputError(
                f"deploy.image.repository: {self.repository!r} is not valid; "
                "expected lower-case letters and digits, separated by one of . _ - /"
            )
        if self.tag is not None and not _TAG.fullmatch(self.tag):
            raise InputError(
                f"deploy.image.tag: {self.tag!r} is not valid; expected 1 to 128 letters, digits, . _ and -, "
                "no . or - first"
            )
