"""Finish a run whose jobs have ended: report failures, and merge or register the results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from batch_scoring.core.errors import FAILED

if TYPE_CHECKING:
    from batch_scoring.jobs.context import Cluster
    from batch_scoring.jobs.views import View


def end_runs(cluster: Cluster, runs: Sequence[str]) -> None:
    """Wait until all jobs of these runs have ended; exit with 1 where one failed.

    Raises
    ------
    CapacityError
        When the engine has had no nodes for them for ``jobs.wait_for_nodes``.
    """
    from batch_scoring.jobs import scheduler
    from batch_scoring.jobs.capacity import CapacityWatch
    from batch_scoring.jobs.run_view import RunMonitor

    n_failed = 0
    for run in runs:
        backend = cluster.engine_of(run)
        watch = CapacityWatch(backend, run, cluster.settings.wait_for_nodes, _to_stderr)
        scheduler.wait(backend, run, look=watch.look)
        view = RunMonitor(cluster.records, backend, run).view()
        finish_run(cluster, view)
        n_failed += len(view.failed)
    if n_failed:
        raise SystemExit(FAILED)


def _to_stderr(text: str) -> None:
    click.echo(text, err=True)


def finish_run(cluster: Cluster, view: View) -> None:
    """Report the failed jobs of a run that is over, and merge or register the results; idempotent."""
    from batch_scoring.jobs.planning import run_pipeline
    from batch_scoring.jobs.run_view import store_statuses

    store_statuses(cluster.records, view)
    for job in view.failed:
        click.echo(f"{view.run}/{job.name} {job.state}: {job.reason}", err=True)
    pipeline = run_pipeline(view.run)
    if pipeline == "train":
        _register(cluster, view.run)
    elif pipeline == "evaluate" and not view.failed:
        _sum_up(cluster, view.run)


def _register(cluster: Cluster, run: str) -> None:
    from batch_scoring.core.text import number
    from batch_scoring.jobs.context import open_context
    from batch_scoring.jobs.register import register
    from batch_scoring.jobs.specs import JOBS_FOLDER
    from batch_scoring.registry.staged import StagedTrainings
    from batch_scoring.storage import join

    fleet_models = open_context(cluster.data, cluster.env).catalog["fleet_models"]
    staged = StagedTrainings(join(cluster.data, JOBS_FOLDER, run))
    new = register(staged, fleet_models, click.echo)
    click.echo(
        f"{run}: {number(len(new), 'sensor')} registered, of {len(staged.sensors()):,} with new models"
    )


def _sum_up(cluster: Cluster, run: str) -> None:
    """Aggregate what the jobs of an evaluation found, and end the command where that fails."""
    from batch_scoring.jobs.run_job import run_here
    from batch_scoring.jobs.specs import SHARE_OF_EVALUATION, run_folder

    (overrides,) = {spec.overrides for spec in cluster.records.plan(run) or []}
    params = [overrides, f"data={cluster.data}", f"judged={run_folder(cluster.data, run)}"]
    code = run_here("evaluate", params, cluster.env, f"--from-inputs={SHARE_OF_EVALUATION}")
    if code != 0:
        raise SystemExit(code)
