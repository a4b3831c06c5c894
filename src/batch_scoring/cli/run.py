"""`kedro run`, with ids kept as text and errors in one line."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run

from batch_scoring.cli.command import Failure, UserErrorCommand
from batch_scoring.core.errors import InputError
from batch_scoring.core.garbage import collector
from batch_scoring.core.run_params import split_params


class RunCommand(UserErrorCommand):
    """`kedro run`: the garbage collector rests until the first node, see ``hooks``."""

    def invoke(self, ctx: click.Context) -> Any:
        """Start with the collector at rest; leave it awake, whatever happens."""
        refuse_unsupported(ctx.params)
        collector.rest()
        try:
            return super().invoke(ctx)
        finally:
            collector.wake()

    def explain(self, error: Exception, options: dict[str, Any]) -> InputError | None:
        """Name the option that Kedro refused."""
        from batch_scoring.cli.run_options import explain

        return explain(error, options)


def refuse_unsupported(options: Mapping[str, Any]) -> None:
    """Refuse what Kedro offers and steps that stream their tables cannot do.

    Raises
    ------
    Failure
        Naming the option and what to use instead.
    """
    if options.get("is_async"):
        raise Failure("--async: not supported, since steps yield their tables piece by piece; leave it out")


def _run_command() -> click.Command:
    command = copy.copy(kedro_run)
    command.params = [copy.copy(option) for option in kedro_run.params]
    for option in command.params:
        if option.name == "params":
            option.callback = split_params
    command.__class__ = RunCommand
    return command


run = _run_command()
