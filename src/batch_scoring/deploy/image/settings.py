"""The settings ``deploy.image``: what the image is called, and what it is built on."""

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
        The image that it is built on, with Python in it.

    Raises
    ------
    InputError
        When a registry would not take a name.
    """

    repository: str = "batch-scoring"
    tag: str | None = None
    base: str = "docker.io/library/python:3.12-slim"

    def __post_init__(self) -> None:
        if not _REPOSITORY.fullmatch(self.repository):
            raise InputError(
                f"deploy.image.repository: {self.repository!r} is no name of an image; "
                "write small letters and digits, separated by one of . _ - /"
            )
        if self.tag is not None and not _TAG.fullmatch(self.tag):
            raise InputError(
                f"deploy.image.tag: {self.tag!r} is no tag; write at most 128 letters, digits, . _ and -, "
                "of which the first is a letter or digit"
            )
