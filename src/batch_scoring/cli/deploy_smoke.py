"""`kedro deploy smoke`: try a deployment out for an hour, delete it, and write a report."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batch_scoring.cli.command import AZURE_ENV, PARAMS, command
from batch_scoring.deploy.plan import DeploymentPlan, read_plan

if TYPE_CHECKING:
    from batch_scoring.deploy.arm.client import Client


@command("smoke", AZURE_ENV, PARAMS)
@click.option(
    *("--report",),
    metavar="FILE",
    default="smoke-report.md",
    show_default=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="What became of each step, to attach to an issue.",
)
@click.option(
    *("--max-minutes",),
    type=click.IntRange(10, 600),
    default=120,
    show_default=True,
    help="After this time nothing more is begun, and everything is deleted.",
)
@click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")
@click.option("--clean-up", is_flag=True, help="Only delete what an earlier smoke test has left.")
def smoke(env: str, params: str, report: Path, max_minutes: int, yes: bool, clean_up: bool) -> None:
    """Try out a deployment of its own: up, image, models, one hour, compare, down.

    Makes the resource group rg-smoke in the subscription of the settings, and deletes
    it with everything in it at the end, whatever happens. It costs money while it lasts.
    """
    from batch_scoring import __version__
    from batch_scoring.cli.deploy_arm import _client
    from batch_scoring.core.errors import InputError
    from batch_scoring.deploy import smoke as trial
    from batch_scoring.deploy.smoke_hour import SmokeHour, smoke_plan

    plan = smoke_plan(read_plan(env, params))
    client = _client(plan)
    with tempfile.TemporaryDirectory(prefix="batch_scoring_smoke_") as folder:
        hour = SmokeHour(
            plan,
            client,
            Path(folder),
            lambda fires: plan.request(fires, client.principal()),
            lambda: _push_image(plan),
            click.echo,
        )
        if clean_up:
            click.echo(hour.delete())
            return
        _require_free(client)
        if not yes:
            click.echo(_price(plan, max_minutes))
            click.confirm("go on?", abort=True)
        outcomes = trial.try_out(hour.steps(), hour.clean_up(), 60.0 * max_minutes, click.echo)
    about = [
        ("version", f"{__version__}, image tag {plan.tag}"),
        (
            "region, engine",
            f"{plan.settings.location}, {plan.settings.compute}, {plan.settings.nodes.vm_size}",
        ),
        ("network", plan.settings.network.access),
    ]
    text = trial.report_of(outcomes, about, client.place.subscription)
    report.write_text(text, encoding="utf-8")
    click.echo(report)
    if not trial.is_well(outcomes):
        first = next(one for one in outcomes if one.state == trial.FAILED)
        raise InputError(f"{first.name}: {first.note}; the whole is in {report}")


def _require_free(client: Client) -> None:
    from batch_scoring.core.errors import InputError

    if client.group() is not None:
        raise InputError(
            f"resource group {client.place.resource_group!r}: it is there already; if an earlier smoke test "
            "has left it, run `kedro deploy smoke --clean-up`"
        )


def _price(plan: DeploymentPlan, max_minutes: int) -> str:
    settings = plan.settings
    private = "; a NAT gateway and six private endpoints" if settings.network.is_private else ""
    return (
        f"This makes resource group {plan.names.resource_group} in {settings.location}, and deletes it with "
        f"all that is in it: at the end, or after the step during which {max_minutes} minutes are over.\n"
        "Paid while it lasts: Event Hubs (Standard, "
        f"{settings.event_hub.throughput_units} throughput units), the registry, at most one node of "
        f"{settings.nodes.vm_size}, a container for the scheduler, blobs and logs{private}.\n"
        "What that costs in your region, the pricing calculator says; the bill comes a day later."
    )


def _push_image(plan: DeploymentPlan) -> str:
    from batch_scoring.deploy.image.engine import build_command, find_engine, name_in, run
    from batch_scoring.deploy.image.registry import login_for, push

    engine, image, host = find_engine(), plan.image("score"), plan.names.registry_host
    run(build_command(engine, image), cwd=Path.cwd())
    remote = name_in(host, image.name)
    return f"{remote.rpartition(':')[0]}@{push(engine, image.name, remote, login_for(host))}"
