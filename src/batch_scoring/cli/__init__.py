"""The project's own commands beside Kedro's: `kedro run` with ids kept as text, `kedro report` and others.

Kedro reads this module at every start, so nothing heavy is imported before a command runs.
"""

from __future__ import annotations

import click

from batch_scoring.cli.command import LazyGroup
from batch_scoring.cli.report import report
from batch_scoring.cli.run import run


@click.group(name="batch_scoring")
def cli() -> None:
    """Commands of the batch_scoring project."""


cli.add_command(run)
cli.add_command(report)
_KEDRO = "batch_scoring.cli.kedro_commands"
cli.add_command(LazyGroup("catalog", _KEDRO, "Describe datasets, and what they are resolved to."))
cli.add_command(LazyGroup("registry", _KEDRO, "List and describe pipelines."))
cli.add_command(LazyGroup("jupyter", _KEDRO, "Open the project in Jupyter."))
cli.add_command(LazyGroup("fleet", "batch_scoring.cli.fleet", "Look at the fleet in a browser."))
cli.add_command(LazyGroup("models", "batch_scoring.cli.models", "List, promote, roll back, import models."))
cli.add_command(
    LazyGroup("readings", "batch_scoring.cli.readings", "Inspect files; retry, replace and delete readings.")
)
cli.add_command(LazyGroup("alerts", "batch_scoring.cli.alerts", "Try where alerts go."))
cli.add_command(
    LazyGroup("deploy", "batch_scoring.cli.deploy", "Deploy to Azure: image, template, models, data.")
)
cli.add_command(LazyGroup("jobs", "batch_scoring.cli.jobs", "Jobs, one per sensor: submit, watch."))
cli.add_command(
    LazyGroup("workspace", "batch_scoring.cli.workspace", "Convert a workspace of an earlier version.")
)
