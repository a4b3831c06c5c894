"""`kedro run`, with ids kept as text and errors in one line."""

from __future__ import annotations

import copy
import os
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run

from batch_scoring.cli.command import UserErrorCommand
from batch_scoring.core.errors import InputError
from batch_scoring.core.garbage import collector
from batch_scoring.core.run_params import split_params

# Arrow's own allocator asks Linux for huge pages, and gives back memory that it soon needs again: a tenth of
# an hour's run. Arrow reads this when it is imported.
MEMORY_POOL = ("ARROW_DEFAULT_MEMORY_POOL", "system")


class RunCommand(UserErrorCommand):
    """`kedro run`: the garbage collector rests until the first node, see ``hooks``."""

    def invoke(self, ctx: click.Context) -> Any:
        """Start with the collector at rest; leave it awake, whatever happens."""
        os.environ.setdefault(*MEMORY_POOL)
        collector.rest()
        try:
            return super().invoke(ctx)
        finally:
            collector.wake()

    def explain(self, error: BaseException, options: dict[str, Any]) -> InputError | None:
        """Name the option that Kedro refused."""
        from batch_scoring.cli.run_options import explain

        return explain(error, options)


def _run_command() -> click.Command:
    run_pipelines = kedro_run.callback
    assert run_pipelines is not None

    def checked(**options: Any) -> Any:
        from batch_scoring.cli.run_options import check_load_versions, check_runner

        check_load_versions(options)
        check_runner(options)
        return run_pipelines(**options)

    command = copy.copy(kedro_run)
    command.params = [copy.copy(option) for option in kedro_run.params]
    for option in command.params:
        if option.name == "params":
            option.callback = split_params
    command.callback = checked
    command.__class__ = RunCommand
    return command


run = _run_command()
