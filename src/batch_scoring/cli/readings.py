"""`kedro readings …`: look at files of readings, and correct what was read from them.

Each command has a module of its own, `readings_<command>.py`, and is added to the group below.
"""

from __future__ import annotations

import click

from batch_scoring.cli.readings_correct import delete, replace
from batch_scoring.cli.readings_inspect import inspect
from batch_scoring.cli.readings_retry import retry


@click.group(name="readings")
def readings() -> None:
    """Inspect files, retry refused ones, replace and delete readings."""


for one in (inspect, retry, replace, delete):
    readings.add_command(one)
