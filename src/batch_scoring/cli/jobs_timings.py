"""`kedro jobs timings`: report the durations of the jobs of a run, or of the newest runs."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import click

from batch_scoring.cli.command import cluster_command, print_json
from batch_scoring.core.text import text_table
from batch_scoring.jobs.context import Cluster

if TYPE_CHECKING:
    from batch_scoring.jobs.records import JobRecord

_RUNS_LISTED = 24


@cluster_command("timings")
@click.argument("run", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: jobs, and percentiles of each run.")
@click.option("--csv", "is_csv", is_flag=True, help="Print CSV, one row per job.")
def timings(cluster: Cluster, run: str | None, as_json: bool, is_csv: bool) -> None:
    """Report the durations of the jobs of RUN in seconds: waiting, starting, reading, scoring, writing.

    Without RUN: the newest runs, a line each. `read`, `score` and `write` overlap, so their sum may be
    more than `total`.
    """
    from batch_scoring.jobs.run_view import known_run, planned_times
    from batch_scoring.jobs.timings import as_csv, percentiles, times_json

    if run is not None:
        names = [known_run(cluster.records, run)]
    else:
        names = list(islice(planned_times(cluster.records), _RUNS_LISTED))
    found = {name: _job_times(cluster, name) for name in names}
    if as_json:
        timings_by_run = {
            name: {"jobs": [times_json(job) for job in jobs], "percentiles": percentiles(jobs)}
            for name, jobs in found.items()
        }
        print_json(timings_by_run)
    elif is_csv:
        click.echo(as_csv([job for jobs in found.values() for job in jobs]), nl=False)
    elif run is not None:
        _print_run(*found.popitem())
    else:
        _print_runs(found)


def _print_run(run: str, jobs: list[JobRecord]) -> None:
    from batch_scoring.jobs.timings import percentiles, table_rows

    if not jobs:
        click.echo(f"{run}: no job has written its times yet")
        return
    head, rows = table_rows(jobs, percentiles(jobs))
    table = text_table([head, *rows], right=head[1:]).split("\n")
    click.echo("\n".join([f"{run}, seconds", *table[: len(jobs) + 1], "", *table[len(jobs) + 1 :]]))


def _print_runs(found: dict[str, list[JobRecord]]) -> None:
    from batch_scoring.jobs.timings import PHASES, percentiles, seconds_text

    if not found:
        click.echo("There are no runs yet; `kedro jobs submit` makes one.")
        return
    of_runs = {run: percentiles(jobs) for run, jobs in found.items()}
    phases = [phase for phase in PHASES if any(phase in one for one in of_runs.values())]
    rows = [
        [
            run,
            f"{len(found[run]):,}",
            *(seconds_text(one.get(phase, {}).get("p50")) for phase in phases),
            seconds_text(one.get("total", {}).get("p100")),
        ]
        for run, one in of_runs.items()
    ]
    head = ["run", "jobs", *phases, "longest"]
    click.echo("medians over the jobs of a run, seconds\n" + text_table([head, *rows], right=head[1:]))


def _job_times(cluster: Cluster, run: str) -> list[JobRecord]:
    """Return the times of jobs with a record; waiting times if the engine or a watcher recorded them."""
    from batch_scoring.jobs.run_view import RunMonitor
    from batch_scoring.jobs.timings import job_times

    view = RunMonitor(cluster.records, cluster.engine_of(run), run).view()
    records = cluster.records.all_records(run)
    return [job_times(records[name], view.statuses.get(name)) for name in view.planned if name in records]
