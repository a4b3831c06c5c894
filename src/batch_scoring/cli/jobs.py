"""`kedro jobs …`: submit the jobs of a scheduled time, and register their results."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from batch_scoring.cli.command import JSON, PARAMS, cluster_command, print_json
from batch_scoring.cli.jobs_plan import plan, prices
from batch_scoring.cli.jobs_timings import timings
from batch_scoring.cli.jobs_watch import cancel, delete, list_runs, logs, retry, watch
from batch_scoring.core.errors import FAILED, InputError
from batch_scoring.jobs.context import open_context
from batch_scoring.jobs.finish import end_runs, finish_run

if TYPE_CHECKING:
    from batch_scoring.jobs.context import Cluster
    from batch_scoring.jobs.settings import JobsParameters

PIPELINES = ("score", "train", "evaluate")


@click.group(name="jobs")
def jobs() -> None:
    """Submit scoring, training and evaluation as jobs, one per sensor; watch them."""


@cluster_command("submit", PARAMS)
@click.option("--at", metavar="TIME", help="The scheduled time; default: the last full jobs.every.")
@click.option("--floor", is_flag=True, help="Round --at down to a multiple of jobs.every.")
@click.option("--pipeline", type=click.Choice(PIPELINES), default="score", show_default=True)
@click.option("--first", metavar="PIPELINES", help="Run these here first, such as receive,ingest,aggregate.")
@click.option("--wait/--no-wait", default=False, help="Wait for the jobs, and exit with 1 if one failed.")
def submit_jobs(
    cluster: Cluster, at: str | None, floor: bool, pipeline: str, first: str | None, wait: bool
) -> None:
    """Submit the jobs of a scheduled time and of missed times; submitting again changes nothing.

    Results of training and evaluation jobs are registered when all have ended: here with --wait, else by
    `register`.
    """
    from batch_scoring.cloud.credentials import await_identity
    from batch_scoring.core.text import number
    from batch_scoring.jobs import scheduler
    from batch_scoring.jobs.workspace import Workspace

    await_identity()
    workspace = Workspace(
        cluster.data, lambda: open_context(cluster.data, cluster.env).catalog["previous_models"]
    )
    moment = _scheduled(at, floor, cluster.settings)
    if first is not None:
        _run_first(first, cluster, moment)
    done = scheduler.submit(
        cluster.backend, workspace, cluster.records, pipeline, moment, cluster.settings, cluster.overrides
    )
    for one in done:
        click.echo(f"{one.run}: {number(len(one.specs), 'job')}, {one.new} new, on {cluster.backend.name}")
    if wait or cluster.backend.blocks_until_done:
        end_runs(cluster, [one.run for one in done])


def _run_first(pipelines: str, cluster: Cluster, at: datetime) -> None:
    """Run pipelines in a separate process; a failure ends the command, and nothing is submitted."""
    from batch_scoring.core.moments import as_text
    from batch_scoring.jobs.run_job import run_here

    code = run_here(pipelines, [f"data={cluster.data}", f"at={as_text(at)}", cluster.overrides], cluster.env)
    if code != 0:
        raise SystemExit(code)


@cluster_command("register")
@click.argument("run")
def register_models(cluster: Cluster, run: str) -> None:
    """Register the results of the jobs of RUN; repeating it changes nothing.

    Trainings become versions in MLflow; an evaluation whose jobs have all succeeded becomes figures.
    """
    from batch_scoring.jobs.planning import run_pipeline
    from batch_scoring.jobs.run_view import RunMonitor, known_run

    name = known_run(cluster.records, run)
    if run_pipeline(name) == "score":
        raise InputError(f"{name}: its jobs have written their predictions; there is nothing to register")
    view = RunMonitor(cluster.records, cluster.engine_of(name), name).view()
    if not view.is_over:
        raise InputError(f"{name}: jobs have not ended; wait with `kedro jobs watch {name}`, then register")
    finish_run(cluster, view)
    if view.failed:
        raise SystemExit(FAILED)


@cluster_command("sensors", JSON)
def list_sensors(cluster: Cluster, as_json: bool) -> None:
    """List the sensors with windows, a line each: for schedulers that make a task of each."""
    from batch_scoring.jobs.workspace import Workspace

    sensors = Workspace(cluster.data).sensors()
    if as_json:
        print_json(sensors)
    else:
        click.echo("\n".join(sensors))


def _scheduled(at: str | None, floor: bool, settings: JobsParameters) -> datetime:
    """Return the scheduled time, UTC; by default the last full one."""
    from batch_scoring.core.parameters import scheduled_time

    moment = scheduled_time(at)
    if at is not None and not floor:
        return moment
    every = settings.every.total_seconds()
    return datetime.fromtimestamp(moment.timestamp() // every * every, UTC)


for one in (
    submit_jobs,
    register_models,
    list_sensors,
    plan,
    prices,
    timings,
    list_runs,
    watch,
    logs,
    cancel,
    retry,
    delete,
):
    jobs.add_command(one)
