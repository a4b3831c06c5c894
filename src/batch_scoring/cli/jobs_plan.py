"""`kedro jobs plan`: simulate the cost of the schedule on several clusters."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batch_scoring.cli.command import DATA, ENV, PARAMS, command, print_json
from batch_scoring.jobs.context import open_cluster

if TYPE_CHECKING:
    from batch_scoring.jobs.costs.choices import Schedule
    from batch_scoring.jobs.settings import JobsParameters


@command("plan", DATA, ENV, PARAMS)
@click.option("--pipeline", default="score", show_default=True, metavar="NAME", help="Whose jobs.")
@click.option("--jobs", "count", type=click.IntRange(1), help="Jobs a run, instead of measured ones.")
@click.option("--minutes", type=click.FloatRange(0), help="Duration of each of them.")
@click.option("--region", metavar="REGION", help="Whose prices of jobs.costs.prices are used.")
@click.option("--html", type=click.Path(dir_okay=False), metavar="FILE", help="Also write a page.")
@click.option("--json", "as_json", is_flag=True, help="Print all simulated clusters as JSON.")
def plan(
    data: str | None,
    env: str | None,
    params: str,
    pipeline: str,
    count: int | None,
    minutes: float | None,
    region: str | None,
    html: str | None,
    as_json: bool,
) -> None:
    """Simulate the schedule on clusters from zero, kept warm and fixed: cost, time, and the cheapest.

    Container Apps, which has no nodes, is priced beside them.
    """
    from batch_scoring.jobs.costs import words
    from batch_scoring.jobs.costs.choices import all_choices, short_list
    from batch_scoring.jobs.costs.configured import configured_cluster
    from batch_scoring.jobs.costs.replicas import on_container_apps

    if (count is None) != (minutes is None):
        raise click.UsageError("--jobs and --minutes go together")
    cluster = open_cluster(data, env, None, params)
    place, settings = cluster.data, cluster.settings
    if region is not None:
        settings = replace(settings, costs=replace(settings.costs, region=region))
    schedule, source = _schedule(settings, place, pipeline, count, minutes)
    choices = all_choices(schedule, settings.costs)
    engine = configured_cluster(settings)
    configured = engine.choice(schedule, settings.costs) if engine else None
    currency = settings.costs.currency
    prices = f"Prices {settings.costs.priced_as}."
    verdict = [words.verdict(choices, currency)]
    if engine and configured:
        verdict.append(words.beside(engine, configured, choices[0], currency))
    elif engine:
        verdict.append(words.unpriced(engine))
    replicas = on_container_apps(schedule, settings.costs, settings.container_apps.cpu)
    verdict.append(words.of_replicas(replicas, choices[0], currency))
    if html is not None:
        from batch_scoring.jobs.costs.page import draw_page

        text = draw_page(choices, schedule, settings.costs, source, [*verdict, prices], configured)
        Path(html).write_text(text, encoding="utf-8")
    if as_json:
        print_json(words.as_json(choices, schedule, currency, replicas, configured) | {"prices": prices})
        return
    click.echo(f"{words.summary(schedule, source)}\n{prices}\n")
    click.echo(words.as_table([*short_list(choices), *([configured] if configured else [])]) + "\n")
    click.echo("\n".join(verdict))


@command("prices", DATA, ENV, PARAMS)
@click.option("--region", metavar="REGION", required=True, help="Such as westeurope.")
def prices(data: str | None, env: str | None, params: str, region: str) -> None:
    """Look up what the node sizes of jobs.costs.nodes cost in a region, and print the settings to copy.

    Asks Azure's public list of retail prices; needs no account.
    """
    import yaml

    from batch_scoring.jobs.costs.prices import look_up

    costs = open_cluster(data, env, None, params).settings.costs
    today = datetime.now(UTC).date().isoformat()
    sizes = [size.vm_size for size in replace(costs, region=None).sizes if size.vm_size]
    found = look_up(region, sizes, costs.currency, today)
    entries = {"prices": [asdict(one) for one in found]}
    click.echo(yaml.safe_dump({"jobs": {"costs": entries}}, sort_keys=False), nl=False)


def _schedule(
    settings: JobsParameters, data: str, pipeline: str, count: int | None, minutes: float | None
) -> tuple[Schedule, str]:
    """Return the schedule to simulate, and the source of its durations."""
    from batch_scoring.jobs.costs.choices import Schedule

    if count is not None and minutes is not None:
        took, source = [60.0 * minutes] * count, "as given"
    else:
        from batch_scoring.jobs.costs.history import read_history
        from batch_scoring.jobs.records import Records

        history = read_history(Records(data), pipeline)
        took = list(history.seconds.values())
        source = f"medians of {history.measured:,} jobs of {history.runs:,} runs"
    overhead = settings.costs.job_overhead.total_seconds()
    deadline = settings.costs.deadline or settings.every
    durations = tuple(seconds + overhead for seconds in took)
    return Schedule(durations, settings.every.total_seconds(), deadline.total_seconds()), source
