"""`kedro workspace …`: convert a workspace of an earlier version."""

from __future__ import annotations

import click

from batch_scoring.cli.command import DATA, ENV, command
from batch_scoring.jobs.context import open_context


@click.group(name="workspace")
def workspace() -> None:
    """Convert a workspace of an earlier version."""


@command("upgrade", DATA, ENV)
def upgrade(data: str | None, env: str | None) -> None:
    """Convert the tables to the present format; no row is lost, and a killed upgrade may be repeated."""
    from batch_scoring.core.parameters import read_parameters
    from batch_scoring.storage.upgrade import upgrade_workspace
    from batch_scoring.windows.settings import MADE_WITH, AggregateParameters

    context = open_context(data, env)
    settings = read_parameters(AggregateParameters, context.params["aggregate"], "aggregate")
    upgrade_workspace(
        context.catalog["workspace"].folder,
        click.echo,
        lambda rows: {MADE_WITH: settings.of(rows).number if rows.num_rows else 0},
    )


workspace.add_command(upgrade)
