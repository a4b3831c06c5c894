"""Read the commit of a tree of files: what an image is built from, what a training ran."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

_SHORT = 7


@dataclass(frozen=True)
class Commit:
    """The commit of a tree of files.

    Attributes
    ----------
    id : str
        Its hash; empty where there is no history.
    made : str
        When, ISO 8601.
    dirty : bool
        Whether files differ from it.
    """

    id: str = ""
    made: str = "1980-01-01T00:00:00+00:00"
    dirty: bool = False

    @property
    def revision(self) -> str:
        """Hash for a label, marked where files differ from it."""
        return (self.id or "unknown") + ("-dirty" if self.dirty else "")

    def tag(self, version: str) -> str:
        """Return the tag of an image of this commit.

        Examples
        --------
        >>> Commit("0123456789abcdef").tag("1.2.0"), Commit("0123456789abcdef", dirty=True).tag("1.2.0")
        ('1.2.0-0123456', '1.2.0-0123456-dirty')
        >>> Commit().tag("1.2.0+local")
        '1.2.0-local'
        """
        parts = [version.replace("+", "-"), self.id[:_SHORT], "dirty" if self.dirty else ""]
        return "-".join(filter(None, parts))


def read_commit(project: Path) -> Commit:
    """Read the commit of a folder; without a hash where git or a history is missing."""
    head = _git(project, "log", "-1", "--format=%H %cI")
    if not head:
        return Commit()
    identity, made = head.split()
    return Commit(identity, made, dirty=bool(_git(project, "status", "--porcelain")))


def _git(project: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(project), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
