"""`kedro deploy up`, `down`, `what-if` and `status`: the deployment, by Azure Resource Manager."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from batch_scoring.cli.command import AZURE_ENV, JSON, command, print_json
from batch_scoring.deploy.plan import DeploymentPlan, read_plan

if TYPE_CHECKING:
    from batch_scoring.deploy.arm.client import Client
    from batch_scoring.deploy.arm.down import Survey
    from batch_scoring.deploy.arm.up import DeploymentRequest

_workflows = click.option(
    "--workflows",
    type=click.Choice(["auto", "on", "off"]),
    default="auto",
    show_default=True,
    help="Whether the workflows fire; auto: when the registry has the image.",
)
_dry_run = click.option("--dry-run", is_flag=True, help="Show what would be done; nothing is changed.")


@command("up", AZURE_ENV, _workflows, _dry_run, JSON)
def up(env: str, workflows: str, dry_run: bool, as_json: bool) -> None:
    """Create or update the Azure resources of the settings; existing data stays.

    Safe to repeat: a running deployment is joined, a failed one is continued. The
    workflows are switched on once the registry has the image.
    """
    from batch_scoring.deploy.arm import up as deployment

    plan = read_plan(env)
    client = _client(plan)
    request = _request(plan, client, workflows)
    say = _to_stderr if as_json else click.echo
    if dry_run:
        deployment.would(client, request, say)
        return
    outputs = deployment.up(client, request, say)
    if as_json:
        print_json(outputs)
        return
    for name, value in outputs.items():
        click.echo(f"{name}: {value if isinstance(value, str) else json.dumps(value)}")


@command("what-if", AZURE_ENV, _workflows, JSON)
def what_if(env: str, workflows: str, as_json: bool) -> None:
    """Show what `up` would create, change and leave unchanged."""
    from batch_scoring.deploy.arm import what_if as prediction

    plan = read_plan(env)
    client = _client(plan)
    request = _request(plan, client, workflows)
    if client.group() is None:
        changes = prediction.all_new(request.template)
    else:
        changes = prediction.predict(client, request.properties, request.unwanted)
    if as_json:
        print_json([one.as_data() for one in changes])
    else:
        click.echo("\n".join(prediction.lines(changes)))


@command("status", AZURE_ENV, JSON)
def status(env: str, as_json: bool) -> None:
    """Show the state of the deployment, its resources, and the last runs of its workflows."""
    from batch_scoring.deploy.arm import status as reading

    found = reading.read_status(_client(read_plan(env)))
    if as_json:
        print_json(asdict(found))
    else:
        click.echo("\n".join(reading.lines(found)))


@command("env", AZURE_ENV)
def write_environment(env: str) -> None:
    """Keep in conf/ENV/deployed.json what `--env ENV` needs on this machine, such as for `kedro jobs list`.

    The file has no secret, is ignored by git, and is written again after another `up`.
    """
    from batch_scoring.core.environment import deployed_file
    from batch_scoring.core.errors import InputError

    plan = read_plan(env)
    found = _client(plan).deployment()
    outputs = (found.properties.outputs if found is not None else None) or {}
    if not {"data", "jobs"} <= outputs.keys():
        raise InputError(
            f"deployment {plan.settings.name!r}: it has not succeeded yet; run `kedro deploy up`, and then "
            "`kedro deploy env`"
        )
    names = {"BATCH_SCORING_DATA": "data", "BATCH_SCORING_JOBS": "jobs"}
    file = deployed_file(env)
    kept = {variable: outputs[name]["value"] for variable, name in names.items()}
    file.write_text(json.dumps(kept, indent=2) + "\n", "utf-8")
    click.echo(file)


@command("down", AZURE_ENV, _dry_run)
@click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")
@click.option("--delete-data", is_flag=True, help="Delete the storage account, too; asks for its name.")
def down(env: str, yes: bool, delete_data: bool, dry_run: bool) -> None:
    """Delete everything in Azure except the data: readings, models and predictions stay.

    Safe to repeat after an interruption.
    """
    from batch_scoring.deploy.arm import down as removal

    client = _client(read_plan(env))
    found = removal.survey(client, delete_data)
    _show(found, client.place.resource_group)
    if found.is_empty or dry_run:
        return
    if not yes:
        click.confirm("go on?", abort=True)
    if delete_data:
        _confirm_data(found)
    removal.remove(client, found, click.echo)
    left = removal.survey(client, delete_data)
    kept = ", ".join(map(str, (*left.kept, *left.foreign))) or "nothing"
    click.echo(f"left in resource group {client.place.resource_group}: {kept}")


def _show(found: Survey, group: str) -> None:
    if found.is_empty:
        click.echo(f"nothing of the deployment is in resource group {group}")
    for one in found.going:
        click.echo(f"goes: {one}")
    for extension in found.extensions:
        click.echo(f"goes: {extension.rpartition('/providers/')[2]}, which is of no use any more")
    if found.group_goes:
        click.echo(f"goes: resource group {group}")
    for one in found.kept:
        click.echo(f"stays: {one}, with all data")
    for one in found.foreign:
        click.echo(f"stays: {one}, which `up` did not make")


def _confirm_data(found: Survey) -> None:
    """Ask for the name of each storage account."""
    from batch_scoring.core.errors import InputError
    from batch_scoring.deploy.arm.down import DATA_TYPES

    for one in found.going:
        if one.type.lower() in DATA_TYPES:
            click.echo(f"{one} goes with all readings, models and predictions, for good")
            typed = click.prompt("type its name", default="", show_default=False)
            if typed.strip() != one.name:
                raise InputError(f"{one}: {typed.strip()!r} is not its name; nothing was deleted")


def _client(plan: DeploymentPlan) -> Client:
    from batch_scoring.cloud.secrets_in_logs import hide_signatures
    from batch_scoring.deploy.arm.client import Client

    hide_signatures()
    return Client(plan.place)


def _request(plan: DeploymentPlan, client: Client, workflows: str) -> DeploymentRequest:
    """Return what to deploy; by default the workflows fire if their images exist."""
    deployer = client.principal()
    if workflows != "auto":
        return plan.request(workflows == "on", deployer)
    digests, why = plan.image_digests(client)
    if not digests:
        _to_stderr(
            f"workflows: off, as {why}; run `kedro deploy image build` and `kedro deploy image push`, with "
            "--variant=train for a tag that ends in -train, and then `kedro deploy up` again"
        )
    return plan.request(bool(digests), deployer, digests)


def _to_stderr(text: str) -> None:
    click.echo(text, err=True)
