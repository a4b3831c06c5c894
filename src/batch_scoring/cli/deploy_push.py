"""`kedro deploy models push` and `data push`: copy local models and data into the cloud's container."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from batch_scoring.cli.command import AZURE_ENV, command
from batch_scoring.deploy.plan import read_plan

if TYPE_CHECKING:
    from batch_scoring.deploy.push import Counts, Push, Step

_SAY_EVERY = 100


@click.group()
def models() -> None:
    """Push models to score with in the cloud."""


@click.group()
def data() -> None:
    """Push readings and windows to start with in the cloud."""


_PUSH = (
    AZURE_ENV,
    click.option("--from", "source", metavar="FOLDER", default="data", show_default=True, help="Workspace."),
    click.option("--to", metavar="URL", help="Default: the container of the deployment."),
    click.option("--force", is_flag=True, help="Overwrite files changed in the cloud meanwhile."),
    click.option("--dry-run", is_flag=True, help="Show what would be copied; nothing is changed."),
)


@command("push", *_PUSH)
def push_models(env: str, source: str, to: str | None, force: bool, dry_run: bool) -> None:
    """Copy the published models of a workspace; only what is missing or changed.

    A model published by the cloud meanwhile is kept, and the command exits with 1.
    """
    from batch_scoring.deploy.push import files_of_models
    from batch_scoring.storage.local import LocalFolder

    groups = files_of_models(LocalFolder(source))
    _push(_opened(env, source, to, force), groups, dry_run)


@command("push", *_PUSH)
@click.option(
    "--layer",
    "layers",
    multiple=True,
    type=click.Choice(["readings", "windows"]),
    help="What to copy, more than once for more; default: both.",
)
def push_data(
    env: str, source: str, to: str | None, force: bool, dry_run: bool, layers: tuple[str, ...]
) -> None:
    """Copy readings and windows of a workspace; only what is missing or changed.

    Files written by the cloud meanwhile are kept, and the command exits with 1.
    """
    from batch_scoring.deploy.push import LAYERS, files_of_layers
    from batch_scoring.storage.local import LocalFolder

    groups = files_of_layers(LocalFolder(source), layers or tuple(LAYERS))
    _push(_opened(env, source, to, force), groups, dry_run)


def _opened(env: str, source: str, to: str | None, force: bool) -> Push:
    from batch_scoring.deploy.push import Push
    from batch_scoring.storage import open_folder
    from batch_scoring.storage.local import LocalFolder

    return Push(LocalFolder(source), open_folder(to or read_plan(env).data_url), force)


def _push(push: Push, groups: list[list[str]], dry_run: bool) -> None:
    from batch_scoring.core.errors import InputError
    from batch_scoring.deploy.push import count

    planned = push.plan(groups)
    wanted = count(planned)
    if dry_run:
        for step in (step for group in planned for step in group if step.kind != "same"):
            click.echo(f"{'would copy' if step.kind == 'copy' else 'would keep theirs'}: {step.name}")
        click.echo(f"would be {_said(wanted)}")
        return
    done = push.run(planned, _Progress(wanted.copied))
    click.echo(_said(done))
    if done.kept:
        more = f" and {len(done.kept) - 1} more" if len(done.kept) > 1 else ""
        raise InputError(
            f"{done.kept[0]}{more}: changed there meanwhile, and kept; look at which is right, and use "
            "--force to copy over it"
        )


class _Progress:
    """Logs the progress every hundred files."""

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0

    def __call__(self, step: Step) -> None:
        self._done += step.kind == "copy"
        if step.kind == "copy" and self._done % _SAY_EVERY == 0:
            click.echo(f"{self._done:,} of {self._total:,} files", err=True)


def _said(counts: Counts) -> str:
    copied = f"copied: {counts.copied:,} files, {counts.copied_bytes:,} bytes"
    return f"{copied}; there already: {counts.same:,}; changed there and kept: {len(counts.kept):,}"


models.add_command(push_models)
data.add_command(push_data)
