"""`kedro deploy …`: the group of commands, and the Stream Analytics query and job."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from batch_scoring.cli.command import ENV, command, print_json
from batch_scoring.cli.deploy_arm import down, status, up, what_if, write_environment
from batch_scoring.cli.deploy_image import image
from batch_scoring.cli.deploy_push import data, models
from batch_scoring.cli.deploy_smoke import smoke
from batch_scoring.cli.deploy_template import check, write
from batch_scoring.jobs.context import open_context

if TYPE_CHECKING:
    from batch_scoring.deploy.stream_analytics.query import WindowsQuery
    from batch_scoring.deploy.template.build import Format


FORMATS = click.Choice(["Parquet", "Json"])


@click.group(name="deploy")
def deploy() -> None:
    """Deploy to Azure: image, template, models and data; or write and check what would be deployed."""


@command("stream-query", ENV)
def print_stream_query(env: str | None) -> None:
    """Print the Stream Analytics query that computes the windows of `aggregate`."""
    click.echo(str(_configured_query(env)), nl=False)


@command("stream-job", ENV)
@click.option("--format", "output_format", type=FORMATS, default="Parquet", help="Of the windows.")
def print_stream_job(env: str | None, output_format: str) -> None:
    """Print the ARM template of the Stream Analytics job, with its query."""
    from batch_scoring.deploy.template.build import job_template

    template = job_template(_configured_query(env), cast("Format", output_format))
    print_json(template)


def _configured_query(env: str | None) -> WindowsQuery:
    from batch_scoring.deploy.stream_analytics.query import configured_query

    return configured_query(open_context(None, env).params)


for part in (image, write, check, up, down, what_if, status, write_environment, models, data, smoke):
    deploy.add_command(part)
for part in (print_stream_query, print_stream_job):
    deploy.add_command(part)
