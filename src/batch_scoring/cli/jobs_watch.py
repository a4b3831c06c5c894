"""`kedro jobs list | watch | logs | cancel | retry | delete`: manage submitted jobs."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

import click

from batch_scoring.cli.command import JSON, PARAMS, cluster_command, print_json
from batch_scoring.core.errors import FAILED, InputError
from batch_scoring.core.text import duration, number, text_table
from batch_scoring.jobs.context import Cluster

if TYPE_CHECKING:
    from batch_scoring.jobs.run_view import RunMonitor
    from batch_scoring.jobs.views import View

_SECONDS_BETWEEN_LOOKS = 2.0
_RUNS_LISTED = 20


@cluster_command("list", JSON)
@click.argument("run", required=False)
@click.option("--limit", type=click.IntRange(1), default=_RUNS_LISTED, show_default=True, help="Newest runs.")
def list_runs(cluster: Cluster, run: str | None, limit: int, as_json: bool) -> None:
    """List the runs, newest first, or the jobs of RUN (its name, or `last`)."""
    if run is not None:
        _list_jobs(cluster, run, as_json)
    else:
        _list_runs(cluster, limit, as_json)


def _list_runs(cluster: Cluster, limit: int, as_json: bool) -> None:
    from batch_scoring.jobs.run_view import planned_times
    from batch_scoring.jobs.views import counts_text, view_json

    runs = planned_times(cluster.records)
    views = _views(cluster, list(islice(runs, limit)))
    if as_json:
        print_json([view_json(view) for view in views])
        return
    if not views:
        click.echo("There are no runs yet; `kedro jobs submit` makes one.")
        return
    rows = [
        (
            view.run,
            f"{runs[view.run]:%Y-%m-%d %H:%M:%SZ}",
            view.backend,
            f"{len(view.planned):,}",
            counts_text(view.counts),
        )
        for view in views
    ]
    click.echo(text_table([("run", "planned", "backend", "jobs", "states"), *rows], right=["jobs"]))
    if len(runs) > limit:
        click.echo(f"… and {len(runs) - limit:,} older ones; --limit shows more")


def _views(cluster: Cluster, runs: list[str]) -> list[View]:
    """View these runs; of an unreachable engine, from the stored records."""
    views, troubles = [], set()
    for run in runs:
        look = _look(cluster, run)
        try:
            views.append(look.view())
        except InputError as error:
            views.append(look.view_without_engine())
            troubles.add(str(error))
    for trouble in sorted(troubles):
        click.echo(f"{trouble} (its runs are shown as they were last known)", err=True)
    return views


def _list_jobs(cluster: Cluster, run: str, as_json: bool) -> None:
    from batch_scoring.jobs.views import seconds_of, summary

    look = _look(cluster, run)
    view, now = look.view(), datetime.now(UTC)
    if as_json:
        print_json([one.to_json() for one in view.statuses.values()])
        return
    click.echo(summary(view))
    rows = []
    for name in view.planned:
        job = view.statuses.get(name)
        if job is None:
            rows.append((name, "planned", "", "", "", ""))
            continue
        seconds = seconds_of(job, now)
        took = "" if seconds is None else duration(seconds)
        started = "" if job.started is None else f"{job.started:%H:%M:%S}"
        rows.append((name, str(job.state), started, took, job.node, job.reason))
    head = ("job", "state", "started", "took", "node", "reason")
    click.echo(text_table([head, *rows], right=["took"]))


@cluster_command("watch")
@click.argument("run", default="last", metavar="[RUN]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per change.")
@click.option("--every", type=click.FloatRange(0.1), default=_SECONDS_BETWEEN_LOOKS, metavar="SECONDS")
def watch(cluster: Cluster, run: str, as_json: bool, every: float) -> None:
    """Watch a run, by default the newest, until all its jobs have ended; exit with 1 if one failed.

    A table on a terminal; elsewhere a line for each change.
    """
    from batch_scoring.jobs.planning import run_pipeline
    from batch_scoring.jobs.run_view import store_statuses
    from batch_scoring.jobs.watch import Screen, follow, show_json, show_lines

    look = _look(cluster, run)
    try:
        if sys.stdout.isatty() and not as_json:
            with Screen(look) as screen:
                view = follow(look, screen.show, every)
        else:
            view = follow(look, show_json if as_json else show_lines, every)
    except KeyboardInterrupt:
        click.echo(f"the jobs go on; `kedro jobs watch {look.run}` looks at them again", err=True)
        raise SystemExit(130) from None
    if not view.is_over:
        raise InputError(
            f"{look.run}: {len(view.unknown)} of {len(view.planned)} jobs were never submitted; "
            f"`kedro jobs submit` with the same --at and --pipeline does it"
        )
    store_statuses(cluster.records, view)
    if run_pipeline(look.run) != "score" and not as_json:
        click.echo(f"`kedro jobs register {look.run}` registers what is not registered yet")
    if view.failed:
        raise SystemExit(FAILED)


@cluster_command("logs")
@click.argument("run")
@click.argument("job", nargs=-1)
@click.option("--lines", type=click.IntRange(1), help="Only the last N lines of each job.")
def logs(cluster: Cluster, run: str, job: tuple[str, ...], lines: int | None) -> None:
    """Print the log of the last attempt at each JOB of RUN; a JOB is given by its name or a sensor.

    Without a JOB: the failed ones, or all where none failed.
    """
    look = _look(cluster, run)
    names = look.named(job) or [one.name for one in look.view().failed] or list(look.specs)
    for place, name in enumerate(names):
        if len(names) > 1:
            click.echo(f"{'' if place == 0 else chr(10)}== {name}")
        text = look.log(name)
        if text is None:
            click.echo(f"{name}: there is no log yet", err=True)
        else:
            shown = text.rstrip("\n").split("\n")
            click.echo("\n".join(shown if lines is None else shown[-lines:]))


@cluster_command("cancel")
@click.argument("run")
@click.argument("job", nargs=-1)
def cancel(cluster: Cluster, run: str, job: tuple[str, ...]) -> None:
    """Cancel the jobs of RUN that have not ended, or only these."""
    look = _look(cluster, run)
    view = look.view()
    names = look.named(job) or list(view.planned)
    open_ = [name for name in names if name not in view.statuses or not view.statuses[name].state.is_final]
    if open_:
        look.backend.cancel(look.run, open_)
    click.echo(f"{look.run}: {number(len(open_), 'job')} cancelled, {len(names) - len(open_)} had ended")


@cluster_command("retry", PARAMS)
@click.argument("run")
@click.argument("job", nargs=-1)
@click.option("--wait/--no-wait", "is_waiting", default=False, help="Wait, and exit with 1 if one failed.")
def retry(cluster: Cluster, run: str, job: tuple[str, ...], is_waiting: bool) -> None:
    """Run failed and cancelled jobs of RUN again, or only these."""
    from batch_scoring.jobs.finish import end_runs

    look = _look(cluster, run)
    view = look.view()
    wanted = look.named(job) or list(view.planned)
    failed = {one.name for one in view.failed}
    names = [name for name in wanted if name in failed]
    if not names:
        click.echo(f"{look.run}: none of {number(len(wanted), 'job')} has failed")
        return
    click.echo(f"{look.run}: {number(len(names), 'job')} run again on {look.backend.name}")
    look.backend.retry(look.run, [look.specs[name] for name in names])
    if is_waiting or look.backend.blocks_until_done:
        end_runs(cluster, [look.run])


@cluster_command("delete")
@click.argument("run")
def delete(cluster: Cluster, run: str) -> None:
    """Delete RUN, whose jobs have ended, from the engine; logs, records and timings stay in the workspace."""
    from batch_scoring.jobs.run_view import store_statuses

    look = _look(cluster, run)
    view = look.view()
    if view.is_busy:
        raise InputError(
            f"{look.run}: jobs have not ended; wait, or end them with `kedro jobs cancel {look.run}`"
        )
    store_statuses(cluster.records, view)
    look.backend.delete(look.run)
    click.echo(
        f"{look.run}: {look.backend.name} has forgotten it; its logs are in {cluster.records.path(look.run)}"
    )


def _look(cluster: Cluster, run: str) -> RunMonitor:
    from batch_scoring.jobs.run_view import RunMonitor, known_run

    name = known_run(cluster.records, run)
    return RunMonitor(cluster.records, cluster.engine_of(name), name)
