"""`kedro deploy template` and `check`: write the ARM template, and check it without Azure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batch_scoring.cli.command import ENV, PARAMS, command
from batch_scoring.deploy.plan import read_plan

if TYPE_CHECKING:
    from batch_scoring.deploy.plan import DeploymentPlan
    from batch_scoring.deploy.template.check import Report

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
    plan = read_plan(env, params, tag)
    template, parameters = plan.template()
    _require_faultless(_report(plan, template, parameters))
    output.mkdir(parents=True, exist_ok=True)
    for name, content in (("azuredeploy.json", template), ("azuredeploy.parameters.json", parameters)):
        path = output / name
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        click.echo(path)
    group = plan.names.resource_group
    click.echo(
        f"az deployment group create --resource-group {group} --template-file {output}/azuredeploy.json"
    )
    click.echo(f"  --parameters @{output}/azuredeploy.parameters.json")
    _note(plan)


@command("check", ENV, PARAMS, _tag)
def check(env: str | None, params: str, tag: str | None) -> None:
    """Check settings, template and workflows without Azure; one line per resource and per fault."""
    plan = read_plan(env, params, tag)
    report = _report(plan, *plan.template())
    for one in report.resources:
        # Roles have names that only machines tell apart.
        why = one.body.get("properties", {}).get("description")
        click.echo(f"{one.line}: {why}" if why else one.line)
    _require_faultless(report)
    click.echo(f"{len(report.resources)} resources, no fault")
    _note(plan)


def _report(plan: DeploymentPlan, template: dict[str, Any], parameters: dict[str, Any]) -> Report:
    from batch_scoring.deploy.template.check import check_template

    return check_template(template, parameters, plan.names.resource_group, plan.settings.location)


def _require_faultless(report: Report) -> None:
    if report.faults:
        for fault in report.faults:
            click.echo(f"Error: {fault}", err=True)
        raise SystemExit(1)


def _note(plan: DeploymentPlan) -> None:
    """Print notes on settings that are valid and yet not what one may expect."""
    settings = plan.settings
    if settings.retrain.enabled and settings.tracking_uri is None:
        click.echo(
            "note: retraining is off; it needs an MLflow server, to be named in deploy.tracking_uri", err=True
        )
    if settings.subscription is None:
        click.echo(
            "note: deploy.subscription is not set, and names change with it; set it before you deploy",
            err=True,
        )
