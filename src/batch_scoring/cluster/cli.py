"""`kedro jobs …`: submit the jobs of a scheduled time, and see what became of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from batch_scoring.cli import OneLineErrors
from batch_scoring.cluster.plan_cli import plan
from batch_scoring.exit_codes import FAILED

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext

    from batch_scoring.cluster.backend import Backend
    from batch_scoring.cluster.settings import JobsParameters

PIPELINES = ("score", "train", "evaluate")


@click.group(name="jobs")
def jobs() -> None:
    """Submit scoring and training as jobs, one per sensor; watch them."""


jobs.add_command(plan)


@dataclass(frozen=True)
class Cluster:
    """What the commands work on."""

    data: str
    settings: JobsParameters
    backend: Backend


def _command(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """A command of the group, with the options that choose workspace and engine."""

    def decorate(function: Callable[..., None]) -> click.Command:
        for option in (
            click.option("--data", metavar="FOLDER", help="The folder of the data; default: the catalog's."),
            click.option("--env", "-e", metavar="ENV", help="Kedro configuration environment."),
            click.option("--backend", metavar="NAME", help="The engine; default: jobs.backend."),
        ):
            function = option(function)
        return jobs.command(name, cls=OneLineErrors)(function)

    return decorate


@_command("submit")
@click.option("--at", metavar="TIME", help="The scheduled time; default: the last full jobs.every.")
@click.option("--pipeline", type=click.Choice(PIPELINES), default="score", show_default=True)
@click.option("--wait/--no-wait", default=False, help="Wait for the jobs, and exit with 1 if one failed.")
@click.option("--params", default="", metavar="KEY=VALUE,…", help="Other settings than those of the files.")
def submit_jobs(
    at: str | None,
    pipeline: str,
    wait: bool,
    params: str,
    data: str | None,
    env: str | None,
    backend: str | None,
) -> None:
    """Submit the jobs of a scheduled time, and of those that were missed; doing it again changes nothing."""
    from batch_scoring.cluster import scheduler
    from batch_scoring.cluster.records import Records
    from batch_scoring.cluster.workspace import Workspace

    cluster = _open(data, env, backend, params)
    records = Records(cluster.data)
    moment = _scheduled(at, cluster.settings)
    done = scheduler.submit(
        cluster.backend, Workspace(cluster.data), records, pipeline, moment, cluster.settings
    )
    for one in done:
        click.echo(f"{one.run}: {len(one.specs)} jobs, {one.new} new, on {cluster.backend.name}")
    if wait or cluster.backend.name == "local":
        ended = scheduler.wait(cluster.backend, [one.run for one in done])
        bad = [
            f"{run}/{job.name} {job.state}: {job.reason}"
            for run, statuses in ended.items()
            for job in scheduler.failed(statuses)
        ]
        for line in bad:
            click.echo(line, err=True)
        if bad:
            raise SystemExit(FAILED)


def _scheduled(at: str | None, settings: JobsParameters) -> datetime:
    """The scheduled time that is meant, UTC; by default the last full one."""
    from batch_scoring.parameters import scheduled_time

    if at is not None:
        return scheduled_time(at)
    now, every = datetime.now(UTC).timestamp(), settings.every.total_seconds()
    return datetime.fromtimestamp(now // every * every, UTC)


def _open(data: str | None, env: str | None, backend: str | None, params: str = "") -> Cluster:
    """The workspace, the settings and the engine."""
    from batch_scoring.cluster.choosing import open_backend
    from batch_scoring.cluster.settings import JobsParameters
    from batch_scoring.parameters import read_parameters

    context = _context(data, env, params)
    settings = read_parameters(JobsParameters, context.params.get("jobs"), "jobs")
    if backend is not None:
        settings = replace(settings, backend=backend)
    place = str(context.config_loader["globals"]["data"]) if data is None else data
    return Cluster(place, settings, open_backend(place, env, settings, Path(context.project_path)))


def _context(data: str | None, env: str | None, params: str) -> KedroContext:
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    from batch_scoring.cli import split_params

    runtime: dict[str, Any] = split_params(click.get_current_context(), click.Option(["--params"]), params)
    if data is not None:
        runtime["data"] = data
    bootstrap_project(Path.cwd())
    with KedroSession.create(env=env, runtime_params=runtime) as session:
        return cast(KedroSession, session).load_context()
