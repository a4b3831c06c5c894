"""`kedro readings …`: look at files of readings, and mend what was read from them.

Each command has a module of its own, `readings_<command>.py`, and is added to the group below.
"""

from __future__ import annotations

import click


@click.group(name="readings")
def readings() -> None:
    """Inspect files, retry refused ones, replace and delete readings."""
