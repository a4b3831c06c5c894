"""What runs where there is no POSIX, see ``sitecustomize.py`` here."""

import os
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def environment_elsewhere() -> dict[str, str]:
    """Return the environment of a process that finds no POSIX, nor do its children; it names the user."""
    paths = [str(Path(__file__).parent), str(PROJECT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "DO_NOT_TRACK": "1", "USERNAME": "someone"}
