"""`kedro deploy template` and `check`: write the ARM template, and check it without Azure."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batch_scoring.cli.command import ENV, PARAMS, command

if TYPE_CHECKING:
    from batch_scoring.deploy.template.check import Report
    from batch_scoring.deploy.template.configured import Configured

_tag = click.option("--tag", metavar="TAG", help="Of the image; default: deploy.image.tag.")


@command("template", ENV, PARAMS, _tag)
@click.option(
    *("--output", "-o"),
    metavar="FOLDER",
    default="build/deploy",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the two files.",
)
def write(env: str | None, params: str, tag: str | None, output: Path) -> None:
    """Write the ARM template and its parameters, as `up` would send them."""
    configured = _configured(env, params, tag)
    _require_faultless(_report(configured))
    output.mkdir(parents=True, exist_ok=True)
    for name, content in (
        ("azuredeploy.json", configured.template),
        ("azuredeploy.parameters.json", configured.parameters),
    ):
        path = output / name
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        click.echo(path)
    group = configured.names.resource_group
    click.echo(
        f"az deployment group create --resource-group {group} --template-file {output}/azuredeploy.json"
    )
    click.echo(f"  --parameters @{output}/azuredeploy.parameters.json")
    _note(configured)


@command("check", ENV, PARAMS, _tag)
def check(env: str | None, params: str, tag: str | None) -> None:
    """Check settings, template and workflows without Azure; one line per resource and per fault.

    Where AZURE_SPECS names a folder with Azure's published descriptions, resources are checked against them.
    """
    configured = _configured(env, params, tag)
    report = _report(configured)
    for one in report.resources:
        click.echo(one.line)
    specs = os.environ.get("AZURE_SPECS")
    if specs:
        from batch_scoring.deploy.template.known_differences import unknown_faults

        report.faults += unknown_faults(report, Path(specs))
    _require_faultless(report)
    deployed = sum(one.is_deployed for one in report.resources)
    click.echo(f"{deployed} resources, no fault")
    _note(configured)


def _configured(env: str | None, params: str, tag: str | None) -> Configured:
    from batch_scoring.deploy.template.configured import Configured
    from batch_scoring.jobs.context import open_context

    parameters: dict[str, Any] = open_context(None, env, params).params
    return Configured.read(parameters, tag)


def _report(configured: Configured) -> Report:
    from batch_scoring.deploy.template.check import check_template

    return check_template(
        configured.template,
        configured.parameters,
        configured.names.resource_group,
        configured.settings.location,
    )


def _require_faultless(report: Report) -> None:
    if report.faults:
        for fault in report.faults:
            click.echo(f"Error: {fault}", err=True)
        raise SystemExit(1)


def _note(configured: Configured) -> None:
    """Return notes on the settings that are not faults."""
    settings = configured.settings
    if settings.retrain.enabled and settings.tracking_uri is None:
        click.echo(
            "note: retraining is off; it needs an MLflow server, to be named in deploy.tracking_uri", err=True
        )
    if settings.subscription is None:
        click.echo(
            "note: deploy.subscription is not set, and names change with it; set it before you deploy",
            err=True,
        )
