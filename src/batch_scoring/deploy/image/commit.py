"""Name an image after the commit that it is built from."""

from __future__ import annotations

from pathlib import Path

from batch_scoring.core.commit import Commit, read_commit

__all__ = ["Commit", "image_tag", "read_commit"]


def image_tag(given: str | None) -> str:
    """Return the given tag, else one of the version and the commit of this tree of files."""
    from batch_scoring import __version__

    return given or read_commit(Path.cwd()).tag(__version__)
