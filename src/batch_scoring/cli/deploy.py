"""`kedro deploy …`: what is to be deployed, printed for the project's own settings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

import click

from batch_scoring.cli import OneLineErrors
from batch_scoring.deploy import arm_cli, image_cli, push_cli, template_cli
from batch_scoring.deploy.project import project_parameters

if TYPE_CHECKING:
    from batch_scoring.deploy.stream_analytics import WindowsQuery
    from batch_scoring.deploy.stream_analytics.job import Format

_env = click.option("--env", "-e", metavar="ENV", help="Kedro configuration environment.")


@click.group(name="deploy")
def deploy() -> None:
    """Deploy to Azure: image, template, models and data; or write and check what would be deployed."""


for part in (image_cli, template_cli, arm_cli, push_cli):
    part.add_to(deploy)


@deploy.command("stream-query", cls=OneLineErrors)
@_env
def print_stream_query(env: str | None) -> None:
    """Print the Stream Analytics query that makes the windows of `aggregate`."""
    click.echo(str(_configured_query(env)), nl=False)


@deploy.command("stream-job", cls=OneLineErrors)
@_env
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["Parquet", "Json"]),
    default="Parquet",
    help="Of the windows.",
)
def print_stream_job(env: str | None, output_format: str) -> None:
    """Print the ARM template of the Stream Analytics job, with its query."""
    from batch_scoring.deploy.stream_analytics import job_template

    template = job_template(_configured_query(env), cast("Format", output_format))
    click.echo(json.dumps(template, indent=2, ensure_ascii=False))


def _configured_query(env: str | None) -> WindowsQuery:
    from batch_scoring.deploy.stream_analytics.configured import configured_query

    return configured_query(project_parameters(env))
