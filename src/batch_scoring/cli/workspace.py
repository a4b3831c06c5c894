"""`kedro workspace …`: convert a workspace of an earlier version, validate its tables."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import click

from batch_scoring.cli.command import DATA, ENV, command
from batch_scoring.core.errors import InputError
from batch_scoring.jobs.context import open_context

if TYPE_CHECKING:
    from kedro.validation import ValidationResult

_VALIDATORS, _VALIDATED = "batch_scoring.datasets.validators", ("readings", "windows", "predictions")


@click.group(name="workspace")
def workspace() -> None:
    """Convert a workspace of an earlier version, validate its tables."""


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


@command("validate", DATA, ENV)
def validate(data: str | None, env: str | None) -> None:
    """Read readings, windows and predictions, and check every row of them."""
    from kedro.validation import validate_catalog

    import_module(_VALIDATORS)  # of a missing library Kedro would name its own extra
    catalog = open_context(data, env).catalog
    if not any(catalog.load(name).exists for name in _VALIDATED):
        raise InputError(
            f"{catalog['workspace'].folder.path()}: there are no tables yet; name the workspace with --data"
        )
    results = validate_catalog(catalog, list(_VALIDATED))
    for name, result in results.items():
        if result:
            click.echo(f"{name}: {catalog.load(name).num_rows:,} rows are valid")
    failed = [f"{name}: {_why(result)}" for name, result in results.items() if not result]
    if failed:
        raise InputError("; ".join(failed))


def _why(result: ValidationResult) -> str:
    """Say in a sentence what is wrong with a table."""
    if not result.failures:
        return " ".join((result.message or result.status).split())
    found = (
        f"{one.message}, {one.failure_count} times, such as {', '.join(map(str, one.failure_examples))}"
        for one in result.failures
    )
    return "; ".join(found)


workspace.add_command(upgrade)
workspace.add_command(validate)
