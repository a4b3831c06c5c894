"""`kedro alerts …`: try where alerts go."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from batch_scoring.cli.command import DATA, ENV, PARAMS, Failure, command
from batch_scoring.core.errors import InputError
from batch_scoring.core.text import number, printable
from batch_scoring.jobs.context import open_context


@click.group(name="alerts")
def alerts() -> None:
    """Try where alerts go."""


@command("test", PARAMS, DATA, ENV)
@click.option("--sink", metavar="NAME", help="Only this sink; default: all of alerts.sinks.")
def test(sink: str | None, params: str, data: str | None, env: str | None) -> None:
    """Send a test to the alert sinks and say what came back.

    Each sink gets a message that opens an incident, which does not exist, and one that closes it. Nothing is
    noted in the workspace.
    """
    from batch_scoring.alerts.settings import AlertParameters, read_sinks
    from batch_scoring.alerts.trial import trial_messages, try_sinks
    from batch_scoring.core.parameters import read_parameters

    context = open_context(data, env, params)
    settings = read_parameters(AlertParameters, context.params.get("alerts"), "alerts")
    wanted = [
        value
        for value, one in zip(settings.sinks, read_sinks(settings.sinks), strict=True)
        if sink in (None, one.name)
    ]
    if not wanted:
        known = ", ".join(one.name for one in read_sinks(settings.sinks)) or "none"
        raise InputError(f"--sink {sink!r} is not valid; the sinks of alerts.sinks are {known}")
    opened = context.catalog.load("notification_sinks")(wanted)
    messages = trial_messages(datetime.now(UTC).replace(microsecond=0), settings.form)
    n_failed = 0
    for answer in try_sinks(opened, messages, settings.time_limit.total_seconds()):
        n_failed += not answer.is_delivered
        what = "delivered" if answer.is_delivered else "NOT delivered"
        click.echo(f"{answer.sink}: {answer.change}: {what}: {printable(answer.text)}")
    if n_failed:
        raise Failure(f"{number(n_failed, 'sink')} of {len(opened)} did not take the test")


alerts.add_command(test)
